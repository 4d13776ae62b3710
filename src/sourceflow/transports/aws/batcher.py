"""Batches filled by whoever comes by at the time: fewer calls, and nobody waits for company."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from sourceflow.errors import AwsTransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from sourceflow.resilience.task_scope import TaskScope

__all__ = ("MAX_ENTRIES", "Batcher", "Settle")

ItemT = TypeVar("ItemT")

MAX_ENTRIES: Final = 10
"""Entries that SQS and SNS take in one call (API reference, ``SendMessageBatch``)."""

Settle = "Callable[[Exception | None], None]"
"""Is called once with None when an item is confirmed, or with why it was not; must not raise."""


class _Waiting(NamedTuple, Generic[ItemT]):
    item: ItemT
    size: int
    group: str | None
    settle: Callable[[Exception | None], None]


class Batcher(Generic[ItemT]):
    """Gathers items for one destination and hands them on in batches.

    A batch leaves when it has 10 entries, when the next would not fit, or as soon as everybody
    who is ready to run has had the chance to join; with ``linger`` it waits that long for more.
    Several batches may be under way at once.

    Invariants:

    - Of a group at most one item is under way, and items of a group leave in the order they came,
      so no retry can let a later one overtake an earlier one.
    - Each item is settled exactly once, whatever becomes of its batch.

    Args:
        post: Hands on a batch; returns for each item None or why it failed, and does not raise.
        tasks: Runs the batches that are under way.
        max_bytes: What a batch takes at most.
        flights: How many batches may be under way at once; see ``narrow``.
        linger: Seconds to wait for more; 0 waits only for those who are ready.
        capacity: Items that may wait before ``room`` itself waits.
    """

    def __init__(
        self,
        post: Callable[[Sequence[ItemT]], Coroutine[Any, Any, Sequence[Exception | None]]],
        tasks: TaskScope,
        *,
        max_bytes: int | None = None,
        flights: int = 8,
        linger: float = 0.0,
        capacity: int = 1_000,
    ) -> None:
        self._post = post
        self._tasks = tasks
        self._max_bytes = max_bytes
        self._most_flights = self._flights = flights
        self._linger = linger
        self._capacity = capacity
        self._ready: deque[_Waiting[ItemT]] = deque()
        self._groups: dict[str, deque[_Waiting[ItemT]]] = {}
        self._flying = 0
        self._waiting = 0
        self._timer: asyncio.Handle | None = None
        self._room = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether so much waits that whoever has more should wait for ``room``."""
        return self._waiting >= self._capacity

    async def room(self) -> None:
        """Wait until there is room for more."""
        while self.is_full:
            self._room.clear()
            await self._room.wait()

    def add(
        self,
        item: ItemT,
        settle: Callable[[Exception | None], None],
        *,
        size: int = 0,
        group: str | None = None,
    ) -> None:
        """Add an item.

        Args:
            item: What to hand on.
            settle: Is told what became of it.
            size: Its bytes.
            group: Keeps the order of items; None for an item on its own.
        """
        self._waiting += 1
        waiting = _Waiting(item, size, group, settle)
        if group is None:
            self._ready.append(waiting)
        elif group in self._groups:
            self._groups[group].append(waiting)
        else:  # the group's first: those that follow wait behind it
            self._groups[group] = deque()
            self._ready.append(waiting)
        self._schedule()

    async def put(
        self, item: ItemT, *, size: int = 0, group: str | None = None
    ) -> Exception | None:
        """Add an item, and wait until it is confirmed or has failed; return why it failed."""
        if self.is_full:
            await self.room()
        future: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

        def settle(error: Exception | None) -> None:
            if not future.done():  # whoever waited may have given up
                future.set_result(error)

        self.add(item, settle, size=size, group=group)
        return await future

    def narrow(self) -> None:
        """Halve the batches that may be under way at once: the other side asks to slow down."""
        self._flights = max(1, self._flights // 2)

    def widen(self) -> None:
        """Allow one more batch to be under way, up to as many as at first."""
        self._flights = min(self._most_flights, self._flights + 1)

    @property
    def flights(self) -> int:
        """How many batches may be under way at once."""
        return self._flights

    def _schedule(self) -> None:
        if len(self._ready) >= MAX_ENTRIES:
            self._flush(MAX_ENTRIES)
        if self._timer is None and self._ready and self._flying < self._flights:
            loop = asyncio.get_running_loop()
            if self._linger:
                self._timer = loop.call_later(self._linger, self._due)
            else:
                self._timer = loop.call_soon(self._due)

    def _due(self) -> None:
        self._timer = None
        self._flush(1)

    def _flush(self, least: int) -> None:
        """Let batches leave while there is room for them and at least so many items are ready."""
        while len(self._ready) >= least and self._flying < self._flights:
            self._fly(self._take())

    def _fly(self, batch: list[_Waiting[ItemT]]) -> None:
        self._flying += 1
        work = self._post([waiting.item for waiting in batch])
        try:
            task = self._tasks.create_task(work, name="sourceflow batch")
        except RuntimeError:  # the scope is ending: nothing leaves any more
            self._land(batch, _unknown(batch))
        else:
            task.add_done_callback(partial(self._landed, batch))

    def _landed(
        self, batch: list[_Waiting[ItemT]], task: asyncio.Task[Sequence[Exception | None]]
    ) -> None:
        """Take the results of a batch, also where its task was cancelled before it began."""
        failed = task.cancelled() or task.exception() is not None
        self._land(batch, _unknown(batch) if failed else task.result())

    def _land(self, batch: list[_Waiting[ItemT]], results: Sequence[Exception | None]) -> None:
        self._flying -= 1
        self._waiting -= len(batch)
        for waiting, result in zip(batch, results, strict=True):
            if waiting.group is not None:
                self._next_of(waiting.group)
            waiting.settle(result)
        if not self.is_full:
            self._room.set()
        self._schedule()

    def _take(self) -> list[_Waiting[ItemT]]:
        batch = [self._ready.popleft()]
        size = batch[0].size
        while self._ready and len(batch) < MAX_ENTRIES:
            size += self._ready[0].size
            if self._max_bytes is not None and size > self._max_bytes:
                break
            batch.append(self._ready.popleft())
        return batch

    def _next_of(self, group: str) -> None:
        followers = self._groups[group]
        if followers:
            self._ready.append(followers.popleft())
        else:
            del self._groups[group]


def _unknown(batch: Sequence[object]) -> list[Exception | None]:
    return [AwsTransientError("the transport closed before AWS answered", code="Closed")] * len(
        batch
    )
