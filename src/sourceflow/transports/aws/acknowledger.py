"""Deletes what is done, in batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sourceflow.errors import AwsLeaseLostError
from sourceflow.resilience.backoff import Backoff
from sourceflow.transports.aws.batcher import Batcher
from sourceflow.transports.aws.client import DeleteEntry
from sourceflow.transports.aws.entries import EntryPolicy, see_entries_through

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from sourceflow.clock import Clock
    from sourceflow.resilience.task_scope import TaskScope
    from sourceflow.transports.aws.client import BatchResult, SqsClient
    from sourceflow.transports.aws.leases import Lease

__all__ = ("Acknowledger", "Settled")

log = logging.getLogger(__name__)

LINGER: Final = 0.004
"""Seconds an acknowledgement waits for others: a tenth of the calls for no loss at all."""

TRIES: Final = 5
"""How often a delete is tried that fails for a passing reason."""

Settled = Callable[[Sequence["Lease"]], None]
"""Is told which messages need nothing more."""

_BACKOFF: Final = Backoff(base=timedelta(milliseconds=50), cap=timedelta(seconds=2))


class Acknowledger:
    """Acknowledges messages of one queue.

    A message whose lease is lost is never acknowledged: another may be handling it. One whose
    delete fails comes again and is recognised as a duplicate. What waits to be deleted is bounded
    by the places of the queue's listener.

    Args:
        settled: Is called with leases whose delete is confirmed, or has failed for good; must not
            raise.
        sqs: Deletes.
        queue: The queue's name.
        url: Its URL.
        tasks: Runs the deletes that are under way.
        clock: Waits between tries.
    """

    def __init__(
        self,
        settled: Settled,
        *,
        sqs: SqsClient,
        queue: str,
        url: str,
        tasks: TaskScope,
        clock: Clock,
    ) -> None:
        self._settled = settled
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
        self._batcher: Batcher[Lease] = Batcher(
            self._delete, tasks, settle=self._settle, linger=LINGER
        )
        self._awaited: dict[Lease, asyncio.Event] = {}

    def add(self, lease: Lease) -> None:
        """Delete a message with the next batch."""
        lease.done = True
        if lease.lost:
            log.warning(
                "message %s of %s is not acknowledged: its lease is lost",
                lease.message.message_id,
                self._queue,
            )
            self._end((lease,))
        else:
            self._batcher.add(lease)

    async def acknowledge(self, lease: Lease) -> None:
        """Delete a message and return when that is confirmed, or has failed for good."""
        ended = self._awaited[lease] = asyncio.Event()
        self.add(lease)
        await ended.wait()

    async def empty(self) -> None:
        """Wait until every delete is confirmed, or has failed for good."""
        await self._batcher.empty()

    def _settle(self, leases: Sequence[Lease], results: Sequence[Exception | None]) -> None:
        for lease, error in zip(leases, results, strict=True):
            if error is not None:
                log.warning(
                    "message %s of %s was not deleted and may come again: %s",
                    lease.message.message_id,
                    self._queue,
                    error,
                )
        self._end(leases)

    def _end(self, leases: Sequence[Lease]) -> None:
        self._settled(leases)
        if self._awaited:
            for lease in leases:
                ended = self._awaited.pop(lease, None)
                if ended is not None:
                    ended.set()

    async def _delete(self, leases: Sequence[Lease]) -> Sequence[Exception | None]:
        def delete(places: Sequence[int]) -> Awaitable[BatchResult]:
            entries = [DeleteEntry(str(at), leases[at].message.receipt_handle) for at in places]
            return self._sqs.delete_message_batch(self._url, entries)

        results = await see_entries_through(delete, len(leases), self._policy)
        for lease, error in zip(leases, results, strict=True):
            lease.lost = lease.lost or isinstance(error, AwsLeaseLostError)
        return results
