"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import math
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

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
        self._fell_asleep: asyncio.Event | None = None

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
        if self._fell_asleep is not None:
            self._fell_asleep.set()
            self._fell_asleep = None
        await waker

    @property
    def sleepers(self) -> int:
        """How many wait for the clock."""
        return sum(not waker.done() for _, _, waker in self._sleepers)

    async def another_sleeps(self) -> None:
        """Wait until one more waits for the clock."""
        if self._fell_asleep is None:
            self._fell_asleep = asyncio.Event()
        await self._fell_asleep.wait()

    async def advance(self, by: timedelta) -> None:
        """Move the clock, stopping at each sleeper on the way to let it run.

        Args:
            by: How far.
        """
        await self.advance_with(by, settle)

    async def advance_with(self, by: timedelta, run: Callable[[], Awaitable[None]]) -> None:
        """Move the clock, and let others run before, at each sleeper on the way, and after.

        Args:
            by: How far.
            run: Lets them run; ``advance`` gives them a few rounds of the event loop.
        """
        target = self._seconds + by.total_seconds()
        await run()
        while self.wake_next(target - self._seconds):
            await run()
        self._seconds = target
        await run()

    def wake_next(self, within: float = math.inf) -> bool:
        """Move the clock to where the first of its sleepers wakes, if that is within some seconds.

        Returns:
            Whether one wakes.
        """
        while self._sleepers:
            due, _, waker = self._sleepers[0]
            if due - self._seconds > within:
                return False
            heapq.heappop(self._sleepers)
            if not waker.done():  # else it was cancelled
                self._seconds = max(self._seconds, due)
                waker.set_result(None)
                return True
        return False


async def settle(rounds: int = 20) -> None:
    """Let every task that is ready run, and those that they make ready."""
    for _ in range(rounds):
        await asyncio.sleep(0)
