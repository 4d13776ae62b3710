"""Locks by key, made when they are asked for and gone when nobody holds them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

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

    def hold(self, keys: Iterable[Hashable]) -> _Hold:
        """Hold the locks of all keys: ``async with locks.hold(keys):``."""
        return _Hold(self, keys)

    async def acquire(self, key: Hashable) -> None:
        """Take one lock, waiting for it."""
        lock, users = self._locks.setdefault(key, (asyncio.Lock(), [0]))
        users[0] += 1
        try:
            await lock.acquire()
        except asyncio.CancelledError:
            self._forget(key, users)
            raise

    def release(self, key: Hashable) -> None:
        """Let go of one lock."""
        lock, users = self._locks[key]
        lock.release()
        self._forget(key, users)

    def _forget(self, key: Hashable, users: list[int]) -> None:
        users[0] -= 1
        if users[0] == 0:
            del self._locks[key]

    def __len__(self) -> int:
        return len(self._locks)


class _Hold:
    """The locks of some keys while a block runs; a class, as every message pays for it."""

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
