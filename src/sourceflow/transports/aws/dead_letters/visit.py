"""A look into a dead letter queue: what is received stays hidden until the visit ends."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self
from uuid import uuid4

import msgspec

from sourceflow.resilience.task_scope import TaskScope
from sourceflow.transports.aws.batcher import MAX_ENTRIES
from sourceflow.transports.aws.client import DeleteEntry
from sourceflow.transports.aws.dead_letters.patience import patient_policy
from sourceflow.transports.aws.entries import see_entries_through
from sourceflow.transports.aws.leases import Leases

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence
    from types import TracebackType

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import BatchResult, SqsClient
    from sourceflow.transports.aws.dead_letters.queue import DeadLetterQueue
    from sourceflow.transports.aws.leases import Lease

__all__ = ("Visit", "count_messages", "cut_group", "group_of_lease")

log = logging.getLogger(__name__)

HIDDEN: Final = timedelta(minutes=2)
"""How long a letter stays hidden from others if this process dies; renewed while it lives."""

WAIT: Final = timedelta(seconds=1)
"""How long a receive waits for a first letter: only one that waits asks all servers of a standard
queue (SQS developer guide, "Short and long polling")."""

MAX_HELD: Final = 10_000
"""Letters that a visit holds at most. SQS lets 120,000 of a queue be in flight, over all who
receive; and each that is held costs a renewal a minute."""

PATIENCE: Final = 5
"""Receives without an answer after which letters that others hold are not waited for any more."""

_COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class Visit:
    """A look into a dead letter queue.

    Invariants:

    - Nothing leaves the queue but by ``remove``.
    - What was received is hidden from others, its lease renewed, until it is removed or shown; what
      is left when the visit ends, whatever ends it, is shown again at once. If that fails too, it
      shows by itself when the lease ends.
    - In this process there is one visit of a queue at a time.

    A dead letter queue has no redrive policy of its own, so no number of visits moves a letter on.
    """

    def __init__(self, queue: DeadLetterQueue, *, sqs: SqsClient, clock: Clock) -> None:
        self._queue = queue
        self._sqs = sqs
        self._policy = patient_policy("DeleteMessageBatch", clock)
        self._leases = Leases(
            sqs=sqs,
            queue_url=queue.url,
            visibility=HIDDEN,
            clock=clock,
            queue=f"the dead letters of {queue.source}",
        )
        self._tasks = TaskScope()
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._queue.lock.acquire()
        try:
            await self._tasks.__aenter__()
        except BaseException:
            self._queue.lock.release()
            raise
        self._renewing = self._tasks.create_task(
            self._leases.run(), name=f"sourceflow visit {self._queue.source}"
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._renewing is not None  # it was entered
        self._renewing.cancel()
        try:
            await self.show(self._leases.held())
        finally:
            try:
                await self._tasks.__aexit__(kind, error, traceback)
            finally:
                self._queue.lock.release()

    @property
    def is_full(self) -> bool:
        """Whether so many letters are held that no more should be received."""
        return len(self._leases) >= MAX_HELD

    async def receive(self, most: int = MAX_ENTRIES) -> list[Lease]:
        """Receive up to ten letters; none where all are held, here or by others.

        Raises:
            AwsError: The queue cannot be read.
        """
        for _ in range(PATIENCE):
            received = await self._receive(most, WAIT)
            if received:
                return received
            _, in_flight, _ = await count_messages(self._sqs, self._queue.url)
            if in_flight <= len(self._leases):
                break  # else somebody looks at them, and will show them again
        return []

    async def receive_more(self) -> list[Lease]:
        """Receive up to ten letters that are at hand, without a wait for them.

        Raises:
            AwsError: The queue cannot be read.
        """
        return await self._receive(MAX_ENTRIES, timedelta(0))

    async def _receive(self, most: int, wait: timedelta) -> list[Lease]:
        messages = await self._sqs.receive_message(
            self._queue.url,
            max_messages=min(most, MAX_ENTRIES),
            wait_time=wait,
            visibility_timeout=HIDDEN,
            attempt_id=uuid4().hex if self._queue.is_fifo else None,
        )
        return [self._leases.take(message) for message in messages]

    async def look(self, most: int = MAX_ENTRIES) -> list[Lease]:
        """Receive letters, of FIFO groups all that can be seen; none where all are held.

        A full answer may cut off its last group, and no more of it would be received while what
        came of it is hidden: it is shown again, and comes whole with the next look. A group that
        fills an answer is seen as far as that goes.

        Raises:
            AwsError: The queue cannot be read.
        """
        found = await self.receive(most)
        cut = cut_group(found, most) if self._queue.is_fifo else None
        again = [lease for lease in found if cut is not None and group_of_lease(lease) == cut]
        if not again:
            return found
        await self.show(again)
        return found[: -len(again)]

    async def find(self, sqs_message_id: str) -> Lease:
        """Receive until a letter is found.

        Raises:
            LookupError: It is not there, or not within reach.
            AwsError: The queue cannot be read.
        """
        while not self.is_full and (received := await self.look()):
            for lease in received:
                if lease.message.message_id == sqs_message_id:
                    return lease
                self.keep(lease)
        raise LookupError(
            f"{sqs_message_id} is not among the dead letters of {self._queue.source} that can be "
            "received: somebody moved or removed it, or holds it, or it stands behind ten others "
            "of its group"
        )

    def keep(self, lease: Lease) -> None:
        """Hold a letter until the visit ends; only its handle is needed for that."""
        lease.message = msgspec.structs.replace(lease.message, body="", attributes={})

    def forget(self, lease: Lease) -> None:
        """Let go of a letter whose lease was lost."""
        self._leases.drop(lease)

    async def show(self, leases: Sequence[Lease]) -> None:
        """Show letters again, in their place of the queue."""
        await self._leases.hand_back(leases)

    async def remove(self, leases: Sequence[Lease]) -> None:
        """Delete letters; one that can't be deleted is held to the end of the visit, and logged."""
        for start in range(0, len(leases), MAX_ENTRIES):
            await self._remove(leases[start : start + MAX_ENTRIES])

    async def _remove(self, leases: Sequence[Lease]) -> None:
        async def call(places: Sequence[int]) -> BatchResult:
            entries = [DeleteEntry(str(at), leases[at].message.receipt_handle) for at in places]
            return await self._sqs.delete_message_batch(self._queue.url, entries)

        errors = await see_entries_through(call, len(leases), self._policy)
        for lease, error in zip(leases, errors, strict=True):
            if error is None:
                self._leases.drop(lease)
            else:
                log.warning(
                    "the letter %s of %s was not deleted, it may come twice: %s",
                    lease.message.message_id,
                    self._queue.source,
                    error,
                )


def group_of_lease(lease: Lease) -> str:
    """Return the message group of a letter."""
    return lease.message.system.message_group_id


def cut_group(found: Sequence[Lease], most: int = MAX_ENTRIES) -> str | None:
    """Return the group that a full answer may have cut off: the last, if others stand before it."""
    if len(found) < most or len({group_of_lease(lease) for lease in found}) == 1:
        return None
    return group_of_lease(found[-1])


async def count_messages(sqs: SqsClient, url: str) -> tuple[int, int, int]:
    """Return how many messages of a queue are visible, in flight, delayed; by SQS's estimate."""
    found = await sqs.get_queue_attributes(url, _COUNTS)
    visible, in_flight, delayed = (int(found[name]) for name in _COUNTS)
    return visible, in_flight, delayed
