"""Signatures: nothing is answered that is not signed, and rightly."""

from __future__ import annotations

import pytest
from botocore import UNSIGNED

UNLOCKED = "it answers everybody"
RULE = "AWS General Reference, Signature Version 4: requests must be signed"
CALLS = {"sqs": "list_queues", "sns": "list_topics"}


@pytest.fixture(params=CALLS)
def call(request, backend):
    """Make the same call by clients of each service that differ in their signature."""

    def call(*, alter=None, **options):
        client = backend.client(request.param, **options)
        if alter is not None:
            client.meta.events.register(f"before-send.{request.param}", alter)
        try:
            return getattr(client, CALLS[request.param])()
        finally:
            client.close()

    return call


def test_a_signed_call_is_answered(call):
    assert call()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_call_without_a_signature_is_refused(backend, call):
    backend.lax(UNLOCKED, rule=RULE)
    with backend.refused("MissingAuthenticationToken", status=403):
        call(signature_version=UNSIGNED)


def test_a_call_that_is_signed_with_a_wrong_secret_is_refused(backend, call):
    backend.lax(UNLOCKED, rule=RULE)
    with backend.refused("SignatureDoesNotMatch", status=403):
        call(secret="wrong")


def test_an_unknown_access_key_is_refused(backend, call):
    backend.lax(UNLOCKED, rule=RULE)
    with backend.refused("InvalidClientTokenId", status=403):
        call(key="AKIAUNKNOWN")


def test_a_body_that_was_changed_after_it_was_signed_is_refused(backend, call):
    def alter(request, **_):
        body = request.body if isinstance(request.body, bytes) else request.body.encode()
        request.body = body + b" "
        request.headers["Content-Length"] = str(len(request.body))

    backend.lax(UNLOCKED, rule=RULE)
    with backend.refused("SignatureDoesNotMatch", status=403):
        call(alter=alter)


def test_a_caller_can_ask_who_it_is(local_aws):
    """LocalStack is started without STS."""
    assert local_aws.sts.get_caller_identity()["Account"] == "000000000000"
    stranger = local_aws.client("sts", secret="wrong")
    with local_aws.refused("SignatureDoesNotMatch", status=403):
        stranger.get_caller_identity()
    stranger.close()
