"""AES-256-GCM, by the library ``cryptography``."""

from __future__ import annotations

import os
from typing import Final

from sourceflow.errors import DecryptionFailedError, MissingExtraError

__all__ = ("KEY_BYTES", "NONCE_BYTES", "TAG_BYTES", "Aes")

KEY_BYTES: Final = 32
"""The bytes of a key: AES-256."""

NONCE_BYTES: Final = 12
"""What AES-GCM takes without hashing it first (NIST SP 800-38D, section 8.2.1)."""

TAG_BYTES: Final = 16
"""The full tag: shorter ones are easier to guess (NIST SP 800-38D, appendix C)."""


class Aes:
    """One key, ready to encrypt and decrypt; it does not give the key away again.

    Raises:
        MissingExtraError: ``cryptography`` is not installed.
        ValueError: The key does not have 32 bytes.
    """

    __slots__ = ("_cipher", "_invalid_tag")

    def __init__(self, key: bytes) -> None:
        try:  # imported when the first key is there: most programs encrypt nothing
            from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - optional
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - optional
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "cryptography":
                raise
            raise MissingExtraError("aws", "cryptography") from error
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)
        self._invalid_tag = InvalidTag

    def encrypt(self, data: bytes, authenticated: bytes) -> tuple[bytes, bytes]:
        """Return a new random nonce, and the data encrypted under it with the tag behind.

        Random nonces of 96 bits are safe for far more messages than a data key has
        (NIST SP 800-38D, section 8.3, allows 2^32).
        """
        nonce = os.urandom(NONCE_BYTES)
        return nonce, self._cipher.encrypt(nonce, data, authenticated)

    def decrypt(self, nonce: bytes, data: bytes, authenticated: bytes) -> bytes:
        """Return the data in clear.

        Raises:
            DecryptionFailedError: Data, nonce, what is authenticated or the key is not the same.
        """
        try:
            return self._cipher.decrypt(nonce, data, authenticated)
        except (self._invalid_tag, ValueError):  # ValueError: too short for a nonce
            raise DecryptionFailedError("its tag is wrong: something of it was changed") from None
