"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

__all__ = ("ManualClock",)


class ManualClock:
    """Moves only when it is told to; wakes every sleeper whose time has come, in order.

    Args:
        start: The time of day at the beginning.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._seconds = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return self._start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """Return the seconds that the clock was moved by."""
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved by so many seconds."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + seconds, next(self._order), waker))
        await waker

    @property
    def sleepers(self) -> int:
        """How many wait for the clock."""
        return sum(not waker.done() for _, _, waker in self._sleepers)

    async def advance(self, by: timedelta) -> None:
        """Move the clock, stopping at each sleeper on the way to let it run.

        Args:
            by: How far.
        """
        target = self._seconds + by.total_seconds()
        await settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, waker = heapq.heappop(self._sleepers)
            if waker.done():
                continue
            self._seconds = max(self._seconds, due)
            waker.set_result(None)
            await settle()
        self._seconds = target
        await settle()


async def settle(rounds: int = 20) -> None:
    """Let every task that is ready run, and those that they make ready."""
    for _ in range(rounds):
        await asyncio.sleep(0)
