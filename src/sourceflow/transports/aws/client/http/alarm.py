"""A time limit that is moved far more often than it is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ("Alarm",)

#: Loops round their timers, uvloop to a millisecond: an alarm that is early by less is in time.
_TOLERANCE = 0.001


class Alarm:
    """Calls back at a time that may be moved at will.

    Moving it to a later time costs an assignment: the timer that is set already rings, finds that it is
    too early, and is set again. A request then needs no timer of its own.

    Args:
        loop: Whose time it is.
        ring: What is called.
    """

    __slots__ = ("_at", "_loop", "_ring", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def move(self, at: float) -> None:
        """Ring at this time of the loop's, and not when it should have rung before."""
        self._at = at
        if self._timer is None or at < self._timer_at:
            self.stop()
            self._set()

    def stop(self) -> None:
        """Do not ring; ``move`` sets it again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self._timer_at = self._at
        self._timer = self._loop.call_at(self._at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._loop.time() < self._at - _TOLERANCE:
            self._set()
        else:
            self._ring()
