"""The end of an outbox row."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sourceflow.bus.changes import OutboxRow

__all__ = ("Settling",)

BATCH: Final = 500
"""Rows that are forgotten in one write at most."""


class Settling:
    """Forgets rows that have arrived: those that arrive meanwhile share the next write.

    Args:
        forget: Removes rows from the outbox, however long that takes.
    """

    def __init__(self, forget: Callable[[Sequence[OutboxRow]], Awaitable[object]]) -> None:
        self._forget = forget
        self._rows: list[OutboxRow] = []
        self._then: list[Callable[[], object]] = []
        self._filled = asyncio.Event()

    def put(self, row: OutboxRow, then: Callable[[], object]) -> None:
        """Forget a row soon, and say so."""
        self._rows.append(row)
        self._then.append(then)
        self._filled.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._filled.wait()
            rows, self._rows = self._rows[:BATCH], self._rows[BATCH:]
            then, self._then = self._then[:BATCH], self._then[BATCH:]
            await self._forget(rows)
            for each in then:
                each()
            if not self._rows:
                self._filled.clear()
