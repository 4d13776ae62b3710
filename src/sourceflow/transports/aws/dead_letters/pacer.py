"""So many a second, over all who ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sourceflow.clock import Clock

__all__ = ("Pacer",)


class Pacer:
    """Lets things pass at a steady rate, without catching up on what was missed.

    Args:
        rate: How many a second; None lets all pass.
        clock: The time.
    """

    def __init__(self, rate: float | None, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._free = clock.monotonic()

    @property
    def burst(self) -> int | None:
        """How many may pass together; None for any number."""
        return None if self._rate is None else max(1, int(self._rate))

    async def take(self, count: int) -> None:
        """Wait until so many may pass."""
        if self._rate is None:
            return
        now = self._clock.monotonic()
        begin = max(now, self._free)
        self._free = begin + count / self._rate
        if begin > now:
            await self._clock.sleep(begin - now)
