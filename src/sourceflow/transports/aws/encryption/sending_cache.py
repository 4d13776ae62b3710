"""Data keys that messages are encrypted with, kept for a while."""

from __future__ import annotations

import logging
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sourceflow.errors import DependencyError
from sourceflow.transports.aws.encryption.aes import Aes
from sourceflow.transports.aws.encryption.format import PREFIX, KeySection, write_key_section
from sourceflow.transports.aws.encryption.key_provider import asking, key_context
from sourceflow.transports.aws.encryption.single_flight import SingleFlight

if TYPE_CHECKING:
    from sourceflow.clock import Clock
    from sourceflow.resilience.task_scope import TaskScope
    from sourceflow.transports.aws.encryption.key_provider import KeyProvider

__all__ = ("DEFAULT_LIFETIME", "KeyLimits", "SendingCache", "SendingKey")

log = logging.getLogger(__name__)

DEFAULT_LIFETIME: Final = timedelta(minutes=5)
"""How long a data key is used where nothing else is said."""

MOST_KEYS: Final = 1_000
"""Keys that are kept: one for each destination, and for each App whose letters are moved on."""

RENEWED_AT: Final = 0.8
"""The part of its life after which the next key is fetched while this one is still used."""

PAUSE: Final = timedelta(seconds=1)
"""How long nobody asks again after a call that failed: of a thousand messages that are sent
together, one waits for the key service, and all get its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """How much one data key is used for.

    Attributes:
        lifetime: How long.
        messages: For how many messages. Random nonces would allow 2^32 (NIST SP 800-38D, section
            8.3); this stays far below.
        size: For how many bytes.
    """

    lifetime: timedelta = DEFAULT_LIFETIME
    messages: int = 2**20
    size: int = 2**32


class SendingKey:
    """A data key, with what every message that it encrypts begins with."""

    __slots__ = (
        "_few_bytes", "_few_messages", "_messages", "_renewed_from", "_size", "_until", "aes", "section"
    )  # fmt: skip

    def __init__(self, aes: Aes, section: bytes, *, limits: KeyLimits, now: float) -> None:
        lifetime = limits.lifetime.total_seconds()
        self.aes = aes
        self.section = section
        self._messages = limits.messages
        self._size = limits.size
        self._few_messages = limits.messages - int(RENEWED_AT * limits.messages)
        self._few_bytes = limits.size - int(RENEWED_AT * limits.size)
        self._renewed_from = now + RENEWED_AT * lifetime
        self._until = now + lifetime

    def takes(self, size: int, now: float) -> bool:
        """Whether a message of so many bytes may still be encrypted with it."""
        return now < self._until and self._messages > 0 and self._size >= size

    def use(self, size: int) -> None:
        """Count a message of so many bytes."""
        self._messages -= 1
        self._size -= size

    def nears_its_end(self, now: float) -> bool:
        """Whether it is time to fetch the next one."""
        return (
            now >= self._renewed_from
            or self._messages <= self._few_messages
            or self._size <= self._few_bytes
        )


_Purpose = tuple[str, str]
"""Source and destination: what a data key is for."""


class _Failure(NamedTuple):
    """A call that failed, and until when nobody asks again."""

    error: DependencyError
    until: float


class SendingCache:
    """Gives each source and destination a data key, and a new one before it ends.

    However many send at once, one call fetches a key. A key is renewed while it is still used, so
    that nobody waits; where the renewal fails it is used to its end, and no longer.

    Args:
        keys: Makes data keys.
        tasks: Runs the calls.
        clock: The time.
        limits: How much one key is used for.
        prefix: What everything that they encrypt begins with.

    Attributes:
        hits: Keys that were given out without asking for one.
        misses: Keys that were asked for.
    """

    def __init__(
        self,
        keys: KeyProvider,
        *,
        tasks: TaskScope,
        clock: Clock,
        limits: KeyLimits,
        prefix: bytes = PREFIX,
    ) -> None:
        self._keys = keys
        self._prefix = prefix
        self._clock = clock
        self._limits = limits
        self._kept: OrderedDict[_Purpose, SendingKey] = OrderedDict()
        self._failures: dict[_Purpose, _Failure] = {}
        self._flights = SingleFlight(self._fetch, tasks, name="sourceflow data key")
        self.hits = 0
        self.misses = 0

    async def key(self, source: str, destination: str, size: int) -> SendingKey:
        """Return a key for a message of so many bytes, and count it.

        Raises:
            DependencyError: There is none to have now.
        """
        purpose = (source, destination)
        now = self._clock.monotonic()
        found = self._kept.get(purpose)
        if found is not None and found.takes(size, now):
            self.hits += 1
        else:
            found = await self._wait_for(purpose, size)
            now = self._clock.monotonic()
        found.use(size)
        if found.nears_its_end(now) and self._failure(purpose, now) is None:
            with suppress(RuntimeError):  # the transport closes: this key will do
                self._flights.begin(purpose)
        return found

    async def _wait_for(self, purpose: _Purpose, size: int) -> SendingKey:
        while True:  # others who waited too may have used it up
            if (failure := self._failure(purpose, self._clock.monotonic())) is not None:
                raise failure
            with asking(purpose[1]):
                found = await self._flights.get(purpose)
            if found.takes(size, self._clock.monotonic()):
                return found

    def _failure(self, purpose: _Purpose, now: float) -> DependencyError | None:
        """Return how the last call failed, while nobody asks again."""
        failure = self._failures.get(purpose)
        return None if failure is None or now >= failure.until else failure.error

    async def _fetch(self, purpose: _Purpose) -> SendingKey:
        source, destination = purpose
        self.misses += 1
        try:
            with asking(destination):
                made = await self._keys.generate(key_context(source, destination))
                section = KeySection(made.key_id, made.encrypted, source, destination)
                key = SendingKey(
                    Aes(made.plaintext),
                    write_key_section(section, self._prefix),
                    limits=self._limits,
                    now=self._clock.monotonic(),
                )
        except DependencyError as error:
            until = self._clock.monotonic() + PAUSE.total_seconds()
            self._failures[purpose] = _Failure(error, until)
            log.warning("no data key for %s: %s", destination, error)
            raise
        self._failures.pop(purpose, None)
        self._kept[purpose] = key
        self._kept.move_to_end(purpose)
        if len(self._kept) > MOST_KEYS:
            self._kept.popitem(last=False)
        return key
