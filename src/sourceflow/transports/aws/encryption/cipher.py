"""Encrypts messages for their destination, and decrypts them where they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Self

import msgspec

from sourceflow.errors import DecryptionFailedError
from sourceflow.transports.aws.encryption.format import (
    read_sealed,
    write_message_section,
    write_sealed,
)
from sourceflow.transports.aws.encryption.receiving_cache import ReceivingCache
from sourceflow.transports.aws.encryption.sending_cache import KeyLimits, SendingCache

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta

    from sourceflow.clock import Clock
    from sourceflow.resilience.task_scope import TaskScope
    from sourceflow.transports.aws.encryption.format import KeySection, Sealed
    from sourceflow.transports.aws.encryption.key_provider import KeyProvider

__all__ = ("Cipher", "Lookups")


class _Identity(msgspec.Struct, gc=False):
    """Of a document, what stands in the header too."""

    id: str
    source: str
    type: str


_IDENTITY: Final = msgspec.json.Decoder(_Identity)
_UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, ValueError)


class Lookups(NamedTuple):
    """What a cache of data keys has done.

    Attributes:
        hits: Messages that it had a key for.
        misses: Calls of the key service.
    """

    hits: int
    misses: int


class Cipher:
    """Encrypts messages for their destination, and decrypts them where they arrive.

    The whole header is authenticated: key, source, destination, type and id stand in clear in it,
    and none of them can be changed. So a message can't be moved to another queue, nor pass as
    another one. Source and destination are the context of its data key too, which the key service
    checks by itself.

    Args:
        sending: Data keys to encrypt with.
        receiving: Data keys that were decrypted.
    """

    def __init__(self, sending: SendingCache, receiving: ReceivingCache) -> None:
        self._sending = sending
        self._receiving = receiving

    @classmethod
    def of(cls, keys: KeyProvider, *, tasks: TaskScope, clock: Clock, lifetime: timedelta) -> Self:
        """Return a cipher with caches of its own.

        Args:
            keys: Makes and decrypts data keys.
            tasks: Runs its calls.
            clock: The time.
            lifetime: How long a data key is used, and how long a decrypted one is kept.
        """
        return cls(
            SendingCache(keys, tasks=tasks, clock=clock, limits=KeyLimits(lifetime=lifetime)),
            ReceivingCache(keys, tasks=tasks, clock=clock, lifetime=lifetime),
        )

    @property
    def latest_key(self) -> KeySection | None:
        """The data key that was decrypted last, encrypted as it came; None before the first."""
        return self._receiving.latest

    def lookups(self) -> dict[str, Lookups]:
        """Return what the caches have done since the transport has opened."""
        return {
            "encrypt": Lookups(self._sending.hits, self._sending.misses),
            "decrypt": Lookups(self._receiving.hits, self._receiving.misses),
        }

    async def encrypt(
        self, document: bytes, *, message_id: str, type_name: str, source: str, destination: str
    ) -> str:
        """Return a message encrypted for a destination, as it travels.

        Args:
            document: The message in clear.
            message_id: Its id; like type and source, it must be what the document says.
            type_name: Its wire name.
            source: Who made it.
            destination: The ARN of its queue or topic.

        Raises:
            DependencyError: There is no data key to have now.
        """
        key = await self._sending.key(source, destination, len(document))
        header = key.section + write_message_section(type_name, message_id)
        nonce, ciphertext = key.aes.encrypt(document, header)
        return write_sealed(header, nonce, ciphertext)

    async def decrypt(
        self, body: bytes, *, destinations: Collection[str], type_hint: str | None = None
    ) -> bytes:
        """Return a message in clear.

        Args:
            body: As it came.
            destinations: ARNs of the queues and topics that it may have been encrypted for.
            type_hint: The wire name that stands beside it; must be the one inside.

        Raises:
            DecryptionFailedError: Something of it was changed, it is for another destination, or its
                key is not allowed. Nothing of it can be used.
            DependencyError: Its key can't be decrypted now.
        """
        sealed = read_sealed(body)
        if sealed.key.destination not in destinations:
            raise DecryptionFailedError("it was encrypted for another queue or topic")
        if type_hint is not None and type_hint != sealed.type_name:
            raise DecryptionFailedError("the type beside it is not the type in it")
        aes = self._receiving.at_hand(sealed.key) or await self._receiving.key(sealed.key)
        document = aes.decrypt(sealed.nonce, sealed.ciphertext, sealed.header)
        _check_identity(document, sealed)
        return document


def _check_identity(document: bytes, sealed: Sealed) -> None:
    """Check that a document is what its header says: others have judged it by that."""
    try:
        inside = _IDENTITY.decode(document)
    except _UNREADABLE:
        raise DecryptionFailedError("what is inside is not one of our documents") from None
    if (
        inside.id != sealed.message_id
        or inside.source != sealed.key.source
        or inside.type != sealed.type_name
    ):
        raise DecryptionFailedError("what is inside is not what stands in clear")
