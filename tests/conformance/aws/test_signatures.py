"""Signatures: nothing is answered that is not signed, and rightly."""

from __future__ import annotations

import pytest
from botocore import UNSIGNED

UNLOCKED = "it answers everybody"
RULE = "AWS General Reference, Signature Version 4: requests must be signed"
CALLS = {"sqs": "list_queues", "sns": "list_topics", "kms": "list_keys"}
#: What KMS says, with status 400, where SQS and SNS say the former with status 403.
SAID_BY_KMS = {
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
}


@pytest.fixture(params=CALLS)
def service(request):
    return request.param


@pytest.fixture
def refused(backend, service):
    """Expect what the service says to a signature that does not do."""

    def refused(code):
        if service == "kms":
            return backend.refused(SAID_BY_KMS[code], status=400)
        return backend.refused(code, status=403)

    return refused


@pytest.fixture
def call(service, backend):
    """Make the same call by clients of each service that differ in their signature."""

    def call(*, alter=None, **options):
        client = backend.client(service, **options)
        if alter is not None:
            client.meta.events.register(f"before-send.{service}", alter)
        try:
            return getattr(client, CALLS[service])()
        finally:
            client.close()

    return call


def test_a_signed_call_is_answered(call):
    assert call()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_call_without_a_signature_is_refused(backend, refused, call):
    backend.lax(UNLOCKED, rule=RULE)
    with refused("MissingAuthenticationToken"):
        call(signature_version=UNSIGNED)


def test_a_call_that_is_signed_with_a_wrong_secret_is_refused(backend, refused, call):
    backend.lax(UNLOCKED, rule=RULE)
    with refused("SignatureDoesNotMatch"):
        call(secret="wrong")


def test_an_unknown_access_key_is_refused(backend, refused, call):
    backend.lax(UNLOCKED, rule=RULE)
    with refused("InvalidClientTokenId"):
        call(key="AKIAUNKNOWN")


def test_a_body_that_was_changed_after_it_was_signed_is_refused(backend, refused, call):
    def alter(request, **_):
        body = request.body if isinstance(request.body, bytes) else request.body.encode()
        request.body = body + b" "
        request.headers["Content-Length"] = str(len(request.body))

    backend.lax(UNLOCKED, rule=RULE)
    with refused("SignatureDoesNotMatch"):
        call(alter=alter)


def test_a_caller_can_ask_who_it_is(local_aws):
    """LocalStack is started without STS."""
    assert local_aws.sts.get_caller_identity()["Account"] == "000000000000"
    stranger = local_aws.client("sts", secret="wrong")
    with local_aws.refused("SignatureDoesNotMatch", status=403):
        stranger.get_caller_identity()
    stranger.close()
