"""The places for handlers, which all queues share: at most so many run at a time."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ("QueueSlots", "Slots")


class Slots:
    """So many handlers run at a time, over all queues.

    Invariants:

    - Never more slots are taken than there are, nor of one queue more than it may have.
    - While somebody waits who could have a slot, none is free: a slot that is given back goes to
      a waiter at once.
    - Queues that wait are served in turn, and waiters of one queue in the order they came, so a
      busy queue keeps no other one waiting for more than its turn.

    Args:
        limit: Handlers at a time, over all queues.
    """

    __slots__ = ("_limit", "_turns", "free")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.free = limit
        self._turns: deque[QueueSlots] = deque()

    def of_queue(self, limit: int | None = None) -> QueueSlots:
        """Return the slots as one queue sees them.

        Args:
            limit: Handlers of this queue at a time; None leaves it at the common limit.
        """
        return QueueSlots(self, self._limit if limit is None else limit)

    @property
    def is_awaited(self) -> bool:
        """Whether a queue waits for its turn."""
        return bool(self._turns)

    def line_up(self, queue: QueueSlots) -> None:
        """Let a queue have its turn, if somebody waits there who may have a slot."""
        if queue.is_waiting and not queue.in_turn:
            queue.in_turn = True
            self._turns.append(queue)
        self._serve()

    def _serve(self) -> None:
        while self.free and self._turns:
            queue = self._turns.popleft()
            queue.in_turn = False
            if queue.serve_one() and queue.is_waiting:
                queue.in_turn = True
                self._turns.append(queue)


class QueueSlots:
    """The slots as one queue sees them; see ``Slots``."""

    __slots__ = ("_free", "_shared", "_waiters", "in_turn")

    def __init__(self, shared: Slots, limit: int) -> None:
        self._shared = shared
        self._free = limit
        self._waiters: deque[asyncio.Future[bool]] = deque()
        self.in_turn = False

    @property
    def is_waiting(self) -> bool:
        """Whether somebody waits who may have a slot."""
        return self._free > 0 and bool(self._waiters)

    def take_at_once(self) -> bool:
        """Take a slot if one is free; return whether there was one."""
        if self._free > 0 and self._shared.free > 0:
            self._occupy()
            return True
        return False

    async def take(self) -> bool:
        """Take a slot, when it is this one's turn; return False where ``dismiss`` came first."""
        if self.take_at_once():
            return True
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._shared.line_up(self)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.result():
                self.release()  # it was given one, and will not use it
            raise

    def release(self) -> None:
        """Give a slot back."""
        self._free += 1
        self._shared.free += 1
        if self._waiters or self._shared.is_awaited:
            self._shared.line_up(self)

    def dismiss(self) -> None:
        """Send away all who wait."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(False)

    def serve_one(self) -> bool:
        """Give a slot to the first who still waits; return whether there was one."""
        while self._free > 0 and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._occupy()
                waiter.set_result(True)
                return True
        return False

    def _occupy(self) -> None:
        self._free -= 1
        self._shared.free -= 1
