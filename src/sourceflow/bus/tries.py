"""How often a row was tried in this process, and when it is tried next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sourceflow.errors import Retry
from sourceflow.resilience.backoff import Backoff

__all__ = ("ASKED_ATTEMPTS", "LOCAL_ATTEMPTS", "Tries")

LOCAL_ATTEMPTS: Final = 5
"""How often work in this process is tried before it becomes a dead letter."""

ASKED_ATTEMPTS: Final = 100
"""How often a handler may ask for a later try with ``Retry``."""

_LOCAL_BACKOFF: Final = Backoff(base=timedelta(milliseconds=100), cap=timedelta(seconds=20))


@dataclass(slots=True)
class Tries:
    """The tries of one row.

    Attributes:
        failures: How many ended with an error of the handler's.
        asked: How many ended with its wish for a later one, which has its own limit.
        outages: How often a dependency did not answer, which counts as no try.
    """

    failures: int = 0
    asked: int = 0
    outages: int = 0

    @property
    def made(self) -> int:
        """How many tries there were."""
        return self.failures + self.asked

    def after(self, error: Exception) -> timedelta | None:
        """Count a try that ended with an error.

        Returns:
            How long to wait for the next one; None where the row is given up.
        """
        if isinstance(error, Retry):
            self.asked += 1
            if self.asked >= ASKED_ATTEMPTS:
                return None
            if error.delay is not None:
                return error.delay
        else:
            self.failures += 1
            if self.failures >= LOCAL_ATTEMPTS:
                return None
        return _LOCAL_BACKOFF.delay(self.made - 1)
