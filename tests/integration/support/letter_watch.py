"""Ears for dead letters."""

from __future__ import annotations

import asyncio

from sourceflow.bus.observer import Observer

LONG = 60
"""Seconds that a letter may take at most."""


class LetterWatch(Observer):
    """Waits for dead letters, in the order in which they were given up."""

    def __init__(self):
        self._letters = asyncio.Queue()

    def dead_lettered(self, letter):
        self._letters.put_nowait(letter)

    @property
    def has_none(self):
        """Whether no letter is there that nobody has waited for."""
        return self._letters.empty()

    async def letter(self):
        """Wait for the next letter."""
        async with asyncio.timeout(LONG):
            return await self._letters.get()

    async def letters(self, count):
        """Wait for so many letters."""
        return [await self.letter() for _ in range(count)]
