"""The suite for key providers finds those that break a promise."""

from __future__ import annotations

import pytest

from sourceflow.errors import DecryptionFailedError
from sourceflow.testing.conformance import KeyProviderConformance
from sourceflow.testing.conformance.key_providers.data_keys import CONTEXT
from sourceflow.transports.aws import LocalKeyProvider
from sourceflow.transports.aws.encryption import GeneratedKey

KEY = b"k" * 32


class Right(LocalKeyProvider):
    """Keeps all promises, and can be asked."""

    def __init__(self, key=KEY):
        super().__init__(key)

    async def check_generate(self, context):
        pass

    async def check_decrypt(self, key_id, encrypted, context):
        await self.decrypt(key_id, encrypted, context)


class Stranger(Right):
    """Has a key of its own."""

    def __init__(self):
        super().__init__(None)


class Forgetful(Right):
    """Does not bind a key to its context."""

    async def generate(self, context):
        return await super().generate({})

    async def decrypt(self, key_id, encrypted, context):
        return await super().decrypt(key_id, encrypted, {})


class Trusting(Right):
    """Takes any key id for its own."""

    async def decrypt(self, key_id, encrypted, context):
        return await super().decrypt("local", encrypted, context)


class Frank(Right):
    """Lets the key travel beside it."""

    async def generate(self, context):
        made = await super().generate(context)
        return made._replace(encrypted=made.encrypted + made.plaintext)


class Thrifty(Right):
    """Always returns the same data key."""

    def __init__(self):
        super().__init__()
        self.made = {}

    async def generate(self, context):
        known = tuple(sorted(context.items()))
        if known not in self.made:
            self.made[known] = await super().generate(context)
        return self.made[known]


class Careless(Right):
    """Lets its own errors out."""

    async def decrypt(self, key_id, encrypted, context):
        try:
            return await super().decrypt(key_id, encrypted, context)
        except DecryptionFailedError as error:
            raise ValueError("bad tag") from error


class Talkative(Right):
    """Tells the key when it refuses."""

    async def decrypt(self, key_id, encrypted, context):
        try:
            return await super().decrypt(key_id, encrypted, context)
        except DecryptionFailedError as error:
            key = await super().decrypt(key_id, encrypted, CONTEXT)
            raise DecryptionFailedError(f"{key.hex()} is for another context") from error


class Lavish(Right):
    """Makes keys that are too long, or too large to travel."""

    async def generate(self, context):
        made = await super().generate(context)
        return GeneratedKey(made.key_id, made.plaintext, made.encrypted + bytes(2000))


class Optimist(Right):
    """Says that it would serve whatever it is asked."""

    async def check_decrypt(self, key_id, encrypted, context):
        pass


async def failing(provider, asking, *more):
    """Run one test of the suite with two such providers; return whether it failed."""
    pair = [provider(), provider()]
    arguments = {"sender": pair[0], "receiver": pair[1], "providers": pair}
    names = asking.__code__.co_varnames[1 : asking.__code__.co_argcount]
    try:
        await asking(
            KeyProviderConformance(),
            *(arguments[name] for name in names if name in arguments),
            *more,
        )
    except (AssertionError, pytest.fail.Exception, DecryptionFailedError, ValueError):
        return True
    return False


@pytest.mark.parametrize(
    ("wrong", "rule", "more"),
    [
        (Stranger, KeyProviderConformance.test_who_made_it_and_others_decrypt_it, ()),
        (Forgetful, KeyProviderConformance.test_in_another_context_it_is_refused, ({},)),
        (
            Trusting,
            KeyProviderConformance.test_a_key_that_is_not_allowed_is_refused,
            (lambda _: "",),
        ),
        (Frank, KeyProviderConformance.test_the_data_key_is_not_in_what_travels, ()),
        (Thrifty, KeyProviderConformance.test_each_data_key_is_another, ()),
        (
            Careless,
            KeyProviderConformance.test_what_was_changed_is_refused,
            (lambda encrypted: encrypted[:-1],),
        ),
        (Talkative, KeyProviderConformance.test_a_refusal_tells_nothing_of_the_key, ()),
        (Lavish, KeyProviderConformance.test_a_data_key_fits_its_use, ()),
        (
            Optimist,
            KeyProviderConformance.test_one_that_can_be_asked_answers_as_it_would_serve,
            (),
        ),
    ],
)
async def test_who_breaks_a_promise_fails_its_test(wrong, rule, more):
    assert await failing(wrong, rule, *more)
    assert not await failing(Right, rule, *more)
