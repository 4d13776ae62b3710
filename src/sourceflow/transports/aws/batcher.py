"""Batches filled by whoever comes by at the time: fewer calls, and nobody waits for company."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sourceflow.resilience.task_scope import TaskScope

__all__ = ("MAX_ENTRIES", "Batcher")

ItemT = TypeVar("ItemT")

MAX_ENTRIES: Final = 10
"""Entries that SQS and SNS take in one call (API reference, ``SendMessageBatch``)."""


@dataclass(slots=True, eq=False)
class _Waiting(Generic[ItemT]):
    item: ItemT
    size: int
    group: str | None
    done: asyncio.Future[Exception | None]


class Batcher(Generic[ItemT]):
    """Gathers items for one destination and hands them on in batches.

    A batch leaves when it has 10 entries, when the next would not fit, or as soon as everybody
    who is ready to run has had the chance to join; with ``linger`` it waits that long for more.
    Several batches may be under way at once.

    Invariant: of a group at most one item is under way, and items of a group leave in the order
    they came, so no retry can let a later one overtake an earlier one.

    Args:
        post: Hands on a batch; returns for each item None or why it failed, and does not raise.
        tasks: Runs the batches that are under way.
        max_bytes: What a batch takes at most.
        flights: How many batches may be under way at once.
        linger: Seconds to wait for more; 0 waits only for those who are ready.
        capacity: Items that may wait before ``put`` itself waits.
    """

    def __init__(
        self,
        post: Callable[[Sequence[ItemT]], Awaitable[Sequence[Exception | None]]],
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
        self._flights = flights
        self._linger = linger
        self._capacity = capacity
        self._ready: deque[_Waiting[ItemT]] = deque()
        self._groups: dict[str, deque[_Waiting[ItemT]]] = {}
        self._flying = 0
        self._waiting = 0
        self._timer: asyncio.Handle | None = None
        self._room = asyncio.Event()
        self._room.set()

    async def put(
        self, item: ItemT, *, size: int = 0, group: str | None = None
    ) -> asyncio.Future[Exception | None]:
        """Add an item, waiting for room if there is none.

        Args:
            item: What to hand on.
            size: Its bytes.
            group: Keeps the order of items; None for an item on its own.

        Returns:
            A future of None when the item is confirmed, or of why it was not.
        """
        while self._waiting >= self._capacity:
            self._room.clear()
            await self._room.wait()
        self._waiting += 1
        future: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(item, size, group, future)
        if group is None:
            self._ready.append(waiting)
        elif group in self._groups:
            self._groups[group].append(waiting)
        else:  # the group's first: those that follow wait behind it
            self._groups[group] = deque()
            self._ready.append(waiting)
        self._schedule()
        return future

    def _schedule(self) -> None:
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
            self._flying += 1
            self._tasks.create_task(self._fly(self._take()), name="sourceflow batch")

    def _take(self) -> list[_Waiting[ItemT]]:
        batch = [self._ready.popleft()]
        size = batch[0].size
        while self._ready and len(batch) < MAX_ENTRIES:
            size += self._ready[0].size
            if self._max_bytes is not None and size > self._max_bytes:
                break
            batch.append(self._ready.popleft())
        return batch

    async def _fly(self, batch: list[_Waiting[ItemT]]) -> None:
        try:
            results = await self._post([waiting.item for waiting in batch])
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.done.done():
                    waiting.done.set_result(result)
        finally:
            self._flying -= 1
            self._waiting -= len(batch)
            for waiting in batch:
                if not waiting.done.done():
                    waiting.done.cancel()
                self._next_of(waiting.group)
            if self._waiting < self._capacity:
                self._room.set()
            self._schedule()

    def _next_of(self, group: str | None) -> None:
        if group is None:
            return
        followers = self._groups[group]
        if followers:
            self._ready.append(followers.popleft())
        else:
            del self._groups[group]
