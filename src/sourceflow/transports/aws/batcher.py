"""Batches filled by whoever comes by at the time: fewer calls, and nobody waits for company."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from sourceflow.errors import AwsTransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from sourceflow.resilience.task_scope import TaskScope

__all__ = ("MAX_ENTRIES", "Batcher")

ItemT = TypeVar("ItemT")

_Waiting = tuple[ItemT, int, str | None]
"""An item, its bytes and its group: plain, as there is one for each message."""

MAX_ENTRIES: Final = 10
"""Entries that SQS and SNS take in one call (API reference, ``SendMessageBatch``)."""


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
        settle: Is told what became of the items of a batch: for each None where it is confirmed, or
            why it is not; must not raise.
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
        settle: Callable[[Sequence[ItemT], Sequence[Exception | None]], None],
        max_bytes: int | None = None,
        flights: int = 8,
        linger: float = 0.0,
        capacity: int = 1_000,
    ) -> None:
        self._post = post
        self._tasks = tasks
        self._settle = settle
        self._max_bytes = max_bytes
        self._most_flights = self._flights = flights
        self._linger = linger
        self._capacity = capacity
        self._ready: deque[_Waiting[ItemT]] = deque()
        self._groups: dict[str, deque[_Waiting[ItemT]]] = {}
        self._flying = 0
        self._waiting = 0
        self._timer: asyncio.Handle | None = None
        self._landing = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether so much waits that whoever has more should wait for ``room``."""
        return self._waiting >= self._capacity

    async def room(self) -> None:
        """Wait until there is room for more."""
        while self.is_full:
            await self._next_landing()

    async def empty(self) -> None:
        """Wait until every item is settled."""
        while self._waiting:
            await self._next_landing()

    async def _next_landing(self) -> None:
        self._landing.clear()
        await self._landing.wait()

    def add(self, item: ItemT, *, size: int = 0, group: str | None = None) -> None:
        """Add an item.

        Args:
            item: What to hand on.
            size: Its bytes.
            group: Keeps the order of items; None for an item on its own.
        """
        self._waiting += 1
        waiting = (item, size, group)
        if group is None:
            self._ready.append(waiting)
        elif group in self._groups:
            self._groups[group].append(waiting)
        else:  # the group's first: those that follow wait behind it
            self._groups[group] = deque()
            self._ready.append(waiting)
        self._schedule()

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
        work = self._post([item for item, _, _ in batch])
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
        for _, _, group in batch:
            if group is not None:
                self._next_of(group)
        self._settle([item for item, _, _ in batch], results)
        self._landing.set()
        self._schedule()

    def _take(self) -> list[_Waiting[ItemT]]:
        batch = [self._ready.popleft()]
        _, size, _ = batch[0]
        while self._ready and len(batch) < MAX_ENTRIES:
            _, more, _ = self._ready[0]
            size += more
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
