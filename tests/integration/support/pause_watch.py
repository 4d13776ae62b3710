"""Ears for dead letters, and for messages that wait for a dependency."""

from __future__ import annotations

import asyncio

from letter_watch import LetterWatch
from sourceflow.bus.outcome import Paused

__all__ = ("PauseWatch",)

LONG = 60


class PauseWatch(LetterWatch):
    """Waits for dead letters and for messages that wait for a dependency."""

    def __init__(self):
        super().__init__()
        self._paused = asyncio.Queue()

    def settled(self, delivery, outcome, seconds):
        if isinstance(outcome, Paused):
            self._paused.put_nowait(delivery)

    async def paused_twice(self):
        """The second time, the listener has paused after the first."""
        async with asyncio.timeout(LONG):
            for _ in range(2):
                await self._paused.get()
