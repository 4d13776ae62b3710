"""Data keys that were decrypted, kept for the messages that follow."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from sourceflow.transports.aws.encryption.aes import Aes
from sourceflow.transports.aws.encryption.key_provider import asking, key_context
from sourceflow.transports.aws.encryption.single_flight import SingleFlight

if TYPE_CHECKING:
    from datetime import timedelta

    from sourceflow.clock import Clock
    from sourceflow.resilience.task_scope import TaskScope
    from sourceflow.transports.aws.encryption.format import KeySection
    from sourceflow.transports.aws.encryption.key_provider import KeyProvider

__all__ = ("ReceivingCache",)

MOST_KEYS: Final = 1_000
"""Decrypted data keys that are kept; the one that was not needed longest makes room."""


class _Decrypted(NamedTuple):
    aes: Aes
    until: float


class ReceivingCache:
    """Decrypts each data key once, however many messages it has encrypted.

    A key is kept for a limited time: a key that was disabled stops decrypting then.

    Attributes:
        latest: The data key that was decrypted last, encrypted as it came; None before the first.

    Args:
        keys: Decrypts data keys.
        tasks: Runs the calls.
        clock: The time.
        lifetime: How long a decrypted key is kept.

    Attributes:
        hits: Messages whose key was kept.
        misses: Keys that were sent to be decrypted.
    """

    def __init__(
        self, keys: KeyProvider, *, tasks: TaskScope, clock: Clock, lifetime: timedelta
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._lifetime = lifetime.total_seconds()
        self._kept: OrderedDict[KeySection, _Decrypted] = OrderedDict()
        self.latest: KeySection | None = None
        self._flights = SingleFlight(self._fetch, tasks, name="sourceflow data key")
        self.hits = 0
        self.misses = 0

    def at_hand(self, section: KeySection) -> Aes | None:
        """Return the data key of a message, if it is kept."""
        found = self._kept.get(section)
        if found is None or self._clock.monotonic() >= found.until:
            return None
        self._kept.move_to_end(section)
        self.hits += 1
        return found.aes

    async def key(self, section: KeySection) -> Aes:
        """Return the data key of a message.

        Raises:
            DecryptionFailedError: It can never be decrypted here.
            DependencyError: It cannot be decrypted now.
        """
        kept = self.at_hand(section)
        if kept is not None:
            return kept
        with asking(section.key_id):
            return await self._flights.get(section)

    async def _fetch(self, section: KeySection) -> Aes:
        self.misses += 1
        context = key_context(section.source, section.destination)
        aes = Aes(await self._keys.decrypt(section.key_id, section.encrypted_key, context))
        self._kept[section] = _Decrypted(aes, self._clock.monotonic() + self._lifetime)
        self._kept.move_to_end(section)
        self.latest = section
        if len(self._kept) > MOST_KEYS:
            self._kept.popitem(last=False)
        return aes
