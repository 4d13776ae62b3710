"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import math
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

__all__ = ("ManualClock",)

ResultT = TypeVar("ResultT")


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
        self._wakings: dict[asyncio.Task[Any] | None, float] = {}

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
        task = asyncio.current_task()
        self._wakings[task] = self._seconds + seconds
        try:
            await waker
        finally:
            del self._wakings[task]

    @property
    def sleepers(self) -> int:
        """How many wait for the clock."""
        return sum(not waker.done() for _, _, waker in self._sleepers)

    async def another_sleeps(self) -> None:
        """Wait until one more waits for the clock."""
        if self._fell_asleep is None:
            self._fell_asleep = asyncio.Event()
        await self._fell_asleep.wait()

    async def finish(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Move the clock whenever something sleeps on it, until that has ended; return its result.

        The clock stands still while the work waits for anything else, such as an answer over a
        socket. `await clock.finish(app.drained())` lets an App end its work.

        Args:
            work: What sleeps on this clock itself, not in a task that it starts.
        """
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await settle()
                if task in self._wakings:
                    await self._move_to(self._wakings[task], settle)
                elif not task.done():
                    await self._wait_for_either(task)
        except BaseException:
            task.cancel()
            raise
        return await task

    async def _wait_for_either(self, task: asyncio.Task[Any]) -> None:
        """Wait until a task is done, or one more sleeps."""
        slept = asyncio.ensure_future(self.another_sleeps())
        try:
            await asyncio.wait((task, slept), return_when=asyncio.FIRST_COMPLETED)
        finally:
            slept.cancel()

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
        await self._move_to(self._seconds + by.total_seconds(), run)

    async def _move_to(self, target: float, run: Callable[[], Awaitable[None]]) -> None:
        await run()
        while self.wake_next(target):
            await run()
        self._seconds = target
        await run()

    def wake_next(self, until: float = math.inf) -> bool:
        """Move the clock to where the first of its sleepers wakes.

        Args:
            until: The time, as `monotonic` tells it, that it moves to at most.

        Returns:
            Whether one wakes.
        """
        while self._sleepers:
            due, _, waker = self._sleepers[0]
            if due > until:
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
