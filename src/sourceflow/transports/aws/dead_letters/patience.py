"""How long an operation on dead letters is tried again before it has failed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sourceflow.resilience.backoff import Backoff
from sourceflow.transports.aws.entries import EntryPolicy

if TYPE_CHECKING:
    from sourceflow.clock import Clock

__all__ = ("patient_policy",)

TRIES: Final = 5
"""How often a letter is sent or deleted for which SQS fails for a passing reason."""

_SLOWER: Final = Backoff(base=timedelta(seconds=1))


def patient_policy(operation: str, clock: Clock) -> EntryPolicy:
    """Return the policy of a batch call that nobody waits for within a request."""
    return EntryPolicy(
        operation=operation,
        tries=TRIES,
        retry_calls=True,
        backoff=Backoff(),
        wait=lambda delay: clock.sleep(delay.total_seconds()),
        throttles=_SLOWER,
    )
