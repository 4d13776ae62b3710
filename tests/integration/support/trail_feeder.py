"""Keeps those busy who work on trails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from trails import Step

if TYPE_CHECKING:
    from sourceflow import App
    from trail_book import TrailBook

__all__ = ("TrailFeeder",)

TRAILS: Final = tuple(f"t{trail}" for trail in range(8))


class TrailFeeder:
    """Sends steps so that some wait at any time, until it is told to end.

    Args:
        app: Sends.
        book: Says how many steps are handled.
        backlog: Steps that wait at least.
        takes: Seconds of the clock that a step takes.
    """

    def __init__(self, app: App, book: TrailBook, *, backlog: int, takes: float) -> None:
        self._app = app
        self._book = book
        self._backlog = backlog
        self._takes = takes
        self._ending = False
        self._sent = 0

    @property
    def trails(self) -> dict[str, int]:
        """How many steps of each trail were sent."""
        return dict.fromkeys(TRAILS, self._sent)

    async def run(self) -> None:
        """Send."""
        while not self._ending:
            if self._sent * len(TRAILS) - await self._book.steps() < self._backlog:
                steps = [Step(id=each, number=self._sent, takes=self._takes) for each in TRAILS]
                await self._app.send_many(steps)
                self._sent += 1
            else:
                await asyncio.sleep(0.02)

    def end(self) -> None:
        """Send no more."""
        self._ending = True
