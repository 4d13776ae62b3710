"""Takes messages from one queue and sees each through to its end."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sourceflow.bus.step_log import tell
from sourceflow.bus.waits import sleep_unless
from sourceflow.errors import AwsConfigurationError
from sourceflow.telemetry.lines import WORK_RESUMED
from sourceflow.transports.aws.listener_status import ListenerState, ListenerStatus
from sourceflow.transports.aws.places import Places
from sourceflow.transports.aws.pollers import Pollers
from sourceflow.transports.aws.probe import Probe
from sourceflow.transports.aws.processor import Again, Ended, HandBack, Processor
from sourceflow.transports.aws.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sourceflow.bus.outcome import Outcome
    from sourceflow.bus.ports import Delivery
    from sourceflow.clock import Clock
    from sourceflow.transports.aws.acknowledger import Acknowledger, Settled
    from sourceflow.transports.aws.client import ReceivedMessage
    from sourceflow.transports.aws.dead_letters import DeadLetterSender
    from sourceflow.transports.aws.leases import Lease, Leases
    from sourceflow.transports.aws.listener_options import ListenerOptions
    from sourceflow.transports.aws.pollers import Receives
    from sourceflow.transports.aws.slots import QueueSlots

__all__ = ("Listener",)

LAST_POLLS: Final = 0.2
"""Seconds that polls under way are awaited at the end: a poll that is cut off may have taken messages
with it, which nobody sees until their visibility timeout ends."""

LONGEST_HOLD: Final = timedelta(seconds=60)
"""A message that waits longer for its next try is handed back for that time."""

PARKED_PER_PLACE: Final = 10
"""Messages that may wait for another try, for each that may be held: their leases cost a call for ten
of them at each renewal. What is beyond is handed back for the time of its wait."""


class _Lane:
    """Messages that are handled one after the other: a FIFO group's, or a single one's."""

    __slots__ = ("group", "waiting")

    def __init__(self, group: str | None, lease: Lease) -> None:
        self.group = group
        self.waiting = [lease]  # mostly this one alone, and never more than fit


class Listener:
    """Polls one queue and handles what comes.

    Invariants:

    - A message is deleted only after ``Processor`` has said that it is done, and never when its
      lease was lost.
    - Of a FIFO group one message is handled at a time. The next one starts when the delete of
      the one before is confirmed, or with ``overlaps`` when its effects are committed. While the
      head waits for another try its followers wait with it, all of them leased; when the head is
      handed back, so are they, for the same time; when it is lost, so are they, at once.
    - While a dependency is away, one message probes it and every other one is handed back.
    - A lease ends with its message settled or handed back. Who is cancelled meanwhile leaves it
      held, so that ``hand_back`` can show the message to others at once.

    Context variables that a handler sets are gone when the next message is handled: see ``Workers``.
    """

    def __init__(
        self,
        options: ListenerOptions,
        *,
        sqs: Receives,
        receive: Callable[[Delivery], Awaitable[Outcome]],
        slots: QueueSlots,
        leases: Leases,
        acknowledger: Callable[[Settled], Acknowledger],
        dead_letters: DeadLetterSender,
        clock: Clock,
    ) -> None:
        self._options = options
        self._slots = slots
        self._leases = leases
        self._acknowledger = acknowledger(self._settled)
        self._clock = clock
        self._groups: dict[str, _Lane] = {}
        self._workers: Workers[_Lane] | None = None
        self._stopped = asyncio.Event()
        self._places = Places(options.capacity, parking=options.capacity * PARKED_PER_PLACE)
        self._pollers = Pollers(
            options,
            sqs=sqs,
            places=self._places,
            take=self._take,
            wait=lambda delay: sleep_unless(self._stopped, delay, clock),
            monotonic=clock.monotonic,
        )
        self._probe = Probe(pause=self._pause, resume=self._resume)
        self._processor = Processor(
            options,
            receive=receive,
            slots=slots,
            places=self._places,
            probe=self._probe,
            dead_letters=dead_letters,
            stopped=self._stopped,
            monotonic=clock.monotonic,
        )

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._options.name

    @property
    def url(self) -> str:
        """The queue's URL."""
        return self._options.url

    @property
    def leases_lost(self) -> int:
        """How many leases were lost so far."""
        return self._leases.lost

    @property
    def status(self) -> ListenerStatus:
        """How it goes."""
        error = self._probe.error or self._pollers.error
        return ListenerStatus(
            queue=self.name,
            state=self._state(),
            error=error,
            running=self._places.running,
            held=self._places.held,
            waiting=self._places.parked,
            polls=self._pollers.count,
            quiet=timedelta(seconds=self._clock.monotonic() - self._pollers.answered),
            longest=self._leases.longest(),
        )

    def _state(self) -> ListenerState:
        if self._stopped.is_set():
            return ListenerState.STOPPED
        if self._probe.error is not None:
            return ListenerState.PAUSED
        if self._pollers.error is None:
            return ListenerState.RECEIVING
        if isinstance(self._pollers.error, AwsConfigurationError):
            return ListenerState.MISCONFIGURED
        return ListenerState.UNREACHABLE

    async def run(self) -> None:
        """Poll and handle until cancelled; ``stop`` first ends the polling."""
        async with asyncio.TaskGroup() as tasks:
            self._workers = Workers(self._run, tasks, name=f"sourceflow {self.name}")
            tasks.create_task(self._leases.run(), name=f"sourceflow leases {self.name}")
            await self._pollers.run()
            await asyncio.Event().wait()

    def _take(self, messages: Sequence[ReceivedMessage]) -> None:
        for message in messages:
            lease = self._leases.take(message)
            group = message.system.message_group_id if self._options.is_fifo else None
            if not group:
                self._start(_Lane(None, lease))
            elif group in self._groups:
                self._groups[group].waiting.append(lease)
            else:
                lane = self._groups[group] = _Lane(group, lease)
                self._start(lane)

    def _start(self, lane: _Lane) -> None:
        assert self._workers is not None  # it runs
        self._workers.add(lane)

    async def _run(self, lane: _Lane) -> None:
        """See the first message of a lane through, then start the next."""
        ending = await self._see_through(lane)
        if ending is Ended.DONE:
            await self._acknowledge(lane)
        elif isinstance(ending, HandBack):
            await self._hand_back(lane, ending.delay)
        else:  # others may handle it any time: what follows it must not take effect before
            self._settled([lane.waiting.pop(0)])
            await self._hand_back(lane, timedelta(0))
        if lane.waiting:
            self._start(lane)
        elif lane.group is not None:
            del self._groups[lane.group]

    async def _see_through(self, lane: _Lane) -> Ended | HandBack:
        """Handle the first message of a lane, as often as it takes; the others wait with it."""
        lease = lane.waiting[0]
        try:
            while isinstance(verdict := await self._processor.handle(lease), Again):
                if not await self._hold(lane, verdict.delay):
                    return HandBack(verdict.delay)
            return verdict
        finally:
            self._probe.end(lease)

    async def _hold(self, lane: _Lane, delay: timedelta) -> bool:
        """Keep a lane leased until its first message is due again; return whether that is done."""
        count = len(lane.waiting)
        if delay > LONGEST_HOLD or not self._places.park(count):
            return False
        try:
            await sleep_unless(self._stopped, delay, self._clock)
        finally:
            self._places.unpark(count)
        return True

    async def _acknowledge(self, lane: _Lane) -> None:
        lease = lane.waiting[0]
        if lane.group is None or self._options.overlaps:
            self._acknowledger.add(lease)
        else:
            await self._acknowledger.acknowledge(lease)
        del lane.waiting[0]

    def _settled(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            self._leases.drop(lease)
        self._places.leave(len(leases))

    async def _hand_back(self, lane: _Lane, delay: timedelta) -> None:
        """Hand back a lane's messages, and those that arrive meanwhile: they come after these."""
        while lane.waiting:
            handed = list(lane.waiting)
            await self._leases.hand_back(handed, delay)
            del lane.waiting[: len(handed)]
            self._places.leave(len(handed))

    def _pause(self) -> None:
        self._pollers.pause()
        self._slots.dismiss()

    def _resume(self) -> None:
        self._pollers.resume()
        tell(WORK_RESUMED, source=self.name)

    def stop(self) -> None:
        """Receive nothing more; start no handler; let those that run end."""
        self._stopped.set()
        self._pollers.stop()
        self._slots.dismiss()

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

    async def acknowledged(self) -> None:
        """Wait until what is done is deleted, or its delete has failed for good."""
        await self._acknowledger.empty()
