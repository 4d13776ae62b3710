"""Deletes what is done, in batches."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sourceflow.errors import AwsError, AwsLeaseLostError, AwsThrottledError, AwsTransientError
from sourceflow.resilience.backoff import Backoff
from sourceflow.transports.aws.batcher import Batcher
from sourceflow.transports.aws.client import DeleteEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.clock import Clock
    from sourceflow.resilience.task_scope import TaskScope
    from sourceflow.transports.aws.client import SqsClient
    from sourceflow.transports.aws.leases import Lease

__all__ = ("Acknowledger",)

log = logging.getLogger(__name__)

LINGER: Final = 0.004
"""Seconds an acknowledgement waits for others: a tenth of the calls for no loss at all."""

TRIES: Final = 5
"""How often a delete is tried that fails for a passing reason."""

_BACKOFF: Final = Backoff(base=timedelta(milliseconds=50), cap=timedelta(seconds=2))


class Acknowledger:
    """Acknowledges messages of one queue.

    A message whose lease is lost is never acknowledged: another may be handling it. One whose
    delete fails comes again and is recognised as a duplicate.
    """

    def __init__(
        self, *, sqs: SqsClient, queue: str, url: str, tasks: TaskScope, clock: Clock
    ) -> None:
        self._sqs = sqs
        self._queue = queue
        self._url = url
        self._clock = clock
        self._batcher: Batcher[Lease] = Batcher(self._delete, tasks, linger=LINGER)

    async def acknowledge(self, lease: Lease) -> None:
        """Delete a message and return when that is confirmed, or has failed for good."""
        if lease.lost:
            log.warning(
                "message %s of %s is not acknowledged: its lease is lost",
                lease.message.message_id,
                self._queue,
            )
            return
        error = await (await self._batcher.put(lease))
        if error is not None:
            log.warning(
                "message %s of %s was not deleted and may come again: %s",
                lease.message.message_id,
                self._queue,
                error,
            )

    async def _delete(self, leases: Sequence[Lease]) -> Sequence[Exception | None]:
        results: dict[int, Exception | None] = dict.fromkeys(range(len(leases)))
        left = list(results)
        for attempt in range(TRIES):
            entries = [DeleteEntry(str(at), leases[at].message.receipt_handle) for at in left]
            try:
                result = await self._sqs.delete_message_batch(self._url, entries)
            except AwsError as error:
                failed: dict[int, Exception] = dict.fromkeys(left, error)
            else:
                failed = {
                    int(each.id): each.to_error("DeleteMessageBatch") for each in result.failed
                }
            results.update({at: failed.get(at) for at in left})
            left = [at for at, refusal in failed.items() if _is_passing(refusal)]
            if not left:
                break
            await self._clock.sleep(_BACKOFF.delay(attempt).total_seconds())
        for at, result_of in results.items():
            if isinstance(result_of, AwsLeaseLostError):
                leases[at].lost = True
        return list(results.values())


def _is_passing(error: Exception) -> bool:
    return isinstance(error, (AwsThrottledError, AwsTransientError))
