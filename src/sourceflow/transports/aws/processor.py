"""Handles one message once, and says what is to become of it."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from sourceflow.bus.outcome import InProgress, Paused, Rejected, RetryLater
from sourceflow.bus.ports import Delivery
from sourceflow.bus.step_log import Described, tell
from sourceflow.errors import AwsError, HandlingError
from sourceflow.resilience.backoff import Backoff
from sourceflow.telemetry.lines import MESSAGE_RETRIED, WORK_PAUSED
from sourceflow.transports.aws.attempts import Attempts
from sourceflow.transports.aws.pollers import MISCONFIGURED
from sourceflow.transports.aws.wire import envelope_id, read_arrived

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sourceflow.bus.outcome import Outcome
    from sourceflow.transports.aws.dead_letters import DeadLetterSender
    from sourceflow.transports.aws.leases import Lease
    from sourceflow.transports.aws.listener_options import ListenerOptions
    from sourceflow.transports.aws.places import Places
    from sourceflow.transports.aws.probe import Probe
    from sourceflow.transports.aws.slots import QueueSlots

__all__ = ("Again", "Ended", "HandBack", "Processor", "Verdict")

log = logging.getLogger(__name__)

ASKED_ATTEMPTS: Final = 100
"""How often a handler may ask for a later try of one message."""

_FAILED: Final = Backoff(base=timedelta(seconds=1), cap=timedelta(seconds=60))
_UNKNOWN: Final = Backoff(base=timedelta(seconds=10), cap=timedelta(minutes=1))
"""A rolling deploy takes minutes, in which more and more instances may know the message."""

_PAUSED: Final = Backoff(base=timedelta(seconds=1), cap=timedelta(seconds=30))


class Ended(Enum):
    """A message is settled."""

    DONE = "done"
    """Its effects are safe, or it is a dead letter: acknowledge it."""
    LOST = "lost"
    """Others may have it now: leave it to them."""


class Again(NamedTuple):
    """Try a message again.

    Attributes:
        delay: How long to wait before.
    """

    delay: timedelta


class HandBack(NamedTuple):
    """Let a message go, so that it comes again, here or elsewhere.

    Attributes:
        delay: How long nobody shall see it.
    """

    delay: timedelta


Verdict = Ended | Again | HandBack
"""What is to become of a message."""

_AT_ONCE: Final = HandBack(timedelta(0))


class Processor:
    """Handles messages of one queue.

    Invariants:

    - A handler runs only inside a slot; it does not begin once ``stopped`` is set, nor while
      another message probes a dependency that is away.
    - ``Ended.DONE`` is said only after ``receive`` has said that the message's effects are safe, or
      after the dead letter queue has confirmed it.
    - A lost lease cancels its handler, and is never ``Ended.DONE``.

    Args:
        options: How the queue is listened to.
        receive: Handles a message; it never raises, but for cancellation.
        slots: Where handlers run.
        places: Counts those that run.
        probe: Which message probes, if any.
        dead_letters: Takes what is given up.
        stopped: Is set when no handler may begin any more.
        monotonic: The time in seconds.
    """

    def __init__(
        self,
        options: ListenerOptions,
        *,
        receive: Callable[[Delivery], Awaitable[Outcome]],
        slots: QueueSlots,
        places: Places,
        probe: Probe,
        dead_letters: DeadLetterSender,
        stopped: asyncio.Event,
        monotonic: Callable[[], float],
    ) -> None:
        self._options = options
        self._receive = receive
        self._slots = slots
        self._places = places
        self._probe = probe
        self._dead_letters = dead_letters
        self._stopped = stopped
        self._monotonic = monotonic
        self._attempts = Attempts()

    async def handle(self, lease: Lease) -> Verdict:
        """Handle a message when there is a slot for it, or go on giving it up."""
        if self._may_not_begin(lease):
            return _AT_ONCE
        if lease.lost:
            return Ended.LOST
        if lease.given_up is not None:
            return await self._give_up(lease, lease.given_up)
        if not self._slots.take_at_once():
            verdict = await self._wait_for_slot(lease)
            if verdict is not None:
                return verdict
        handled = self._attempts.handled(lease.message.message_id)
        try:
            outcome = await self._run(lease, handled + 1)
        finally:
            self._slots.release()
        if outcome is None:
            return Ended.LOST
        if isinstance(outcome, Paused):
            return self._pause(lease, outcome)
        self._probe.end(lease)
        if isinstance(outcome, (RetryLater, Rejected, InProgress)):
            return await self._judge(lease, outcome)
        if handled:
            self._attempts.forget(lease.message.message_id)
        return Ended.DONE

    async def _wait_for_slot(self, lease: Lease) -> Verdict | None:
        """Take a slot; where the message may not begin any more then, return what becomes of it."""
        if not await self._slots.take():
            return _AT_ONCE
        if not lease.lost and not self._may_not_begin(lease):
            return None
        self._slots.release()
        return Ended.LOST if lease.lost else _AT_ONCE

    def _may_not_begin(self, lease: Lease) -> bool:
        return self._stopped.is_set() or self._probe.excludes(lease)

    async def _run(self, lease: Lease, attempt: int) -> Outcome | None:
        """Run the handler; None when the lease was lost meanwhile."""
        options = self._options
        arrived = read_arrived(lease.message, options.topics)
        delivery = Delivery(
            arrived.body,
            arrived.type_hint,
            options.kind,
            options.name,
            attempt,
            arrived.subscribers,
            arrived.trace,
        )
        task = asyncio.current_task()
        assert task is not None
        lease.handling = task
        lease.begun = self._monotonic()
        self._places.begin()
        outcome: Outcome | None = None
        try:
            if options.timeout is None:
                outcome = await self._receive(delivery)
            else:
                outcome = await self._within_time(delivery, options.timeout)
        except asyncio.CancelledError:
            if not lease.lost or task.cancelling() > 1:  # not, or not only, by the lost lease
                raise
        finally:
            lease.handling = None
            self._places.end()
        if lease.lost:
            task.uncancel()  # only this handling was meant, whether it noticed or not
            return None
        return outcome

    async def _within_time(self, delivery: Delivery, limit: timedelta) -> Outcome:
        """Handle a message; one that takes too long has failed this time."""
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await self._receive(delivery)
        except TimeoutError:  # ours alone: what handlers raise has become an outcome
            return RetryLater(error=HandlingError(f"it was not handled within {limit}"))

    def _pause(self, lease: Lease, outcome: Paused) -> Verdict:
        if not self._probe.begin(lease, outcome.error):
            return _AT_ONCE
        delay = _PAUSED.delay(self._probe.tries - 1)
        tell(
            WORK_PAUSED,
            source=self._options.name,
            delay=delay.total_seconds(),
            error=Described(outcome.error, outcome.message),
        )
        return Again(delay)

    async def _judge(self, lease: Lease, outcome: RetryLater | Rejected | InProgress) -> Verdict:
        """Count a failure, and say whether it was the last."""
        if isinstance(outcome, InProgress):
            return Again(outcome.delay)
        asked = isinstance(outcome, RetryLater) and outcome.asked
        tally = self._attempts.count(lease.message.message_id, asked=asked)
        if (
            isinstance(outcome, Rejected)
            or tally.failed >= self._options.max_attempts
            or tally.asked >= ASKED_ATTEMPTS
        ):
            return await self._give_up(lease, outcome)
        if outcome.reason == "UnknownType":
            return await self._leave_to_others(lease, outcome, tally.failed)
        delay = outcome.delay or _FAILED.delay(tally.failed - 1)
        self._tell_retried(lease, outcome, delay)
        return Again(delay)

    async def _leave_to_others(self, lease: Lease, outcome: RetryLater, failed: int) -> Verdict:
        """Let go of a message that a newer instance may know; each instance counts for itself.

        Where this was the last receive that SQS allows, it is given up here, with a reason. On a
        FIFO queue it is kept until this instance stops: with it the others of its group would be
        received again and again, until SQS gives them up unhandled.
        """
        delay = _UNKNOWN.delay(failed - 1)
        if self._options.is_fifo:
            self._tell_retried(lease, outcome, delay)
            return Again(delay)
        if lease.message.system.approximate_receive_count >= self._options.max_receive_count:
            return await self._give_up(lease, outcome)
        self._tell_retried(lease, outcome, delay)
        return HandBack(delay)

    def _tell_retried(self, lease: Lease, outcome: RetryLater, delay: timedelta) -> None:
        arrived = read_arrived(lease.message, self._options.topics)
        tell(
            MESSAGE_RETRIED,
            trace=arrived.trace,
            message_id=envelope_id(arrived.body) or lease.message.message_id,
            message_type=arrived.type_hint,
            source=self._options.name,
            attempt=self._attempts.handled(lease.message.message_id),
            delay=delay.total_seconds(),
            error=Described(outcome.error, outcome.message),
        )

    async def _give_up(self, lease: Lease, outcome: RetryLater | Rejected) -> Verdict:
        lease.given_up = outcome
        message = lease.message
        try:
            await self._dead_letters.send(
                message,
                reason=outcome.reason,
                error=outcome.error,
                handled=outcome.message,
                attempts=self._attempts.handled(message.message_id),
                subscribers=outcome.subscribers,
            )
        except AwsError as error:
            log.warning(
                "the dead letter queue of %s does not take a message: %s", self._options.name, error
            )
            return Again(MISCONFIGURED.delay(0))
        self._attempts.forget(message.message_id)
        return Ended.DONE
