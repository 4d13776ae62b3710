"""A key service makes data keys, and gives each back for what it was made, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import pytest

from sourceflow.errors import DecryptionFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sourceflow.transports.aws import GeneratedKey, KeyProvider

__all__ = ("KeyProviderConformance",)

KEY_BYTES: Final = 32
"""AES-256."""

MAX_BYTES: Final = 1024
"""What the encrypted key and its id may take in a message."""

CONTEXT: Final = {"source": "/shop", "destination": "arn:aws:sqs:eu-central-1:111122223333:orders"}
OTHER_CONTEXTS: Final = {
    "another App": CONTEXT | {"source": "/bank"},
    "another destination": CONTEXT | {"destination": "arn:aws:sqs:eu-central-1:111122223333:bank"},
    "more": CONTEXT | {"purpose": "stores"},
    "less": {"source": "/shop"},
    "none": {},
}
OTHER_BYTES: Final = {
    "first byte": lambda encrypted: bytes([encrypted[0] ^ 1]) + encrypted[1:],
    "last byte": lambda encrypted: encrypted[:-1] + bytes([encrypted[-1] ^ 1]),
    "cut off": lambda encrypted: encrypted[:-1],
    "begun": lambda encrypted: encrypted[:5],
    "nothing": lambda _: b"",
    "made up": lambda encrypted: bytes(len(encrypted)),
}


@pytest.mark.asyncio
class KeyProviderConformance:
    """What the port `sourceflow.transports.aws.KeyProvider` promises, as tests.

    A subclass whose name begins with `Test` overrides the fixture `providers`. One that can be
    asked whether it would serve, a `CheckedKeyProvider`, is tested as one.
    """

    @pytest.fixture
    def providers(self) -> Sequence[KeyProvider]:
        """Return two providers that are ready and allowed the same keys, as two processes' are."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture providers that returns two key providers, "
            "ready, which are allowed the same keys"
        )

    @pytest.fixture
    def sender(self, providers: Sequence[KeyProvider]) -> KeyProvider:
        """The provider of who encrypts."""
        return providers[0]

    @pytest.fixture
    def receiver(self, providers: Sequence[KeyProvider]) -> KeyProvider:
        """The provider of who decrypts."""
        return providers[1]

    async def test_a_data_key_fits_its_use(self, sender: KeyProvider) -> None:
        made = await sender.generate(CONTEXT)
        assert isinstance(made.key_id, str)
        assert made.key_id
        assert len(made.plaintext) == KEY_BYTES
        assert made.encrypted
        assert len(made.key_id.encode()) + len(made.encrypted) <= MAX_BYTES

    async def test_the_data_key_is_not_in_what_travels(self, sender: KeyProvider) -> None:
        made = await sender.generate(CONTEXT)
        assert made.plaintext not in made.encrypted + made.key_id.encode()
        assert made.plaintext.hex() not in made.encrypted.hex() + made.key_id.lower()
        assert repr(made.plaintext) not in repr(made)

    async def test_who_made_it_and_others_decrypt_it(
        self, sender: KeyProvider, receiver: KeyProvider
    ) -> None:
        made = await sender.generate(CONTEXT)
        for provider in (sender, receiver, sender):
            assert await _decrypt(provider, made) == made.plaintext

    async def test_the_order_of_a_context_does_not_count(
        self, sender: KeyProvider, receiver: KeyProvider
    ) -> None:
        made = await sender.generate(CONTEXT)
        turned = dict(reversed(CONTEXT.items()))
        assert await _decrypt(receiver, made, context=turned) == made.plaintext

    async def test_each_data_key_is_another(self, providers: Sequence[KeyProvider]) -> None:
        made = await asyncio.gather(*(providers[at % 2].generate(CONTEXT) for at in range(20)))
        assert len({each.plaintext for each in made}) == len(made)
        assert len({each.encrypted for each in made}) == len(made)

    async def test_many_at_once_are_not_mixed_up(
        self, sender: KeyProvider, receiver: KeyProvider
    ) -> None:
        contexts = [CONTEXT | {"source": f"/app-{number}"} for number in range(20)]
        made = await asyncio.gather(*map(sender.generate, contexts))
        found = await asyncio.gather(
            *(
                _decrypt(receiver, each, context=context)
                for each, context in zip(made, contexts, strict=True)
            )
        )
        assert found == [each.plaintext for each in made]

    @pytest.mark.parametrize("context", OTHER_CONTEXTS.values(), ids=OTHER_CONTEXTS)
    async def test_in_another_context_it_is_refused(
        self, sender: KeyProvider, receiver: KeyProvider, context: Mapping[str, str]
    ) -> None:
        made = await sender.generate(CONTEXT)
        with pytest.raises(DecryptionFailedError):
            await _decrypt(receiver, made, context=context)

    @pytest.mark.parametrize("change", OTHER_BYTES.values(), ids=OTHER_BYTES)
    async def test_what_was_changed_is_refused(
        self, sender: KeyProvider, receiver: KeyProvider, change: Any
    ) -> None:
        made = await sender.generate(CONTEXT)
        with pytest.raises(DecryptionFailedError):
            await _decrypt(receiver, made, encrypted=change(made.encrypted))

    @pytest.mark.parametrize(
        "change", [lambda key_id: f"{key_id}x", lambda _: "", lambda _: "é" * 100]
    )
    async def test_a_key_that_is_not_allowed_is_refused(
        self, sender: KeyProvider, receiver: KeyProvider, change: Any
    ) -> None:
        made = await sender.generate(CONTEXT)
        with pytest.raises(DecryptionFailedError):
            await _decrypt(receiver, made, key_id=change(made.key_id))

    async def test_a_refusal_tells_nothing_of_the_key(
        self, sender: KeyProvider, receiver: KeyProvider
    ) -> None:
        made = await sender.generate(CONTEXT)
        with pytest.raises(DecryptionFailedError) as refused:
            await _decrypt(receiver, made, context={})
        told = f"{refused.value} {refused.value!r}"
        assert repr(made.plaintext)[2:-1] not in told
        assert made.plaintext.hex() not in told

    async def test_one_that_can_be_asked_answers_as_it_would_serve(
        self, sender: KeyProvider, receiver: KeyProvider
    ) -> None:
        from sourceflow.transports.aws import (  # noqa: PLC0415 - stores have no need of AWS
            CheckedKeyProvider,
        )

        if not isinstance(receiver, CheckedKeyProvider):
            pytest.skip(f"{type(receiver).__name__} has no check_generate and check_decrypt")
        made = await sender.generate(CONTEXT)
        await receiver.check_generate(CONTEXT)
        await receiver.check_decrypt(made.key_id, made.encrypted, CONTEXT)
        with pytest.raises(DecryptionFailedError):
            await receiver.check_decrypt(made.key_id, made.encrypted, {})
        with pytest.raises(DecryptionFailedError):
            await receiver.check_decrypt(f"{made.key_id}x", made.encrypted, CONTEXT)


async def _decrypt(provider: KeyProvider, made: GeneratedKey, **changes: Any) -> bytes:
    """Decrypt a data key, as it was made but for the changes."""
    given = {"key_id": made.key_id, "encrypted": made.encrypted, "context": CONTEXT} | changes
    return await provider.decrypt(given["key_id"], given["encrypted"], given["context"])
