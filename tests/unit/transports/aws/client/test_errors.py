from __future__ import annotations

import pytest

from sourceflow.errors import (
    AwsCiphertextError,
    AwsConfigurationError,
    AwsCredentialsError,
    AwsKeyError,
    AwsLeaseLostError,
    AwsRequestError,
    AwsThrottledError,
    AwsTransientError,
    DependencyError,
)
from sourceflow.transports.aws.client.errors import (
    classify,
    entry_error,
    json_error,
    kms_error,
    xml_error,
)

CODES = {
    AwsThrottledError: [
        "RequestThrottled", "ThrottlingException", "Throttled", "Throttling", "TooManyRequestsException",
        "SlowDown", "RequestLimitExceeded", "KmsThrottled", "KMS.ThrottlingException", "KMSThrottling",
        "KMSThrottlingException", "OverLimit", "AWS.SimpleQueueService.PurgeQueueInProgress",
        "AWS.SimpleQueueService.QueueDeletedRecently",
    ],
    AwsTransientError: [
        "InternalError", "InternalFailure", "ServiceUnavailable", "RequestTimeout", "KMSInternal",
        "KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException",
    ],
    AwsCredentialsError: [
        "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException",
        "RequestExpired", "SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed",
    ],
    AwsConfigurationError: [
        "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "NotFound", "NotFoundException",
        "AccessDenied", "AccessDeniedException", "AuthorizationError", "InvalidAddress", "KmsAccessDenied",
        "KmsDisabled", "KmsInvalidState", "KmsNotFound", "KmsInvalidKeyUsage", "KmsOptInRequired",
        "KMS.DisabledException", "KMSOptInRequired", "InvalidSecurity", "QueueNameExists",
        "ResourceNotFoundException", "InvalidArnException",
    ],
    AwsCiphertextError: ["InvalidCiphertextException", "IncorrectKeyException"],
    AwsLeaseLostError: ["ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidIdFormat"],
    AwsRequestError: [
        "InvalidMessageContents", "InvalidParameterValue", "ParameterValueInvalid", "InvalidParameter",
        "AWS.SimpleQueueService.BatchRequestTooLong", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        "AWS.SimpleQueueService.EmptyBatchRequest", "BatchEntryIdsNotDistinct", "UnsupportedOperation",
        "AWS.SimpleQueueService.UnsupportedOperation",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "code"), [(kind, code) for kind, codes in CODES.items() for code in codes]
)
@pytest.mark.parametrize("namespace", ["", "com.amazonaws.sqs#"])
def test_a_code_is_sorted_by_the_table_in_every_spelling(kind, code, namespace):
    assert type(classify("", code=namespace + code, status=400, operation="Op")) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, AwsConfigurationError),
        (400, AwsRequestError),
        (401, AwsCredentialsError),
        (403, AwsConfigurationError),
        (404, AwsConfigurationError),
        (407, AwsConfigurationError),
        (408, AwsTransientError),
        (413, AwsRequestError),
        (429, AwsThrottledError),
        (500, AwsTransientError),
        (503, AwsTransientError),
    ],
)
def test_an_unknown_code_is_sorted_by_the_status(status, kind):
    assert type(classify("", code="Novelty", status=status, operation="Op")) is kind


@pytest.mark.parametrize(
    "reason",
    [
        "The receipt handle has expired.",
        "Message does not exist or is not available for visibility timeout change.",
    ],
)
def test_a_handle_that_expired_is_a_lost_lease_though_the_code_blames_the_parameter(reason):
    message = f"Value AQEB for parameter ReceiptHandle is invalid. Reason: {reason}"
    error = entry_error(
        "InvalidParameterValue", message, sender_fault=True, operation="DeleteMessageBatch"
    )
    assert type(error) is AwsLeaseLostError


def test_asking_beyond_twelve_hours_is_no_lost_lease():
    message = "Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]."
    error = entry_error("InvalidParameterValue", message, sender_fault=True, operation="Op")
    assert type(error) is AwsRequestError


@pytest.mark.parametrize(("fault", "kind"), [(True, AwsRequestError), (False, AwsTransientError)])
def test_an_unknown_code_of_an_entry_is_sorted_by_whom_aws_blames(fault, kind):
    assert type(entry_error("Novelty", "", sender_fault=fault, operation="Op")) is kind


def test_a_known_code_of_an_entry_counts_more_than_whom_aws_blames():
    error = entry_error("KMS.ThrottlingException", "", sender_fault=True, operation="Op")
    assert type(error) is AwsThrottledError


def test_a_json_error_is_read_with_its_code_status_operation_and_message():
    body = b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "It does not exist."}'
    error = json_error(400, {}, body, operation="ReceiveMessage")
    assert (error.code, error.status, error.operation) == (
        "QueueDoesNotExist",
        400,
        "ReceiveMessage",
    )
    assert str(error) == "ReceiveMessage: QueueDoesNotExist: It does not exist."


def test_the_older_spelling_decides_where_the_newer_is_unknown():
    headers = {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}
    error = json_error(400, headers, b'{"__type": "com.amazonaws.sqs#Novelty"}', operation="Op")
    assert type(error) is AwsConfigurationError
    assert error.code == "Novelty"


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({}, b'{"code": "AccessDenied", "Message": "no"}', "AccessDenied"),
        ({"x-amzn-errortype": "AccessDeniedException:http://x/"}, b"", "AccessDeniedException"),
        ({"x-amzn-query-error": "AccessDenied;Sender"}, b"{}", "AccessDenied"),
        ({}, b"<html>", "Http403"),
        ({}, b'"\xff"', "Http403"),
        ({}, b'{"__type": 1}', "Http403"),
    ],
)
def test_the_code_of_a_json_error_is_looked_for_everywhere(headers, body, code):
    error = json_error(403, headers, body, operation="Op")
    assert (type(error), error.code) == (AwsConfigurationError, code)


def test_an_xml_error_is_read_with_its_code_and_message():
    body = (
        b'<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
        b"<Code>NotFound</Code><Message>Topic does not exist</Message></Error></ErrorResponse>"
    )
    error = xml_error(404, {}, body, operation="PublishBatch")
    assert type(error) is AwsConfigurationError
    assert str(error) == "PublishBatch: NotFound: Topic does not exist"


@pytest.mark.parametrize("body", [b"", b"<html>", b"<html></html>"])
def test_an_answer_that_is_no_xml_error_is_sorted_by_its_status(body):
    error = xml_error(503, {}, body, operation="PublishBatch")
    assert (type(error), error.code) == (AwsTransientError, "Http503")


@pytest.mark.parametrize(
    "code",
    [
        "DisabledException", "KMSInvalidStateException", "NotFoundException", "AccessDeniedException",
        "InvalidKeyUsageException", "InvalidArnException",
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_key_of_kms_makes_listeners_wait(code):
    error = kms_error(400, {}, b'{"__type": "%s"}' % code.encode(), operation="Decrypt")
    assert type(error) is AwsKeyError
    assert isinstance(error, DependencyError)
    assert isinstance(error, AwsConfigurationError)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("IncorrectKeyException", AwsCiphertextError),
        ("InvalidCiphertextException", AwsCiphertextError),
        ("ValidationException", AwsRequestError),
        ("ThrottlingException", AwsThrottledError),
        ("KeyUnavailableException", AwsTransientError),
        ("ExpiredTokenException", AwsCredentialsError),
    ],
)
def test_what_is_not_about_a_key_is_sorted_as_everywhere(code, kind):
    error = kms_error(400, {}, b'{"__type": "%s"}' % code.encode(), operation="Decrypt")
    assert type(error) is kind
