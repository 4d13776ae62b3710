"""Batch calls whose entries succeed and fail one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.errors import AwsError, AwsThrottledError, AwsTransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sourceflow.clock import Clock
    from sourceflow.resilience.backoff import Backoff
    from sourceflow.transports.aws.client import BatchResult

__all__ = ("see_entries_through",)


async def see_entries_through(
    call: Callable[[Sequence[int]], Awaitable[BatchResult]],
    count: int,
    *,
    operation: str,
    tries: int,
    retry_calls: bool,
    backoff: Backoff,
    clock: Clock,
) -> list[Exception | None]:
    """Make a batch call, and again for entries that failed for a passing reason.

    Args:
        call: Makes the call for the entries at these places; their ids are the places.
        count: How many entries there are.
        operation: The API operation, for errors.
        tries: How often an entry is tried.
        retry_calls: Whether a call that fails as a whole is made again too: the client has made it
            several times by then.
        backoff: How long to wait before the next try.
        clock: Waits.

    Returns:
        For each entry None, or why it failed.
    """
    results: dict[int, Exception | None] = dict.fromkeys(range(count))
    left = list(results)
    for attempt in range(tries):
        try:
            result = await call(left)
        except AwsError as error:
            failed: dict[int, Exception] = dict.fromkeys(left, error)
            again = left if retry_calls and _is_passing(error) else []
        else:
            failed = {int(failure.id): failure.to_error(operation) for failure in result.failed}
            again = [at for at, error in failed.items() if _is_passing(error)]
        results.update({at: failed.get(at) for at in left})
        left = again
        if not left or attempt == tries - 1:
            break
        await clock.sleep(backoff.delay(attempt).total_seconds())
    return list(results.values())


def _is_passing(error: Exception) -> bool:
    return isinstance(error, (AwsThrottledError, AwsTransientError))
