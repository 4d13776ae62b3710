"""Data keys without a key service, for tests and development."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from sourceflow.errors import DecryptionFailedError
from sourceflow.transports.aws.encryption.aes import KEY_BYTES, NONCE_BYTES, Aes
from sourceflow.transports.aws.encryption.key_provider import GeneratedKey

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("LocalKeyProvider",)

_CONTEXT: Final = msgspec.json.Encoder(order="deterministic")


class LocalKeyProvider:
    """Encrypts data keys with a key that is handed to it. For tests and development.

    Whoever has that key reads every message, and nobody notes it: in production leave it to a key
    service. Processes that are to read each other's messages need the same key and id.

    Args:
        key: The 32 bytes that encrypt the data keys; random ones where not given.
        key_id: What the key is called in messages.

    Raises:
        ValueError: The key does not have 32 bytes.
    """

    def __init__(self, key: bytes | None = None, *, key_id: str = "local") -> None:
        key = os.urandom(KEY_BYTES) if key is None else key
        self._aes = Aes(key)
        self._key_id = key_id

    async def generate(self, context: Mapping[str, str]) -> GeneratedKey:
        """Make a data key."""
        key = os.urandom(KEY_BYTES)
        nonce, encrypted = self._aes.encrypt(key, _CONTEXT.encode(context))
        return GeneratedKey(self._key_id, key, nonce + encrypted)

    async def decrypt(self, key_id: str, encrypted: bytes, context: Mapping[str, str]) -> bytes:
        """Decrypt a data key.

        Raises:
            DecryptionFailedError: It was not encrypted by this key and in this context.
        """
        if key_id != self._key_id:
            raise DecryptionFailedError("its key is not one that is allowed here")
        nonce, rest = encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:]
        return self._aes.decrypt(nonce, rest, _CONTEXT.encode(context))

    def __repr__(self) -> str:
        return f"LocalKeyProvider(key_id={self._key_id!r})"
