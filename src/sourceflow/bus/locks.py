"""Locks by key, made when they are asked for and gone when nobody holds them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Iterable

__all__ = ("KeyedLocks",)


class KeyedLocks:
    """One lock a key.

    They spare writers of one process the lost race; that no race is *won* twice is the store's
    business. Several keys are always taken in one order, so holders cannot wait for each other
    in a ring.
    """

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[asyncio.Lock, list[int]]] = {}

    @asynccontextmanager
    async def hold(self, keys: Iterable[Hashable]) -> AsyncIterator[None]:
        """Hold the locks of all keys."""
        ordered = sorted(set(keys), key=repr)
        held: list[Hashable] = []
        try:
            for key in ordered:
                await self._acquire(key)
                held.append(key)
            yield
        finally:
            for key in reversed(held):
                self._release(key)

    async def _acquire(self, key: Hashable) -> None:
        lock, users = self._locks.setdefault(key, (asyncio.Lock(), [0]))
        users[0] += 1
        try:
            await lock.acquire()
        except asyncio.CancelledError:
            self._forget(key, users)
            raise

    def _release(self, key: Hashable) -> None:
        lock, users = self._locks[key]
        lock.release()
        self._forget(key, users)

    def _forget(self, key: Hashable, users: list[int]) -> None:
        users[0] -= 1
        if users[0] == 0:
            del self._locks[key]

    def __len__(self) -> int:
        return len(self._locks)
