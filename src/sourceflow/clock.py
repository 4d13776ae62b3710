"""The time, as a thing that can be handed in: tests own it, everything else reads it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ("Clock", "SystemClock")


class Clock(Protocol):
    """What the App, stores, transports and LocalAws ask for the time."""

    def now(self) -> datetime:
        """Return the time of day, always in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait until ``monotonic`` has moved on by so many seconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    __slots__ = ()

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)
    """Return seconds since some moment; asked several times for each message."""

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of real time."""
        await asyncio.sleep(seconds)
