from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sourceflow.errors import (
    AwsCiphertextError,
    AwsKeyError,
    AwsThrottledError,
    DecryptionFailedError,
    KeyUnavailableError,
)
from sourceflow.transports.aws.client import DataKey, DecryptedKey, KeyDescription
from sourceflow.transports.aws.encryption.kms_provider import KmsKeyProvider

CONTEXT = {"source": "/shop", "destination": "arn:q"}
FIRST = "arn:aws:kms:us-east-1:000000000000:key/first"
SECOND = "arn:aws:kms:us-east-1:000000000000:key/second"
STRANGE = "arn:aws:kms:us-east-1:999999999999:key/strange"


class Kms:
    """KMS, as far as a provider calls it."""

    def __init__(self):
        self.aliases = {"alias/orders": FIRST}
        self.calls = []
        self.fault = None

    async def generate_data_key(self, key_id, *, context):
        self._call("GenerateDataKey", key_id)
        arn = self.aliases.get(key_id, key_id)
        return DataKey(arn, b"k" * 32, arn.encode() + b"|" + repr(context).encode())

    async def decrypt(self, ciphertext, *, key_id, context):
        self._call("Decrypt", key_id)
        if ciphertext != key_id.encode() + b"|" + repr(context).encode():
            raise AwsCiphertextError("", code="InvalidCiphertextException")
        return DecryptedKey(key_id, b"k" * 32)

    async def describe_key(self, key_id):
        self._call("DescribeKey", key_id)
        return KeyDescription(self.aliases[key_id], "Enabled", "", "")

    def _call(self, operation, key_id):
        self.calls.append((operation, key_id))
        if self.fault is not None:
            raise self.fault

    def count(self, operation):
        return sum(name == operation for name, _ in self.calls)


@pytest.fixture
def kms():
    return Kms()


@pytest.fixture
def make_provider(kms, clock):
    def make(key_id="alias/orders", *decrypt_key_ids):
        return KmsKeyProvider(kms, key_id=key_id, decrypt_key_ids=decrypt_key_ids, clock=clock)

    return make


async def test_what_travels_names_the_key_and_not_its_alias(make_provider):
    provider = make_provider()
    made = await provider.generate(CONTEXT)
    assert made.key_id == FIRST
    assert await provider.decrypt(made.key_id, made.encrypted, CONTEXT) == made.plaintext


async def test_a_receiver_finds_the_key_of_its_alias_once(make_provider, kms):
    made = await make_provider().generate(CONTEXT)
    receiver = make_provider()
    await asyncio.gather(
        *(receiver.decrypt(made.key_id, made.encrypted, CONTEXT) for _ in range(3))
    )
    assert kms.count("DescribeKey") == 1


async def test_a_key_named_by_its_arn_needs_no_look(make_provider, kms):
    made = await make_provider(FIRST).generate(CONTEXT)
    await make_provider(None, FIRST).decrypt(made.key_id, made.encrypted, CONTEXT)
    assert kms.count("DescribeKey") == 0


async def test_an_alias_may_move_while_messages_are_under_way(make_provider, kms):
    provider = make_provider()
    before = await provider.generate(CONTEXT)
    receiver = make_provider()
    await receiver.decrypt(before.key_id, before.encrypted, CONTEXT)

    kms.aliases["alias/orders"] = SECOND
    after = await provider.generate(CONTEXT)
    for made in (after, before, after):
        assert await receiver.decrypt(made.key_id, made.encrypted, CONTEXT)
        assert await provider.decrypt(made.key_id, made.encrypted, CONTEXT)


async def test_a_moved_alias_is_seen_at_once(make_provider, kms):
    """Strangers and others were looked for a moment ago."""
    sender, receiver = make_provider(), make_provider()
    made = await sender.generate(CONTEXT)
    assert await receiver.decrypt(made.key_id, made.encrypted, CONTEXT)
    with pytest.raises(DecryptionFailedError):
        await receiver.decrypt(STRANGE, b"x", CONTEXT)

    kms.aliases["alias/orders"] = SECOND
    made = await sender.generate(CONTEXT)
    assert await receiver.decrypt(made.key_id, made.encrypted, CONTEXT)


async def test_many_strangers_cost_ten_calls_a_minute(make_provider, kms, clock):
    provider = make_provider()
    for round_ in (1, 2):
        for number in range(100):
            with pytest.raises(DecryptionFailedError, match="not one that is allowed"):
                await provider.decrypt(f"{STRANGE}-{number}", b"x", CONTEXT)
        assert kms.count("DescribeKey") == 10 * round_
        await clock.advance(timedelta(minutes=1))


async def test_a_strangers_key_is_never_used(make_provider, kms):
    provider = make_provider("alias/orders", SECOND)
    for _ in range(5):
        with pytest.raises(DecryptionFailedError, match="not one that is allowed"):
            await provider.decrypt(STRANGE, b"x", CONTEXT)
    assert kms.count("Decrypt") == 0
    assert kms.count("DescribeKey") == 1  # a stranger's messages must not cost a call each


async def test_where_only_arns_are_named_a_stranger_costs_no_call(make_provider, kms):
    provider = make_provider(FIRST)
    for _ in range(2):
        with pytest.raises(DecryptionFailedError):
            await provider.decrypt(STRANGE, b"x", CONTEXT)
    assert kms.calls == []


async def test_a_key_to_decrypt_with_encrypts_nothing(make_provider):
    with pytest.raises(KeyUnavailableError, match="no kms_key_id"):
        await make_provider(None, FIRST).generate(CONTEXT)


async def test_what_kms_refuses_to_decrypt_is_refused(make_provider):
    provider = make_provider()
    made = await provider.generate(CONTEXT)
    with pytest.raises(DecryptionFailedError, match="InvalidCiphertextException"):
        await provider.decrypt(made.key_id, made.encrypted, {"source": "/other"})


@pytest.mark.parametrize(
    "fault",
    [
        AwsKeyError("", code="DisabledException"),
        AwsThrottledError("", code="ThrottlingException"),
    ],
)
async def test_a_key_that_is_away_is_not_a_message_that_is_wrong(make_provider, kms, fault):
    provider = make_provider(FIRST)
    made = await provider.generate(CONTEXT)
    kms.fault = fault
    with pytest.raises(type(fault)):
        await provider.decrypt(made.key_id, made.encrypted, CONTEXT)
    with pytest.raises(type(fault)):
        await provider.generate(CONTEXT)


async def test_before_an_alias_was_found_nobody_is_judged_by_it(make_provider, kms):
    kms.fault = AwsKeyError("", code="AccessDeniedException")
    provider = make_provider()
    with pytest.raises(AwsKeyError):
        await provider.decrypt(FIRST, b"x", CONTEXT)


async def test_after_that_a_stranger_cannot_make_us_wait(make_provider, kms, clock):
    provider = make_provider()
    with pytest.raises(DecryptionFailedError):
        await provider.decrypt(STRANGE, b"x", CONTEXT)
    kms.fault = AwsKeyError("", code="AccessDeniedException")
    await clock.advance(timedelta(minutes=1))
    with pytest.raises(DecryptionFailedError, match="not one that is allowed"):
        await provider.decrypt(STRANGE, b"x", CONTEXT)


def test_its_repr_names_the_key(make_provider):
    assert repr(make_provider()) == "KmsKeyProvider(key_id='alias/orders')"
