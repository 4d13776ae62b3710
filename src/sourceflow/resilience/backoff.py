"""How long to wait before the next try."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Backoff",)

#: Doublings after which the product would leave the range of a float; every cap is reached long before.
_MOST_DOUBLINGS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential back-off with full jitter.

    Before try ``n + 1`` it waits a time drawn evenly from zero to ``min(cap, base * 2**n)``. Drawing from
    zero, rather than around the exponential value, spreads callers that failed at the same moment best
    (AWS Architecture Blog, "Exponential Backoff And Jitter").

    Attributes:
        base: The longest wait before the second try.
        cap: The longest wait at all.
        random: Where the jitter comes from: a number from 0 up to, not including, 1.
    """

    base: timedelta = timedelta(milliseconds=50)
    cap: timedelta = timedelta(seconds=20)
    random: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.base <= timedelta(0):
            raise ValueError(f"base must be longer than zero, not {self.base}")
        if self.cap < self.base:
            raise ValueError(f"cap ({self.cap}) must not be shorter than base ({self.base})")

    def ceiling(self, attempt: int) -> timedelta:
        """Return the longest wait that ``delay`` can draw.

        Args:
            attempt: How many tries failed before the one that failed last, from 0.
        """
        doublings = min(attempt, _MOST_DOUBLINGS)
        seconds = self.base.total_seconds() * 2.0**doublings
        return timedelta(seconds=min(self.cap.total_seconds(), seconds))

    def delay(self, attempt: int) -> timedelta:
        """Return how long to wait this time.

        Args:
            attempt: How many tries failed before the one that failed last, from 0.
        """
        return self.random() * self.ceiling(attempt)
