"""How many messages of one queue are held, and whether there is room for more."""

from __future__ import annotations

import asyncio

from sourceflow.transports.aws.batcher import MAX_ENTRIES

__all__ = ("Places",)


class Places:
    """The places for messages that are held: running, waiting for their turn, or being received.

    Invariant: held and reserved places together are never more than ``capacity``.

    Args:
        capacity: Messages held at most.
    """

    __slots__ = ("_capacity", "_changed", "_empty", "_held", "_reserved", "running")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0
        self._reserved = 0
        self.running = 0
        self._changed = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def free(self) -> int:
        """How many places nobody has or has reserved."""
        return self._capacity - self._held - self._reserved

    @property
    def has_room(self) -> bool:
        """Whether a receive pays: a full batch fits, or nothing would be done otherwise."""
        return self.free >= MAX_ENTRIES or (
            self.free > 0 and not self.running and not self._reserved
        )

    async def reserve(self) -> int:
        """Wait for room, and take places for one receive; return how many."""
        while not self.has_room:
            self._changed.clear()
            await self._changed.wait()
        count = min(MAX_ENTRIES, self.free)
        self._reserved += count
        return count

    def fill(self, reserved: int, taken: int) -> None:
        """End a receive: of the places it reserved so many are taken, the others are free."""
        self._reserved -= reserved
        self._held += taken
        if self._held:
            self._empty.clear()
        self._changed.set()

    def leave(self, count: int = 1) -> None:
        """Free places that were taken."""
        self._held -= count
        if not self._held:
            self._empty.set()
        self._changed.set()

    def begin(self) -> None:
        """Note that one more is handled."""
        self.running += 1

    def end(self) -> None:
        """Note that one less is handled."""
        self.running -= 1
        self._changed.set()

    async def empty(self) -> None:
        """Wait until no message is held."""
        await self._empty.wait()
