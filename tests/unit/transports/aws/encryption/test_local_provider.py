from __future__ import annotations

import pytest

from sourceflow.errors import DecryptionFailedError
from sourceflow.transports.aws import LocalKeyProvider

CONTEXT = {"source": "/shop", "destination": "arn:q"}


async def test_what_one_made_another_with_the_same_key_decrypts():
    made = await LocalKeyProvider(b"k" * 32).generate(CONTEXT)
    turned = dict(reversed(CONTEXT.items()))
    found = await LocalKeyProvider(b"k" * 32).decrypt(made.key_id, made.encrypted, turned)
    assert found == made.plaintext


async def test_two_data_keys_are_different():
    keys = LocalKeyProvider()
    assert (await keys.generate(CONTEXT)).plaintext != (await keys.generate(CONTEXT)).plaintext


@pytest.mark.parametrize(
    "change",
    [
        lambda key_id, encrypted, context: ("other", encrypted, context),
        lambda key_id, encrypted, context: (key_id, encrypted[:-1], context),
        lambda key_id, encrypted, context: (key_id, encrypted[:5], context),
        lambda key_id, encrypted, context: (key_id, b"", context),
        lambda key_id, encrypted, context: (key_id, encrypted, context | {"source": "/x"}),
        lambda key_id, encrypted, context: (key_id, encrypted, {}),
    ],
)
async def test_another_key_other_bytes_and_another_context_are_refused(change):
    keys = LocalKeyProvider()
    made = await keys.generate(CONTEXT)
    with pytest.raises(DecryptionFailedError):
        await keys.decrypt(*change(made.key_id, made.encrypted, CONTEXT))


async def test_no_key_stands_in_a_repr():
    keys = LocalKeyProvider(b"k" * 32)
    made = await keys.generate(CONTEXT)
    assert repr(keys) == "LocalKeyProvider(key_id='local')"
    assert repr(made) == "GeneratedKey(key_id='local')"


def test_a_key_of_another_length_is_refused():
    with pytest.raises(ValueError, match="32 bytes, not 16"):
        LocalKeyProvider(b"k" * 16)
