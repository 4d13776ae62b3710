"""The end of an outbox row."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from sourceflow.bus.waits import sleep_unless

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta

    from sourceflow.bus.changes import OutboxRow
    from sourceflow.clock import Clock

__all__ = ("Settling",)

BATCH: Final = 500
"""Rows that are forgotten in one write at most."""


class Settling:
    """Forgets rows that have arrived, many in one write.

    Args:
        forget: Removes rows from the outbox, however long that takes.
        linger: How long the first of them waits for others. A row that has arrived and is not
            forgotten when the process dies is sent again, and known as a duplicate.
        clock: Whose time it is.
    """

    def __init__(
        self,
        forget: Callable[[Sequence[OutboxRow]], Awaitable[object]],
        *,
        linger: timedelta,
        clock: Clock,
    ) -> None:
        self._forget = forget
        self._linger = linger
        self._clock = clock
        self._rows: list[OutboxRow] = []
        self._then: list[Callable[[], object]] = []
        self._filled = asyncio.Event()
        self._hurry = asyncio.Event()

    def put(self, row: OutboxRow, then: Callable[[], object]) -> None:
        """Forget a row soon, and say so."""
        self._rows.append(row)
        self._then.append(then)
        self._filled.set()
        if len(self._rows) >= BATCH:
            self._hurry.set()

    def hurry(self) -> None:
        """Let nothing that is there now wait for more."""
        self._hurry.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._filled.wait()
            if self._linger and not self._hurry.is_set():
                await sleep_unless(self._hurry, self._linger, self._clock)
            rows, self._rows = self._rows[:BATCH], self._rows[BATCH:]
            then, self._then = self._then[:BATCH], self._then[BATCH:]
            await self._forget(rows)
            for each in then:
                each()
            if not self._rows:
                self._filled.clear()
                self._hurry.clear()
