"""Data keys that serve for a day, and that the key service has to give out again and again."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sourceflow.errors import DecryptionFailedError
from sourceflow.transports.aws.encryption.key_provider import GeneratedKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.encryption.key_provider import KeyProvider

__all__ = ("LastingKeys",)

log = logging.getLogger(__name__)

LIFETIME: Final = timedelta(hours=24)
"""How long one data key encrypts. What is kept for years is encrypted by one key a day, and to read
it all takes as many calls of the key service."""

MOST_USES: Final = 2**10
"""How often one data key is given out. Each time it may encrypt 2^20 records
(``KeyLimits.messages``): with random nonces a key is good for 2^32 (NIST SP 800-38D, section 8.3)."""


class _Kept(NamedTuple):
    key_id: str
    encrypted: bytes
    until: float
    uses: int


class LastingKeys:
    """A key provider that makes few data keys: it has the last one decrypted instead.

    Who asks for a data key every few minutes thus asks the key service every time, which may refuse,
    and gets the same one for a day.

    Args:
        keys: Makes and decrypts data keys.
        clock: The time.
    """

    def __init__(self, keys: KeyProvider, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._kept: _Kept | None = None

    async def generate(self, context: Mapping[str, str]) -> GeneratedKey:
        """Return the data key of the day; calls have one context, one after the other.

        Raises:
            DependencyError: There is none to have now. The next call makes another one.
        """
        kept, self._kept = self._kept, None
        if kept is not None and self._is_good(kept):
            try:
                plaintext = await self._keys.decrypt(kept.key_id, kept.encrypted, context)
            except DecryptionFailedError as error:
                log.warning("a new data key is made before its time: %s", error)
            else:
                self._kept = kept._replace(uses=kept.uses + 1)
                return GeneratedKey(kept.key_id, plaintext, kept.encrypted)
        made = await self._keys.generate(context)
        until = self._clock.monotonic() + LIFETIME.total_seconds()
        self._kept = _Kept(made.key_id, made.encrypted, until, 1)
        return made

    def _is_good(self, kept: _Kept) -> bool:
        return self._clock.monotonic() < kept.until and kept.uses < MOST_USES

    async def decrypt(self, key_id: str, encrypted: bytes, context: Mapping[str, str]) -> bytes:
        """Decrypt any data key."""
        return await self._keys.decrypt(key_id, encrypted, context)
