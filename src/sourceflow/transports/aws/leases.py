"""Messages stay ours while we work on them: one timer renews what is due, in batches."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from sourceflow.bus.outcome import Rejected, RetryLater
from sourceflow.errors import AwsError, AwsLeaseLostError
from sourceflow.transports.aws.batcher import MAX_ENTRIES
from sourceflow.transports.aws.client import ReceivedMessage, VisibilityEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import SqsClient

__all__ = ("Lease", "Leases")

log = logging.getLogger(__name__)

RENEW_AT: Final = 0.5
"""The part of the visibility timeout after which a lease is renewed."""

LOOKS: Final = 8
"""How often the timer looks during one visibility timeout."""


class Lease(msgspec.Struct, eq=False):
    """One received message that is hidden from others.

    Attributes:
        message: The message.
        expires: The monotonic second at which others may see it.
        lost: Whether others may have it now: it must not be acknowledged.
        done: Whether it is being acknowledged: it must not be handed back any more.
        given_up: How its last handling ended, if the message shall become a dead letter: it is not
            handled again while that is tried.
        handling: The task that handles it, to be cancelled when the lease is lost.
        begun: The monotonic second at which that has begun.
    """

    message: ReceivedMessage
    expires: float
    lost: bool = False
    done: bool = False
    given_up: RetryLater | Rejected | None = None
    handling: asyncio.Task[object] | None = None
    begun: float = 0.0

    def lose(self) -> None:
        """Note that others may have the message, and stop its handler: once, however often it is noticed."""
        if self.lost:
            return
        self.lost = True
        if self.handling is not None:
            self.handling.cancel()


class Leases:
    """All leases on messages of one queue.

    Invariant: a lease that is held is renewed well before it expires; one that could not be is
    lost before others see its message, by our clock.

    Attributes:
        lost: How many were lost so far.
    """

    def __init__(
        self, *, sqs: SqsClient, queue_url: str, visibility: timedelta, clock: Clock, queue: str
    ) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._visibility = visibility
        self._seconds = visibility.total_seconds()
        self._look = self._seconds / LOOKS
        self._clock = clock
        self._queue = queue
        self._held: dict[Lease, None] = {}
        self.lost = 0

    def __len__(self) -> int:
        return len(self._held)

    def take(self, message: ReceivedMessage) -> Lease:
        """Begin the lease of a message that was received just now."""
        lease = Lease(message, self._clock.monotonic() + self._seconds)
        self._held[lease] = None
        return lease

    def drop(self, lease: Lease) -> None:
        """End a lease: the message is acknowledged, or handed back."""
        self._held.pop(lease, None)

    def longest(self) -> timedelta:
        """Return how long the message has been handled that has been handled the longest."""
        now = self._clock.monotonic()
        begun = (lease.begun for lease in self._held if lease.handling is not None)
        return timedelta(seconds=now - min(begun, default=now))

    def held(self) -> list[Lease]:
        """Return the leases on messages that are not done."""
        return [lease for lease in self._held if not lease.done]

    async def run(self) -> None:
        """Renew leases until cancelled, and lose those that could not be.

        The two go side by side: a call that takes its time delays no loss.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew_at_each_look())
            tasks.create_task(self._expire_at_each_look())

    async def _renew_at_each_look(self) -> None:
        while True:
            await self._clock.sleep(self._look)
            await self.renew()

    async def _expire_at_each_look(self) -> None:
        while True:
            await self._clock.sleep(self._look)
            self.expire()

    async def renew(self) -> None:
        """Renew what is due; note what is lost."""
        now = self._clock.monotonic()
        margin = self._seconds * (1 - RENEW_AT)
        due = [lease for lease in self._held if not lease.lost and lease.expires - now <= margin]
        for start in range(0, len(due), MAX_ENTRIES):
            await self._renew(due[start : start + MAX_ENTRIES])

    def expire(self) -> None:
        """Lose what would end before the next look."""
        next_look = self._clock.monotonic() + self._look
        for lease in self.held():
            if not lease.lost and lease.expires <= next_look:
                self._lost(lease, "it could not be renewed in time")

    async def _renew(self, leases: Sequence[Lease]) -> None:
        asked = self._clock.monotonic()
        by_id = {str(at): lease for at, lease in enumerate(leases)}
        entries = [
            VisibilityEntry(entry_id, lease.message.receipt_handle, self._visibility)
            for entry_id, lease in by_id.items()
        ]
        try:
            result = await self._sqs.change_message_visibility_batch(self._queue_url, entries)
        except AwsError as error:
            log.warning("leases on %s were not renewed: %s", self._queue, error)
            return
        for success in result.successful:
            by_id[success.id].expires = asked + self._seconds
        for failure in result.failed:
            refusal = failure.to_error("ChangeMessageVisibilityBatch")
            if isinstance(refusal, AwsLeaseLostError):
                self._lost(by_id[failure.id], str(refusal))

    def _lost(self, lease: Lease, why: str) -> None:
        if lease not in self._held:  # acknowledged in the meantime
            return
        self.lost += not lease.lost
        log.warning(
            "the lease on message %s of %s is lost: %s", lease.message.message_id, self._queue, why
        )
        lease.lose()

    async def hand_back(self, leases: Sequence[Lease], delay: timedelta = timedelta(0)) -> None:
        """End leases so that others see their messages after a delay, all at once.

        A failure is only logged: the messages come back when their leases end by themselves.
        """
        for lease in leases:
            self.drop(lease)
        back = [lease for lease in leases if not lease.lost]
        for start in range(0, len(back), MAX_ENTRIES):
            entries = [
                VisibilityEntry(str(at), lease.message.receipt_handle, delay)
                for at, lease in enumerate(back[start : start + MAX_ENTRIES])
            ]
            try:
                await self._sqs.change_message_visibility_batch(self._queue_url, entries)
            except AwsError as error:
                log.warning(
                    "%d message(s) of %s come back later: %s", len(entries), self._queue, error
                )
