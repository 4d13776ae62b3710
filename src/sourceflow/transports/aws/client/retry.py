"""Which failed calls are made again, when, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sourceflow.errors import AwsCredentialsError, AwsThrottledError, AwsTransientError
from sourceflow.resilience import Backoff, TokenBucket
from sourceflow.transports.aws.client.errors import NOT_RETRIED

if TYPE_CHECKING:
    from sourceflow.clock import Clock
    from sourceflow.errors import AwsError
    from sourceflow.transports.aws.client.caller import Caller, Failure, Request

__all__ = ("Retrier", "RetryPolicy", "RetryStats")

# What the AWS SDKs charge and give back (botocore's standard mode).
_THROTTLE_COST = 5
_TRANSIENT_COST = 14
_FIRST_TRY_REWARD = 1
#: How far AWS's own wish may exceed the drawn delay; no header shall park a caller for minutes.
_MOST_BEYOND_DELAY = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How calls are made again: the standard mode of the AWS SDKs, with a deadline.

    Attributes:
        max_attempts: How often a call is made at most, the first time included. Trying again with renewed
            credentials or a corrected clock, once each, is not counted.
        deadline: No attempt begins or lasts beyond this time after the first began; a long poll may take as
            much longer as it waits.
        throttles: The waits when AWS asks to slow down.
        transients: The waits after passing faults.
    """

    max_attempts: int = 3
    deadline: timedelta = timedelta(seconds=60)
    throttles: Backoff = field(default_factory=lambda: Backoff(base=timedelta(seconds=1)))
    transients: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1, not {self.max_attempts}")
        if self.deadline <= timedelta(0):
            raise ValueError(f"deadline must be longer than zero, not {self.deadline}")


@dataclass(slots=True)
class RetryStats:
    """What a client has counted since it was made.

    Attributes:
        attempts: Requests that were posted.
        retries: Requests that were posted again after a wait.
        throttles: Answers that asked to slow down.
        transients: Passing faults, time-outs included.
        exhausted: Retries that were not made because the budget was empty.
        refreshes: Requests that were posted again with renewed credentials.
        clock_corrections: Requests that were posted again with a corrected clock.
    """

    attempts: int = 0
    retries: int = 0
    throttles: int = 0
    transients: int = 0
    exhausted: int = 0
    refreshes: int = 0
    clock_corrections: int = 0


class Retrier:
    """Makes calls by one policy, from one budget of retries, and counts.

    Args:
        policy: How calls are made again.
        clock: Measures the deadline and waits.
        stats: Where it counts.
        bucket: The budget; shared by all calls of a client.
    """

    __slots__ = ("_bucket", "_clock", "_policy", "_stats")

    def __init__(
        self,
        policy: RetryPolicy,
        clock: Clock,
        stats: RetryStats,
        bucket: TokenBucket | None = None,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._stats = stats
        self._bucket = TokenBucket() if bucket is None else bucket

    async def call(
        self, caller: Caller, request: Request, *, seconds: float, waiting: float = 0.0
    ) -> bytes:
        """Make a call until it succeeds, cannot succeed, or the policy says enough.

        Args:
            caller: Makes one attempt.
            request: What is called.
            seconds: How long one attempt may take.
            waiting: Seconds that AWS may take on purpose; they lengthen the attempt and the deadline.

        Raises:
            AwsError: The last failure.
        """
        deadline = self._clock.monotonic() + self._policy.deadline.total_seconds() + waiting
        failed = paid = 0
        while True:
            remaining = deadline - self._clock.monotonic()
            self._stats.attempts += 1
            outcome = await caller.attempt(request, min(seconds + waiting, remaining))
            if isinstance(outcome, bytes):
                self._bucket.give_back(paid or _FIRST_TRY_REWARD)
                return outcome
            self._count(outcome.error)
            if isinstance(outcome.error, AwsCredentialsError):
                if await caller.mend(request, outcome) and self._clock.monotonic() < deadline:
                    continue
                raise outcome.error
            failed += 1
            if failed >= self._policy.max_attempts:
                raise outcome.error
            delay = self._delay(outcome, failed - 1)
            if delay is None or self._clock.monotonic() + delay >= deadline:
                raise outcome.error
            paid = self._pay(outcome.error)
            if not paid:
                raise outcome.error
            self._stats.retries += 1
            await self._clock.sleep(delay)

    def _count(self, error: AwsError) -> None:
        if isinstance(error, AwsThrottledError):
            self._stats.throttles += 1
        elif isinstance(error, AwsTransientError):
            self._stats.transients += 1

    def _delay(self, failure: Failure, attempt: int) -> float | None:
        """Return the seconds to wait, or None if trying again is of no use."""
        error = failure.error
        if error.code in NOT_RETRIED:
            return None
        if isinstance(error, AwsThrottledError):
            backoff = self._policy.throttles
        elif isinstance(error, AwsTransientError):
            backoff = self._policy.transients
        else:
            return None
        drawn = backoff.delay(attempt).total_seconds()
        wished = _milliseconds(failure.headers.get("x-amz-retry-after", ""))
        return max(drawn, min(wished, drawn + _MOST_BEYOND_DELAY))

    def _pay(self, error: AwsError) -> int:
        cost = _THROTTLE_COST if isinstance(error, AwsThrottledError) else _TRANSIENT_COST
        if self._bucket.take(cost):
            return cost
        self._stats.exhausted += 1
        return 0


def _milliseconds(text: str) -> float:
    """Return ``x-amz-retry-after`` in seconds; 0 where it is missing or no number."""
    return int(text) / 1000 if text.isascii() and text.isdigit() and len(text) < 10 else 0.0  # noqa: PLR2004 - 11 days
