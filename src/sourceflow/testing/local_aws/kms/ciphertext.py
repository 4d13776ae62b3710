"""What KMS gives out for a plaintext: it names its key, and what of the key encrypted it."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sourceflow.testing.local_aws.errors import AwsFault

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Ciphertext", "invalid_ciphertext")

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
_HEADER: Final = struct.Struct(">B16sI")
_FORMAT: Final = 1


class Ciphertext(NamedTuple):
    """A ciphertext: AES-256-GCM, with the header and the encryption context as additional data.

    Attributes:
        key_id: The id of the key.
        material: Which of the key's materials encrypted it, counted from 0.
        nonce: The nonce.
        sealed: What was encrypted, with its tag.
    """

    key_id: str
    material: int
    nonce: bytes
    sealed: bytes

    @classmethod
    def seal(
        cls,
        plaintext: bytes,
        context: Mapping[str, str],
        *,
        key_id: str,
        material: int,
        secret: bytes,
    ) -> Self:
        """Encrypt something.

        Args:
            plaintext: What.
            context: The encryption context.
            key_id: The id of the key.
            material: Which of the key's materials this is.
            secret: The material.
        """
        nonce = os.urandom(NONCE_BYTES)
        data = _header(key_id, material) + _canonical(context)
        return cls(key_id, material, nonce, AESGCM(secret).encrypt(nonce, plaintext, data))

    def open(self, context: Mapping[str, str], secret: bytes) -> bytes:
        """Return what was encrypted.

        Raises:
            AwsFault: Ciphertext or context is not what it was.
        """
        data = _header(self.key_id, self.material) + _canonical(context)
        try:
            return AESGCM(secret).decrypt(self.nonce, self.sealed, data)
        except InvalidTag:
            raise invalid_ciphertext() from None

    def to_bytes(self) -> bytes:
        """Return it as it is given out."""
        return _header(self.key_id, self.material) + self.nonce + self.sealed

    @classmethod
    def from_bytes(cls, blob: bytes) -> Self:
        """Read one.

        Raises:
            AwsFault: It is none.
        """
        if len(blob) < _HEADER.size + NONCE_BYTES + TAG_BYTES or blob[0] != _FORMAT:
            raise invalid_ciphertext()
        _, key_id, material = _HEADER.unpack_from(blob)
        sealed_from = _HEADER.size + NONCE_BYTES
        nonce = blob[_HEADER.size : sealed_from]
        return cls(str(UUID(bytes=key_id)), material, nonce, blob[sealed_from:])


def invalid_ciphertext() -> AwsFault:
    """Return how KMS refuses a ciphertext; it does not say why."""
    return AwsFault("InvalidCiphertextException", "")


def _header(key_id: str, material: int) -> bytes:
    return _HEADER.pack(_FORMAT, UUID(key_id).bytes, material)


def _canonical(context: Mapping[str, str]) -> bytes:
    """Write a context the same way whatever the order of its pairs, which does not count."""
    return msgspec.json.encode(sorted(context.items()))
