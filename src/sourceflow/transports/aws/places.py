"""How many messages of one queue are here, and whether there is room for more."""

from __future__ import annotations

import asyncio

from sourceflow.transports.aws.batcher import MAX_ENTRIES

__all__ = ("Places",)


class Places:
    """The places for messages of one queue.

    A message is *held* while it runs, or waits for its turn; it is *parked* while it, or the one
    before it in its group, waits for another try. What is parked leaves room for others: however
    many messages fail, those that do not are received and handled.

    Invariants:

    - A receive never begins unless what it may bring fits: held and reserved places are never more
      than ``capacity``, but for messages that return from being parked.
    - Never more than ``parking`` are parked.

    Args:
        capacity: Messages held at most.
        parking: Messages parked at most.
    """

    __slots__ = (
        "_capacity",
        "_changed",
        "_empty",
        "_parking",
        "_reserved",
        "held",
        "parked",
        "running",
    )

    def __init__(self, capacity: int, *, parking: int = 0) -> None:
        self._capacity = capacity
        self._parking = parking
        self._reserved = 0
        self.held = 0
        self.parked = 0
        self.running = 0
        self._changed = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def free(self) -> int:
        """How many places nobody has or has reserved."""
        return self._capacity - self.held - self._reserved

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
        self.held += taken
        self._change()

    def leave(self, count: int = 1) -> None:
        """Free places that were taken."""
        self.held -= count
        self._change()

    def park(self, count: int) -> bool:
        """Free the places of messages that wait for another try; return whether they may stay."""
        if self.parked + count > self._parking:
            return False
        self.held -= count
        self.parked += count
        self._change()
        return True

    def unpark(self, count: int) -> None:
        """Take places again, also where there are none."""
        self.parked -= count
        self.held += count
        self._change()

    def begin(self) -> None:
        """Note that one more is handled."""
        self.running += 1

    def end(self) -> None:
        """Note that one less is handled."""
        self.running -= 1
        if not self.running and self.has_room:  # a receive may pay now, however little fits
            self._changed.set()

    def _change(self) -> None:
        if self.held or self.parked:
            self._empty.clear()
        else:
            self._empty.set()
        if self.has_room:
            self._changed.set()

    async def empty(self) -> None:
        """Wait until no message is here."""
        await self._empty.wait()
