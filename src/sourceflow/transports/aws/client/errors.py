"""What went wrong: AWS's codes and statuses, sorted into the errors of ``sourceflow.errors``."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from sourceflow.errors import (
    AwsCiphertextError,
    AwsConfigurationError,
    AwsCredentialsError,
    AwsError,
    AwsKeyError,
    AwsLeaseLostError,
    AwsRequestError,
    AwsThrottledError,
    AwsTransientError,
)
from sourceflow.transports.aws.client.xml import InvalidXmlError, parse_xml

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = (
    "NOT_RETRIED",
    "blames_the_clock",
    "classify",
    "entry_error",
    "json_error",
    "kms_error",
    "name_operation",
    "unreadable",
    "xml_error",
)

# Codes in the spelling of _key: "KmsThrottled" is "throttled", "KMS.ThrottlingException" is "throttling".
_CLASSES: dict[type[AwsError], str] = {
    AwsThrottledError: (
        # The list of the AWS SDKs, with KMS's throttling, which they leave out; the last three are waits
        # of another kind, see NOT_RETRIED.
        "requestthrottled throttling throttled toomanyrequests slowdown requestlimitexceeded bandwidthlimitexceeded "
        "provisionedthroughputexceeded priorrequestnotcomplete ec2throttled transactioninprogress "
        "overlimit purgequeueinprogress queuedeletedrecently"
    ),
    AwsTransientError: (
        "internalerror internalfailure internalserver internal serviceunavailable requesttimeout dependencytimeout "
        "keyunavailable"
    ),
    AwsCredentialsError: (
        "expiredtoken invalidclienttokenid unrecognizedclient missingauthenticationtoken invalidaccesskeyid "
        "requestexpired requesttimetooskewed requestinthefuture signaturedoesnotmatch invalidsignature "
        "incompletesignature authfailure invalidtoken"
    ),
    AwsConfigurationError: (
        "queuedoesnotexist nonexistentqueue notfound resourcenotfound accessdenied authorizationerror "
        "unauthorizedoperation invalidaddress disabled invalidstate invalidkeyusage optinrequired invalidsecurity "
        "queuenameexists queuealreadyexists invalidarn"
    ),
    AwsLeaseLostError: "receipthandleisinvalid messagenotinflight invalididformat",
    AwsCiphertextError: "invalidciphertext incorrectkey",
    AwsRequestError: (
        "invalidmessagecontents invalidparametervalue parametervalueinvalid invalidparameter missingparameter "
        "batchrequesttoolong toomanyentriesinbatchrequest emptybatchrequest batchentryidsnotdistinct "
        "invalidbatchentryid unsupportedoperation invalidattributename invalidattributevalue validation validationerror"
    ),
}
_CLASS_OF = {key: kind for kind, keys in _CLASSES.items() for key in keys.split()}

_STATUS_CLASSES: dict[int, type[AwsError]] = {
    HTTPStatus.UNAUTHORIZED: AwsCredentialsError,
    HTTPStatus.FORBIDDEN: AwsConfigurationError,
    HTTPStatus.NOT_FOUND: AwsConfigurationError,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: AwsConfigurationError,
    HTTPStatus.REQUEST_TIMEOUT: AwsTransientError,
    HTTPStatus.TOO_MANY_REQUESTS: AwsThrottledError,
}

#: Throttles that another try a second later cannot pass: a queue at its limit of messages in flight, and the
#: minute after a purge or a deletion. Who polls or administers decides when to come back.
NOT_RETRIED = frozenset({"OverLimit", "PurgeQueueInProgress", "QueueDeletedRecently"})

_CLOCK_CODES = frozenset(
    {
        "requestexpired",
        "requesttimetooskewed",
        "requestinthefuture",
        "signaturedoesnotmatch",
        "invalidsignature",
    }
)

_SQS_NAMESPACE = "AWS.SimpleQueueService."


def classify(
    message: str,
    *,
    code: str,
    status: int,
    operation: str,
    alias: str = "",
    sender_fault: bool = False,
    missing: type[AwsConfigurationError] = AwsConfigurationError,
) -> AwsError:
    """Return the error that stands for AWS's answer.

    Args:
        message: What AWS says about it.
        code: AWS's code, with or without its namespace.
        status: The HTTP status; 0 for one entry of a batch.
        operation: The API operation.
        alias: The same code in the older spelling, where there is one; used when ``code`` is unknown.
        sender_fault: Whether AWS blames an entry of a batch on its sender.
        missing: What a resource or a right that is missing comes to at this service.
    """
    kind = (
        _CLASS_OF.get(_key(code))
        or _CLASS_OF.get(_key(alias))
        or _by_status(status, sender_fault=sender_fault)
    )
    if "for parameter ReceiptHandle is invalid" in message:
        # FIFO queues refuse to delete by an expired handle, and queues of both kinds refuse to extend by one,
        # with InvalidParameterValue: only the text says which parameter.
        kind = AwsLeaseLostError
    if kind is AwsConfigurationError:
        kind = missing
    return kind(message, code=_plain(code), status=status, operation=operation)


def entry_error(code: str, message: str, *, sender_fault: bool, operation: str) -> AwsError:
    """Return the error that stands for one failed entry of a batch.

    Args:
        code: AWS's code.
        message: What AWS says about it.
        sender_fault: Whether AWS blames the sender; decides where the code is unknown.
        operation: The API operation.
    """
    return classify(message, code=code, status=0, operation=operation, sender_fault=sender_fault)


def json_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    operation: str,
    missing: type[AwsConfigurationError] = AwsConfigurationError,
) -> AwsError:
    """Read the error answer of a JSON service such as SQS.

    Args:
        status: The HTTP status.
        headers: The headers of the answer, names in lower case.
        body: The body of the answer.
        operation: The API operation.
        missing: What a resource or a right that is missing comes to at this service.
    """
    alias = headers.get("x-amzn-query-error", "").partition(";")[0]
    try:
        document = _JSON_ERROR.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = _JsonError()
    code = (
        document.type
        or document.code
        or headers.get("x-amzn-errortype", "")
        or alias
        or _http(status)
    )
    message = document.message or document.other_message or ""
    return classify(
        message, code=code, status=status, operation=operation, alias=alias, missing=missing
    )


def kms_error(status: int, headers: Mapping[str, str], body: bytes, *, operation: str) -> AwsError:
    """Read the error answer of KMS, where what is missing or forbidden is a key; see ``json_error``."""
    return json_error(status, headers, body, operation=operation, missing=AwsKeyError)


def xml_error(status: int, headers: Mapping[str, str], body: bytes, *, operation: str) -> AwsError:  # noqa: ARG001 - same shape as json_error
    """Read the error answer of a query service such as SNS; see ``json_error``."""
    try:
        root = parse_xml(body)
    except InvalidXmlError:  # a proxy's page, or nothing at all
        return classify("", code=_http(status), status=status, operation=operation)
    code, message = root.findtext("Error/Code", ""), root.findtext("Error/Message", "")
    return classify(message, code=code or _http(status), status=status, operation=operation)


def unreadable(operation: str) -> AwsError:
    """Return the error for a successful answer that is none: something in between cut or replaced it."""
    return AwsTransientError(
        "the answer cannot be read",
        code="UnreadableAnswer",
        status=HTTPStatus.OK,
        operation=operation,
    )


def blames_the_clock(error: AwsError) -> bool:
    """Return whether a wrong clock on this machine may be the cause."""
    return _key(error.code) in _CLOCK_CODES


def name_operation(error: AwsError, operation: str) -> None:
    """Say in an error of the HTTP client, which knows addresses only, which operation it met."""
    error.operation = operation
    error.args = (f"{operation}: {error}",)


class _JsonError(msgspec.Struct):
    type: str | None = msgspec.field(default=None, name="__type")
    code: str | None = None
    message: str | None = None
    other_message: str | None = msgspec.field(default=None, name="Message")


_JSON_ERROR = msgspec.json.Decoder(_JsonError)


def _by_status(status: int, *, sender_fault: bool) -> type[AwsError]:
    if status == 0:
        return AwsRequestError if sender_fault else AwsTransientError
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return AwsTransientError
    if status < HTTPStatus.BAD_REQUEST:
        return AwsConfigurationError  # a redirect: the endpoint is another region's
    return _STATUS_CLASSES.get(status, AwsRequestError)


def _http(status: int) -> str:
    return f"Http{status}"


def _plain(code: str) -> str:
    """Return a code without its namespace: ``com.amazonaws.sqs#QueueDoesNotExist`` is ``QueueDoesNotExist``."""
    return code.rpartition("#")[2].partition(":")[0].removeprefix(_SQS_NAMESPACE)


def _key(code: str) -> str:
    """Return a code in the one spelling of the table: services differ in case, prefix and suffix."""
    return _plain(code).rpartition(".")[2].lower().removesuffix("exception").removeprefix("kms")
