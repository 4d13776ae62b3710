"""Takes messages from one queue and sees each through to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sourceflow.bus.outcome import Paused, Rejected, RetryLater
from sourceflow.bus.ports import Delivery
from sourceflow.errors import AwsError, HandlingError
from sourceflow.resilience.backoff import Backoff
from sourceflow.transports.aws.attempts import Attempts
from sourceflow.transports.aws.places import Places
from sourceflow.transports.aws.pollers import MISCONFIGURED, Pollers
from sourceflow.transports.aws.wire import read_arrived

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence

    from sourceflow.bus.outcome import Outcome
    from sourceflow.clock import Clock
    from sourceflow.messages import Kind
    from sourceflow.transports.aws.acknowledger import Acknowledger
    from sourceflow.transports.aws.attempts import Tally
    from sourceflow.transports.aws.client import ReceivedMessage, SqsClient
    from sourceflow.transports.aws.dead_letters import DeadLetterSender
    from sourceflow.transports.aws.leases import Lease, Leases

__all__ = ("Listener", "ListenerOptions")

log = logging.getLogger(__name__)

ASKED_ATTEMPTS: Final = 100
"""How often a handler may ask for a later try of one message."""

LAST_POLLS: Final = 0.2
"""Seconds that polls under way are awaited at the end: a poll that is cut off may have taken messages
with it, which nobody sees until their visibility timeout ends."""

LONGEST_HOLD: Final = timedelta(seconds=60)
"""A message that waits longer for its next try is handed back for that time."""

_FAILED: Final = Backoff(base=timedelta(seconds=1), cap=timedelta(seconds=60))
_PAUSED: Final = Backoff(base=timedelta(seconds=1), cap=timedelta(seconds=30))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerOptions:
    """How one queue is listened to.

    Attributes:
        name: The queue's name, for people.
        url: Its URL.
        kind: What it takes.
        is_fifo: Whether it keeps the order of groups.
        wait_time: How long a receive waits for a first message.
        visibility: How long a message is hidden before its lease is renewed.
        max_attempts: How often the handling of a message may fail.
        concurrency: Messages of it handled at a time, at most.
        capacity: Messages held at most, running or not.
        topics: ARNs of the topics whose notifications are believed.
        timeout: How long one handling may take; None sets no limit.
    """

    name: str
    url: str
    kind: Kind
    is_fifo: bool
    wait_time: timedelta
    visibility: timedelta
    max_attempts: int
    concurrency: int
    capacity: int
    topics: Collection[str] = ()
    timeout: timedelta | None = None


class Listener:
    """Polls one queue and handles what comes.

    Invariants:

    - A message is deleted only after ``receive`` has said that its effects are safe, or after the
      dead letter queue has confirmed it; never when its lease was lost.
    - Of a FIFO group one message is handled at a time. The next one starts when the delete of
      the one before is confirmed. While the head waits for another try its followers wait with
      it, all of them leased; when the head is handed back, so are they, for the same time.
    - While a dependency is away, one message probes it and every other one is handed back.
    - Handlers run only inside ``slots``, which all queues share.
    - A lease ends with its message settled or handed back. Who is cancelled meanwhile leaves it
      held, so that ``hand_back`` can show the message to others at once.
    """

    def __init__(
        self,
        options: ListenerOptions,
        *,
        sqs: SqsClient,
        receive: Callable[[Delivery], Awaitable[Outcome]],
        slots: Sequence[asyncio.Semaphore],
        leases: Leases,
        acknowledger: Acknowledger,
        dead_letters: DeadLetterSender,
        clock: Clock,
    ) -> None:
        self._options = options
        self._receive = receive
        self._slots = slots
        self._leases = leases
        self._acknowledger = acknowledger
        self._dead_letters = dead_letters
        self._clock = clock
        self._attempts = Attempts()
        self._groups: dict[str, deque[Lease]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._places = Places(options.capacity)
        self._pollers = Pollers(
            options, sqs=sqs, places=self._places, take=self._take, wait=self._wait
        )
        self._probe: Lease | None = None
        self._stopped = asyncio.Event()

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._options.name

    async def run(self) -> None:
        """Poll and handle until cancelled; ``stop`` first ends the polling."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._leases.run(), name=f"sourceflow leases {self.name}")
            await self._pollers.run()
            await asyncio.Event().wait()

    def _take(self, messages: Sequence[ReceivedMessage]) -> None:
        for message in messages:
            lease = self._leases.take(message)
            group = message.system.message_group_id if self._options.is_fifo else ""
            if not group:
                self._start(self._run_one(lease))
            elif group in self._groups:
                self._groups[group].append(lease)
            else:
                self._groups[group] = deque((lease,))
                self._start(self._run_group(group))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._tasks is not None
        self._tasks.create_task(work, name=f"sourceflow {self.name}")

    async def _run_one(self, lease: Lease) -> None:
        back = await self._see_through(lease)
        if back is not None:
            await self._leases.hand_back([lease], back)
        self._leases.drop(lease)
        self._places.leave()

    async def _run_group(self, group: str) -> None:
        waiting = self._groups[group]
        while waiting:
            back = await self._see_through(waiting[0])
            if back is None:
                self._leases.drop(waiting.popleft())
                self._places.leave()
            else:
                await self._hand_back_group(waiting, back)
        del self._groups[group]

    async def _hand_back_group(self, waiting: deque[Lease], back: timedelta) -> None:
        """Hand back a group's messages, and those that arrive meanwhile: they come after these."""
        while waiting:
            handed = list(waiting)
            await self._leases.hand_back(handed, back)
            for _ in handed:
                waiting.popleft()
            self._places.leave(len(handed))

    async def _see_through(self, lease: Lease) -> timedelta | None:
        """Handle a message until it is settled.

        Returns:
            None when it is settled or lost; otherwise when it shall come again.
        """
        try:
            return await self._try_until_settled(lease)
        finally:
            self._end_probe(lease)

    async def _try_until_settled(self, lease: Lease) -> timedelta | None:
        message_id = lease.message.message_id
        tally = self._attempts.of(message_id)
        pauses = 0
        while not lease.lost:
            if self._stopped.is_set() or self._probe not in {None, lease}:
                return timedelta(0)
            outcome = await self._handle(lease, tally)
            if outcome is None:
                return None
            if isinstance(outcome, Paused):
                if not self._begin_probe(lease):
                    return timedelta(0)
                await self._wait_for_dependency(outcome, pauses)
                pauses += 1
                continue
            self._end_probe(lease)
            delay = await self._settle(lease, outcome, tally)
            if delay is None:
                self._attempts.forget(message_id)
                return None
            if delay > LONGEST_HOLD:
                self._attempts.keep(message_id, tally)
                return delay
            await self._wait(delay)
        return None

    async def _wait(self, delay: timedelta) -> None:
        """Wait for a delay, or until the listener stops."""
        sleeping = asyncio.ensure_future(self._clock.sleep(delay.total_seconds()))
        stopping = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait((sleeping, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()

    async def _handle(self, lease: Lease, tally: Tally) -> Outcome | None:
        """Run the handler inside the slots; None when the lease was lost meanwhile."""
        arrived = read_arrived(lease.message, self._options.topics)
        delivery = Delivery(
            body=arrived.body,
            type_hint=arrived.type_hint,
            kind=self._options.kind,
            origin=self.name,
            attempt=tally.handled + 1,
            subscribers=arrived.subscribers,
        )
        task = asyncio.current_task()
        assert task is not None
        async with AsyncExitStack() as stack:
            for slot in self._slots:
                await stack.enter_async_context(slot)
            lease.handling = task
            self._places.begin()
            try:
                return await self._within_time(delivery)
            except asyncio.CancelledError:
                if not lease.lost:
                    raise
                task.uncancel()  # only this handling was meant
                return None
            finally:
                lease.handling = None
                self._places.end()

    async def _within_time(self, delivery: Delivery) -> Outcome:
        """Handle a message; one that takes too long has failed this time."""
        limit = self._options.timeout
        if limit is None:
            return await self._receive(delivery)
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await self._receive(delivery)
        except TimeoutError:  # ours alone: what handlers raise has become an outcome
            return RetryLater(error=HandlingError(f"it was not handled within {limit}"))

    def _begin_probe(self, lease: Lease) -> bool:
        """Stop receiving, as a dependency is away; return whether this message is the probe.

        The probe stays leased and its tries are not counted: it is no fault of the message. All
        others are handed back, once, as nothing is received before the probe has got through.
        """
        if self._probe is None:
            self._probe = lease
            self._pollers.pause()
        return self._probe is lease

    def _end_probe(self, lease: Lease) -> None:
        """Receive again, if this message is the probe: it got through, or is ours no longer."""
        if self._probe is lease:
            self._probe = None
            self._pollers.resume()

    async def _wait_for_dependency(self, outcome: Paused, pauses: int) -> None:
        delay = _PAUSED.delay(pauses)
        log.warning(
            "%s is paused for %.1f s, a dependency does not answer: %s",
            self.name,
            delay.total_seconds(),
            outcome.error,
        )
        await self._wait(delay)

    async def _settle(self, lease: Lease, outcome: Outcome, tally: Tally) -> timedelta | None:
        """Acknowledge a message or give it up; otherwise return when to try again."""
        match outcome:
            case RetryLater(asked=asked):
                if asked:
                    tally.asked += 1
                else:
                    tally.failed += 1
                if tally.failed < self._options.max_attempts and tally.asked < ASKED_ATTEMPTS:
                    return outcome.delay or _FAILED.delay(tally.failed - 1)
                return await self._give_up(lease, outcome, tally)
            case Rejected():
                tally.failed += 1
                return await self._give_up(lease, outcome, tally)
            case _:
                await self._acknowledger.acknowledge(lease)
                return None

    async def _give_up(
        self, lease: Lease, outcome: RetryLater | Rejected, tally: Tally
    ) -> timedelta | None:
        try:
            await self._dead_letters.send(
                lease.message,
                reason=outcome.reason,
                error=outcome.error,
                attempts=tally.handled,
                subscribers=outcome.subscribers,
            )
        except AwsError as error:
            log.warning("the dead letter queue of %s does not take a message: %s", self.name, error)
            return MISCONFIGURED.delay(0)
        await self._acknowledger.acknowledge(lease)
        return None

    def stop(self) -> None:
        """Receive nothing more; start no handler; let those that run end."""
        self._stopped.set()
        self._pollers.stop()

    async def finished(self) -> None:
        """Wait until no message is held, and briefly for polls under way: they may bring more."""
        await self._places.empty()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_POLLS):
                await self._pollers.ended()
        await self._places.empty()

    async def hand_back(self) -> None:
        """Show every message that is still held to others at once."""
        await self._leases.hand_back(self._leases.held())
