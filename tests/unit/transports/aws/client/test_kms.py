from __future__ import annotations

import base64

import pytest

from sourceflow.errors import (
    AwsCiphertextError,
    AwsKeyError,
    AwsRequestError,
    AwsThrottledError,
    AwsTransientError,
)
from sourceflow.transports.aws.client import DataKey, DecryptedKey, KeyDescription

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CONTEXT = {"source": "orders", "destination": "billing"}
PLAINTEXT = bytes(range(32))
CIPHERTEXT = b"\x00encrypted\xff"


def base64_of(data):
    return base64.b64encode(data).decode()


@pytest.fixture
def generated():
    return {
        "KeyId": KEY,
        "Plaintext": base64_of(PLAINTEXT),
        "CiphertextBlob": base64_of(CIPHERTEXT),
        "KeyMaterialId": "m",
    }


@pytest.fixture
def decrypted():
    return {
        "KeyId": KEY,
        "Plaintext": base64_of(PLAINTEXT),
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }


async def test_a_request_is_marked_as_the_protocol_of_kms_wants_it(kms, http, generated):
    http.then(generated)
    await kms.generate_data_key("alias/orders", context=CONTEXT)
    headers = http.sent[0].headers
    assert headers["X-Amz-Target"] == "TrentService.GenerateDataKey"
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
    assert "/eu-west-1/kms/aws4_request" in headers["Authorization"]


async def test_a_data_key_of_256_bits_is_made_in_its_context(kms, http, generated):
    http.then(generated)
    made = await kms.generate_data_key("alias/orders", context=CONTEXT)
    assert made == DataKey(KEY, PLAINTEXT, CIPHERTEXT)
    assert http.sent[0].json == {
        "KeyId": "alias/orders",
        "KeySpec": "AES_256",
        "EncryptionContext": CONTEXT,
    }


async def test_a_data_key_is_decrypted_by_the_key_and_context_that_are_given(kms, http, decrypted):
    http.then(decrypted)
    found = await kms.decrypt(CIPHERTEXT, key_id=KEY, context=CONTEXT)
    assert found == DecryptedKey(KEY, PLAINTEXT)
    assert http.sent[0].headers["X-Amz-Target"] == "TrentService.Decrypt"
    assert http.sent[0].json == {
        "CiphertextBlob": base64_of(CIPHERTEXT),
        "KeyId": KEY,
        "EncryptionContext": CONTEXT,
    }


async def test_a_key_is_described_by_its_arn(kms, http):
    metadata = {
        "KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab",
        "Arn": KEY,
        "CreationDate": 1.7e9,
        "Enabled": False,
        "KeyState": "Disabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeySpec": "SYMMETRIC_DEFAULT",
    }
    http.then({"KeyMetadata": metadata})
    described = await kms.describe_key("alias/orders")
    assert described == KeyDescription(KEY, "Disabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT")
    assert http.sent[0].headers["X-Amz-Target"] == "TrentService.DescribeKey"
    assert http.sent[0].json == {"KeyId": "alias/orders"}


async def test_a_key_is_in_no_repr():
    for shown in (DataKey(KEY, PLAINTEXT, CIPHERTEXT), DecryptedKey(KEY, PLAINTEXT)):
        assert repr(shown) == f"{type(shown).__name__}(key_arn={KEY!r})"


@pytest.fixture(params=["generate", "decrypt"])
def check(request, kms):
    if request.param == "generate":
        return lambda: kms.check_generate_data_key(KEY, context=CONTEXT)
    return lambda: kms.check_decrypt(CIPHERTEXT, key_id=KEY, context=CONTEXT)


async def test_a_dry_run_that_would_succeed_returns(check, http):
    http.then_fail("DryRunOperationException")
    await check()
    assert http.sent[0].json["DryRun"] is True
    assert http.sent[0].json["EncryptionContext"] == CONTEXT


async def test_a_dry_run_returns_where_it_is_not_known(check, http, generated):
    http.then(generated)
    await check()


@pytest.mark.parametrize(
    ("code", "kind"), [("AccessDeniedException", AwsKeyError), ("ValidationError", AwsRequestError)]
)
async def test_a_dry_run_that_would_fail_raises(check, http, code, kind):
    http.then_fail(code)
    with pytest.raises(kind):
        await check()


@pytest.mark.parametrize("code", ["ThrottlingException", "KMS.ThrottlingException"])
async def test_throttling_is_retried(kms, http, clock, decrypted, code):
    http.then_fail(code).then(decrypted)
    await kms.decrypt(CIPHERTEXT, key_id=KEY, context=CONTEXT)
    assert clock.sleeps == [1.0]
    assert kms.stats.throttles == 1


async def test_throttling_without_end_is_raised(kms, http):
    http.then_fail("ThrottlingException")
    with pytest.raises(AwsThrottledError):
        await kms.generate_data_key(KEY, context={})
    assert len(http.sent) == 3


async def test_a_key_that_is_not_available_just_now_is_tried_again(kms, http, clock, decrypted):
    http.then_fail("KeyUnavailableException", status=500).then(decrypted)
    await kms.decrypt(CIPHERTEXT, key_id=KEY, context={})
    assert clock.sleeps == [0.05]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("DisabledException", AwsKeyError),
        ("KMSInvalidStateException", AwsKeyError),
        ("IncorrectKeyException", AwsCiphertextError),
        ("InvalidCiphertextException", AwsCiphertextError),
    ],
)
async def test_what_does_not_pass_is_raised_at_once(kms, http, code, kind):
    http.then_fail(code)
    with pytest.raises(kind) as caught:
        await kms.decrypt(CIPHERTEXT, key_id=KEY, context=CONTEXT)
    assert type(caught.value) is kind
    assert len(http.sent) == 1


@pytest.mark.parametrize(
    "answer", [{}, {"KeyId": KEY}, b"\xff", {"KeyId": KEY, "Plaintext": "!", "CiphertextBlob": "x"}]
)
async def test_an_answer_that_is_none_is_a_passing_fault_without_its_text(kms, http, answer):
    http.then(answer)
    with pytest.raises(AwsTransientError) as caught:
        await kms.generate_data_key(KEY, context={})
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
