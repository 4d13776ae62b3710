"""Keys in memory."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from sourceflow.bus.ports import ClaimState, IdempotencyStatistics, KeyClaim
from sourceflow.bus.ports.idempotency import DAY
from sourceflow.clock import SystemClock

if TYPE_CHECKING:
    from sourceflow.clock import Clock

__all__ = ("InMemoryIdempotency",)

CAPACITY: Final = 1_000_000
"""Keys that are kept at most."""

CHUNK: Final = 10_000
"""Keys that a cleaning looks at before it lets others run."""


class _Claimed(NamedTuple):
    token: str
    until: float


class InMemoryIdempotency:
    """See ``sourceflow.bus.ports.Idempotency``: for one process, and gone with it.

    Every App has one unless it is given another. Keys are forgotten after 24 hours, whatever
    ``ttl`` asks for, and the oldest ones, processed before claimed, when there are too many.

    Invariant: no method awaits while it looks and writes, so each is atomic.

    Args:
        capacity: Keys that are kept at most.
        clock: The time.

    Raises:
        ValueError: The capacity is less than 1.
    """

    cleanup_interval: Final = timedelta(minutes=1)
    """How long an App waits between two cleanings."""

    def __init__(self, *, capacity: int = CAPACITY, clock: Clock | None = None) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is 1 or more, not {capacity}")
        self._capacity = capacity
        self._clock = SystemClock() if clock is None else clock
        self._claimed: dict[str, _Claimed] = {}
        self._processed: dict[str, float] = {}
        self._tokens = count(1)
        self._checks = 0
        self._duplicates = 0

    async def claim(self, key: str, lease: timedelta) -> KeyClaim:
        """Claim a key for some time, unless it is processed or another owner's."""
        now = self._clock.monotonic()
        if self._is_processed(key, now):
            self._count(is_duplicate=True)
            return KeyClaim(ClaimState.DONE)
        claimed = self._claimed.get(key)
        if claimed is not None and claimed.until > now:
            remaining = timedelta(seconds=claimed.until - now)
            return KeyClaim(ClaimState.IN_PROGRESS, remaining=remaining)
        self._count(is_duplicate=False)
        token = str(next(self._tokens))
        self._forget(key)
        self._claimed[key] = _Claimed(token, now + lease.total_seconds())
        self._make_room()
        return KeyClaim(ClaimState.CLAIMED, token)

    async def extend(self, key: str, lease: timedelta, *, token: str) -> bool:
        """Let a claim last for the time of the lease from now."""
        if not self._is_owner(key, token):
            return False
        until = self._clock.monotonic() + lease.total_seconds()
        self._claimed[key] = _Claimed(token, until)
        return True

    async def complete(self, key: str, ttl: timedelta = DAY, *, token: str) -> bool:
        """End a claim: the key is processed, and stays so for some time."""
        if not self._is_owner(key, token):
            return False
        self._put(key, ttl)
        return True

    async def release(self, key: str, *, token: str) -> bool:
        """End a claim as if it had never been."""
        if not self._is_owner(key, token):
            return False
        del self._claimed[key]
        return True

    async def has_processed(self, key: str) -> bool:
        """Return whether a key is processed."""
        processed = self._is_processed(key, self._clock.monotonic())
        self._count(is_duplicate=processed)
        return processed

    async def mark_as_processed(self, key: str, ttl: timedelta = DAY) -> None:
        """Note that a key is processed, whoever has claimed it."""
        self._put(key, ttl)

    async def remove(self, key: str) -> None:
        """Forget a key, claimed or processed."""
        self._forget(key)

    async def statistics(self) -> IdempotencyStatistics:
        """Return what this object was asked, and how much it keeps."""
        return IdempotencyStatistics(self._checks, self._duplicates, self._size)

    async def clean(self) -> int:
        """Forget everything that has expired; return how many keys that were."""
        now = self._clock.monotonic()
        keys = [*self._claimed, *self._processed]
        count = 0
        for start in range(0, len(keys), CHUNK):
            expired = [key for key in keys[start : start + CHUNK] if self._is_over(key, now)]
            for key in expired:
                self._forget(key)
            count += len(expired)
            await asyncio.sleep(0)
        return count

    @property
    def _size(self) -> int:
        return len(self._claimed) + len(self._processed)

    def _count(self, *, is_duplicate: bool) -> None:
        self._checks += 1
        self._duplicates += is_duplicate

    def _is_processed(self, key: str, now: float) -> bool:
        return self._processed.get(key, now) > now

    def _is_over(self, key: str, now: float) -> bool:
        claimed = self._claimed.get(key)
        until = self._processed.get(key) if claimed is None else claimed.until
        return until is not None and until <= now

    def _is_owner(self, key: str, token: str) -> bool:
        claimed = self._claimed.get(key)
        return claimed is not None and claimed.token == token

    def _put(self, key: str, ttl: timedelta) -> None:
        self._forget(key)
        self._processed[key] = self._clock.monotonic() + min(ttl, DAY).total_seconds()
        self._make_room()

    def _forget(self, key: str) -> None:
        self._claimed.pop(key, None)
        self._processed.pop(key, None)

    def _make_room(self) -> None:
        while self._size > self._capacity:
            oldest = self._processed or self._claimed
            del oldest[next(iter(oldest))]

    def __repr__(self) -> str:
        return "InMemoryIdempotency()"
