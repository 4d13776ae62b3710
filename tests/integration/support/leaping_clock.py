"""The machine's clock, which may leap ahead: what has expired long ago need not be waited for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sourceflow.clock import SystemClock

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ("LeapingClock",)


class LeapingClock(SystemClock):
    """Runs as the machine's clock does, between leaps; processes are told how far it is ahead.

    Attributes:
        ahead: How far it is ahead of the machine's clock.
    """

    __slots__ = ("ahead",)

    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        self.ahead = ahead

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return super().now() + self.ahead

    def leap(self, by: timedelta) -> None:
        """Be so much later at once; who sleeps sleeps on."""
        self.ahead += by
