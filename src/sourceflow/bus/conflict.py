"""Lost races are run again in the process: cheaper for everybody than a redelivery."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from sourceflow.errors import ConflictError
from sourceflow.resilience.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sourceflow.clock import Clock

__all__ = ("CONFLICT_TRIES", "retry_conflicts")

ResultT = TypeVar("ResultT")

CONFLICT_TRIES: Final = 5
"""How often a handler runs before its lost race is left to a later delivery."""

_BACKOFF: Final = Backoff(base=timedelta(milliseconds=5), cap=timedelta(milliseconds=100))


async def retry_conflicts(
    run: Callable[[], Awaitable[ResultT]],
    *,
    clock: Clock,
    also: type[Exception] = ConflictError,
) -> ResultT:
    """Run something until it loses no race any more, at most ``CONFLICT_TRIES`` times.

    Args:
        run: Reads, handles and commits.
        clock: The time.
        also: What says, besides ``ConflictError``, that the state has moved on.

    Raises:
        ConflictError: Every race was lost.
    """
    attempt = 0
    while True:
        try:
            return await run()
        except (ConflictError, also) as error:
            attempt += 1
            if attempt == CONFLICT_TRIES:
                raise ConflictError(
                    f"{CONFLICT_TRIES} races in a row were lost to other writers; the last: {error}"
                ) from error
        await clock.sleep(_BACKOFF.delay(attempt - 1).total_seconds())
