"""An event loop whose time is ours: every timer of every task, and not a second of waiting."""

from __future__ import annotations

import asyncio
import selectors
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from itertools import count

__all__ = ("OWNER", "LoopClock", "VirtualLoop")

START = datetime(2026, 1, 1, tzinfo=UTC)

#: Who is told of each task: whoever starts one hands its owner on to it.
OWNER = ContextVar("OWNER", default=None)

#: Turns of the loop at one instant after which it is taken to spin for ever.
MOST_TURNS = 20_000


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time stands still while a task is ready; when none is, it jumps to the next timer.

    ``ManualClock`` moves what sleeps on the clock. Here ``call_later`` and ``asyncio.timeout`` are
    on the same time as well, so that a grace period and a lease end in the order they would.
    """

    def __init__(self):
        self._now = 0.0
        self._turns = 0
        super().__init__(_NeverWaiting(self._nothing_is_ready))

        self._names = count()
        self.set_task_factory(_make_task)

    def time(self):
        return self._now

    def create_future(self):
        return _Future(loop=self)

    def number(self):
        return next(self._names)

    def _nothing_is_ready(self, seconds):
        if seconds is None:
            raise AssertionError("no task is ready, and no timer will ever make one so")
        self._turns = 0 if seconds else self._turns + 1
        assert self._turns < MOST_TURNS, f"the loop spins at {self._now}"
        self._now += seconds


class _Numbered:
    """Is hashed by its number: sets of tasks have the same order in every run."""

    def __init__(self, *args, loop, **more):
        self._number = loop.number()
        super().__init__(*args, loop=loop, **more)

    def __hash__(self):
        return self._number


class _Task(_Numbered, asyncio.Task):
    pass


class _Future(_Numbered, asyncio.Future):
    pass


def _make_task(loop, work, **more):
    task = _Task(work, loop=loop, **more)
    owner = OWNER.get()
    if owner is not None:
        owner.own(task)
    return task


class _NeverWaiting(selectors.DefaultSelector):
    def __init__(self, wait):
        super().__init__()
        self._wait = wait

    def select(self, timeout=None):
        self._wait(timeout)
        return super().select(0)


class LoopClock:
    """The clock of what runs in a loop."""

    def __init__(self, loop):
        self._loop = loop

    def now(self):
        return START + timedelta(seconds=self._loop.time())

    def monotonic(self):
        return self._loop.time()

    async def sleep(self, seconds):
        await asyncio.sleep(max(seconds, 0.0))
