"""Locks by key, made when they are asked for and gone when nobody holds them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

__all__ = ("KeyedLocks",)


class KeyedLocks:
    """One lock a key.

    They spare writers of one process the lost race; that no race is *won* twice is the store's
    business. Several keys are always taken in one order, so holders cannot wait for each other
    in a ring.

    Invariant: a key is in ``_queues`` exactly while somebody holds it. Who lets go hands it to the
    first that still waits: nobody else can get in between.
    """

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[asyncio.Future[None]] | None] = {}

    def hold(self, keys: Iterable[Hashable]) -> _Hold:
        """Hold the locks of all keys: ``async with locks.hold(keys):``."""
        return _Hold(self, keys)

    async def acquire(self, key: Hashable) -> None:
        """Take one lock, waiting for it."""
        if key not in self._queues:
            self._queues[key] = None  # most are never waited for
            return
        queue = self._queues[key]
        if queue is None:
            queue = self._queues[key] = deque()
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was handed over in the meantime
                self.release(key)
            raise

    def release(self, key: Hashable) -> None:
        """Let go of one lock."""
        queue = self._queues[key]
        while queue:
            turn = queue.popleft()
            if not turn.done():  # else its task was cancelled
                turn.set_result(None)
                return
        del self._queues[key]

    def __len__(self) -> int:
        return len(self._queues)


class _Hold:
    """The locks of some keys while a block runs."""

    __slots__ = ("_held", "_keys", "_locks")

    def __init__(self, locks: KeyedLocks, keys: Iterable[Hashable]) -> None:
        self._locks = locks
        self._keys = tuple(keys)
        self._held: list[Hashable] = []

    async def __aenter__(self) -> None:
        keys = self._keys if len(self._keys) == 1 else sorted(set(self._keys), key=repr)
        try:
            for key in keys:
                await self._locks.acquire(key)
                self._held.append(key)
        except BaseException:
            self._let_go()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._let_go()

    def _let_go(self) -> None:
        for key in reversed(self._held):
            self._locks.release(key)
