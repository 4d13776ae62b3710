"""Deletes what is done, in batches."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from sourceflow.errors import AwsLeaseLostError
from sourceflow.resilience.backoff import Backoff
from sourceflow.transports.aws.batcher import Batcher
from sourceflow.transports.aws.client import DeleteEntry
from sourceflow.transports.aws.entries import EntryPolicy, see_entries_through

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sourceflow.clock import Clock
    from sourceflow.resilience.task_scope import TaskScope
    from sourceflow.transports.aws.client import BatchResult, SqsClient
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
    delete fails comes again and is recognised as a duplicate. What waits to be deleted is bounded
    by the places of the queue's listener.
    """

    def __init__(
        self, *, sqs: SqsClient, queue: str, url: str, tasks: TaskScope, clock: Clock
    ) -> None:
        self._sqs = sqs
        self._queue = queue
        self._url = url
        self._policy = EntryPolicy(
            operation="DeleteMessageBatch",
            tries=TRIES,
            retry_calls=True,
            backoff=_BACKOFF,
            wait=lambda delay: clock.sleep(delay.total_seconds()),
        )
        self._batcher: Batcher[Lease] = Batcher(self._delete, tasks, linger=LINGER)

    def add(self, lease: Lease, settled: Callable[[], None]) -> None:
        """Delete a message with the next batch.

        Args:
            lease: The message's.
            settled: Is called when the delete is confirmed, or has failed for good; must not raise.
        """
        lease.done = True
        if lease.lost:
            log.warning(
                "message %s of %s is not acknowledged: its lease is lost",
                lease.message.message_id,
                self._queue,
            )
            settled()
        else:
            self._batcher.add(lease, partial(self._settle, lease, settled))

    async def acknowledge(self, lease: Lease) -> None:
        """Delete a message and return when that is confirmed, or has failed for good."""
        confirmed = asyncio.Event()
        self.add(lease, confirmed.set)
        await confirmed.wait()

    def _settle(self, lease: Lease, settled: Callable[[], None], error: Exception | None) -> None:
        if error is not None:
            log.warning(
                "message %s of %s was not deleted and may come again: %s",
                lease.message.message_id,
                self._queue,
                error,
            )
        settled()

    async def _delete(self, leases: Sequence[Lease]) -> Sequence[Exception | None]:
        def delete(places: Sequence[int]) -> Awaitable[BatchResult]:
            entries = [DeleteEntry(str(at), leases[at].message.receipt_handle) for at in places]
            return self._sqs.delete_message_batch(self._url, entries)

        results = await see_entries_through(delete, len(leases), self._policy)
        for lease, error in zip(leases, results, strict=True):
            lease.lost = lease.lost or isinstance(error, AwsLeaseLostError)
        return results
