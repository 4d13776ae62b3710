"""The machine's clock, only faster: minutes of waiting pass in seconds."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

__all__ = ("HurriedClock",)


class HurriedClock:
    """Runs so many times as fast as the machine's clock; the App and LocalAws share one.

    Args:
        pace: Seconds of it in one second.
    """

    def __init__(self, pace: float = 1.0) -> None:
        self.pace = pace
        self._day = datetime.now(UTC)
        self._began = time.monotonic()

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return self._day + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return the seconds of this clock since it was made."""
        return (time.monotonic() - self._began) * self.pace

    async def sleep(self, seconds: float) -> None:
        """Wait until this clock has moved on by so many seconds."""
        await asyncio.sleep(seconds / self.pace)
