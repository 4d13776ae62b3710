"""Batch calls whose entries succeed and fail one by one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sourceflow.errors import AwsError, AwsThrottledError, AwsTransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sourceflow.resilience.backoff import Backoff
    from sourceflow.transports.aws.client import BatchResult

__all__ = ("EntryPolicy", "see_entries_through")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPolicy:
    """Which entries are tried again, when, and how often.

    Attributes:
        operation: The API operation, for errors.
        tries: How often an entry is tried that fails for a passing reason.
        retry_calls: Whether a call that fails as a whole is made again too: the client has made it
            several times by then.
        backoff: How long to wait before the next try.
        wait: Waits; may end early.
        throttles: How long to wait where AWS asks to slow down; None is no different.
        patience: Says how much longer the entry at a place may be tried while it is throttled,
            however often that is; None counts these tries like all others.
    """

    operation: str
    tries: int
    retry_calls: bool
    backoff: Backoff
    wait: Callable[[timedelta], Awaitable[None]]
    throttles: Backoff | None = None
    patience: Callable[[int], timedelta] | None = None

    def is_tried_again(self, at: int, error: Exception, tried: int, *, whole: bool) -> bool:
        """Return whether an entry is tried again.

        Args:
            at: The entry's place.
            error: How it failed.
            tried: How often it was tried.
            whole: Whether the call failed as a whole.
        """
        if self.patience is not None and isinstance(error, AwsThrottledError):
            return self.patience(at) > timedelta(0)
        passing = isinstance(error, (AwsThrottledError, AwsTransientError))
        return passing and tried < self.tries and (self.retry_calls or not whole)

    def delay(self, places: Sequence[int], errors: Sequence[Exception], tried: int) -> timedelta:
        """Return how long to wait before these entries are tried again."""
        throttled = any(isinstance(error, AwsThrottledError) for error in errors)
        if not throttled or self.throttles is None:
            return self.backoff.delay(tried - 1)
        delay = self.throttles.delay(tried - 1)
        if self.patience is None:
            return delay
        return min(delay, max(map(self.patience, places)))


async def see_entries_through(
    call: Callable[[Sequence[int]], Awaitable[BatchResult]], count: int, policy: EntryPolicy
) -> list[Exception | None]:
    """Make a batch call, and again for entries that failed for a passing reason.

    Args:
        call: Makes the call for the entries at these places; their ids are the places.
        count: How many entries there are.
        policy: Which are tried again.

    Returns:
        For each entry None, or why it failed.
    """
    results: dict[int, Exception | None] = dict.fromkeys(range(count))
    left = list(results)
    tried = 0
    while left:
        tried += 1
        whole = False
        try:
            result = await call(left)
        except AwsError as error:
            whole = True
            failed: dict[int, Exception] = dict.fromkeys(left, error)
        else:
            if not result.failed and tried == 1:
                break
            failed = {
                int(failure.id): failure.to_error(policy.operation) for failure in result.failed
            }
        results.update({at: failed.get(at) for at in left})
        left = [
            at
            for at, error in failed.items()
            if policy.is_tried_again(at, error, tried, whole=whole)
        ]
        if left:
            await policy.wait(policy.delay(left, [failed[at] for at in left], tried))
    return list(results.values())
