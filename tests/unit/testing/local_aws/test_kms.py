"""KMS of LocalAws as users meet it: keys that a test holds, and calls that fail."""

from __future__ import annotations

import base64

import pytest

from sourceflow.errors import (
    AwsCiphertextError,
    AwsConfigurationError,
    AwsKeyError,
    AwsRequestError,
)
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.kms.ciphertext import Ciphertext
from sourceflow.testing.local_aws.kms.service import Kms

CONTEXT = {"source": "orders", "destination": "billing"}


@pytest.fixture
def kms(aws, connect):
    return connect(aws, "kms", http=aws)


async def test_a_key_that_was_made_encrypts_data_keys(aws, kms):
    key = aws.create_key("alias/orders")
    made = await kms.generate_data_key("alias/orders", context=CONTEXT)
    found = await kms.decrypt(made.ciphertext, key_id=key.arn, context=CONTEXT)
    assert made.key_arn == found.key_arn == key.arn
    assert found.plaintext == made.plaintext
    assert (aws.calls["GenerateDataKey"], aws.calls["Decrypt"]) == (1, 1)


async def test_a_key_needs_no_alias(aws, kms):
    key = aws.create_key()
    assert (await kms.describe_key(key.id)).key_arn == key.arn


async def test_an_alias_moves_to_the_key_that_is_made_last(aws, kms):
    old = aws.create_key("alias/orders")
    made = await kms.generate_data_key("alias/orders", context=CONTEXT)
    new = aws.create_key("alias/orders")
    assert (await kms.describe_key("alias/orders")).key_arn == new.arn
    with pytest.raises(AwsCiphertextError):
        await kms.decrypt(made.ciphertext, key_id="alias/orders", context=CONTEXT)
    assert await kms.decrypt(made.ciphertext, key_id=old.arn, context=CONTEXT)


async def test_a_test_disables_enables_and_rotates_a_key(aws, kms):
    key = aws.create_key()
    made = await kms.generate_data_key(key.arn, context=CONTEXT)
    key.disable()
    with pytest.raises(AwsKeyError, match="is disabled"):
        await kms.decrypt(made.ciphertext, key_id=key.arn, context=CONTEXT)
    assert (await kms.describe_key(key.arn)).state == "Disabled"
    key.enable()
    key.rotate()
    found = await kms.decrypt(made.ciphertext, key_id=key.arn, context=CONTEXT)
    assert found.plaintext == made.plaintext


async def test_dry_runs_are_known(aws, kms):
    key = aws.create_key()
    made = await kms.generate_data_key(key.arn, context=CONTEXT)
    await kms.check_generate_data_key(key.arn, context=CONTEXT)
    await kms.check_decrypt(made.ciphertext, key_id=key.arn, context=CONTEXT)
    with pytest.raises(AwsCiphertextError):
        await kms.check_decrypt(made.ciphertext, key_id=key.arn, context={})


async def test_no_secret_is_in_the_repr_of_a_key(aws):
    assert "materials" not in repr(aws.create_key())


async def test_calls_are_refused_as_often_as_a_test_says(aws, kms):
    key = aws.create_key()
    aws.refuse("DescribeKey", "ValidationException", times=2, message="no")
    for _ in range(2):
        with pytest.raises(AwsRequestError, match="ValidationException: no"):
            await kms.describe_key(key.arn)
    assert (await kms.describe_key(key.arn)).key_arn == key.arn
    assert aws.calls["DescribeKey"] == 3


async def test_a_refusal_replaces_the_one_before(aws, kms):
    key = aws.create_key()
    aws.refuse("DescribeKey", "ValidationException", times=100)
    aws.refuse("DescribeKey", "AccessDeniedException")
    with pytest.raises(AwsKeyError):
        await kms.describe_key(key.arn)
    await kms.describe_key(key.arn)
    aws.refuse("DescribeKey", "ValidationException", times=100)
    aws.refuse("DescribeKey", "ValidationException", times=0)
    await kms.describe_key(key.arn)


async def test_calls_of_sqs_and_sns_are_refused_too_and_have_no_effect(aws, connect):
    sqs, sns = connect(aws), connect(aws, "sns")
    aws.refuse("CreateQueue", "AccessDenied", status=403)
    with pytest.raises(AwsConfigurationError, match="AccessDenied"):
        await sqs.create_queue("orders")
    with pytest.raises(AwsConfigurationError, match="QueueDoesNotExist"):
        await sqs.get_queue_url("orders")
    aws.refuse("GetTopicAttributes", "InvalidParameter", message="no")
    with pytest.raises(AwsRequestError, match="no"):
        await sns.get_topic_attributes("arn:aws:sns:us-east-1:000000000000:orders")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "SerializationException"),
        (b'{"KeyId": "\xff"}', "SerializationException"),
        (b"{}", "ValidationException"),
        (b'{"CiphertextBlob": ""}', "ValidationException"),
        (b'{"CiphertextBlob": "AQID"}', "InvalidCiphertextException"),
    ],
)
def test_a_request_that_is_none_is_refused(body, code):
    with pytest.raises(AwsFault) as caught:
        Kms(region="us-east-1", account_id="1").call("Decrypt", body, 0.0)
    assert caught.value.code == code


def test_a_material_that_the_key_does_not_have_is_refused():
    core = Kms(region="us-east-1", account_id="1")
    key = core.keys.create(0.0)
    blob = bytearray(key.encrypt(b"x", CONTEXT))
    blob[20] = 7  # the number of a material that the key does not have
    with pytest.raises(AwsFault) as caught:
        core.call("Decrypt", b'{"CiphertextBlob": "%s"}' % base64.b64encode(blob), 0.0)
    assert caught.value.code == "InvalidCiphertextException"


def test_a_rotated_key_encrypts_with_its_newest_material():
    key = Kms(region="us-east-1", account_id="1").keys.create(0.0)
    before = Ciphertext.from_bytes(key.encrypt(b"x", CONTEXT))
    key.rotate()
    after = Ciphertext.from_bytes(key.encrypt(b"x", CONTEXT))
    assert (before.material, after.material) == (0, 1)
    assert key.decrypt(before, CONTEXT) == key.decrypt(after, CONTEXT) == b"x"
    # The materials themselves differ: neither decrypts what says it is the other's.
    with pytest.raises(AwsFault):
        key.decrypt(after._replace(material=0), CONTEXT)
