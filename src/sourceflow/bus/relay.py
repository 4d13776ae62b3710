"""Takes what units of work have committed on its way: the one way out of every outbox."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from sourceflow.bus.dead_letter import DeadLetter, describe_failure
from sourceflow.bus.expected import Expected
from sourceflow.bus.local_letters import local_source
from sourceflow.bus.ports import Outgoing
from sourceflow.bus.settling import Settling
from sourceflow.bus.step_log import Described, tell
from sourceflow.bus.tries import Tries
from sourceflow.bus.waits import sleep_unless
from sourceflow.errors import (
    AwsRequestError,
    CircuitOpenError,
    DependencyError,
    DepthExceededError,
    Discard,
    DuplicateError,
    MessageError,
    Reject,
)
from sourceflow.messages import key_text
from sourceflow.resilience.backoff import Backoff
from sourceflow.telemetry.lines import MESSAGE_RETRIED, SEND_RETRIED, WORK_PAUSED, WORK_RESUMED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

    from sourceflow.bus.changes import OutboxRow
    from sourceflow.bus.family import Family
    from sourceflow.bus.observer import Observer
    from sourceflow.bus.ports import Stores
    from sourceflow.clock import Clock
    from sourceflow.messages import Codec

__all__ = ("POLL", "SOON", "Relay")

log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

MAX_WAITING: Final = 10_000
"""Rows under way at most, before senders at the edge wait for room."""

POLL: Final = timedelta(seconds=5)
"""How often the outbox is looked through for what instances that ended have left."""

LINGER: Final = timedelta(milliseconds=50)
"""How long a row that has arrived waits for others to be forgotten with, where that is a write."""

SOON: Final = timedelta(milliseconds=200)
"""How often while rows of this process wait for older ones of other instances."""

_REMOTE_BACKOFF: Final = Backoff(base=timedelta(milliseconds=500), cap=timedelta(seconds=20))


class _Place(NamedTuple):
    row: OutboxRow
    family: Family | None


class Relay:
    """Sends outbox rows and runs those that are handled here.

    Invariant: rows of one lane leave one after the other, in the order they were committed. A
    lane is, for what leaves the process, the source stream and the destination; for what is
    handled here, the handler and the key. A row is forgotten only when it has arrived or is kept
    as a dead letter.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        send: Callable[[Sequence[Outgoing]], Awaitable[Sequence[Exception | None]]],
        run_local: Callable[[OutboxRow, int], Awaitable[Sequence[OutboxRow]]],
        comes_back: Callable[[OutboxRow], bool],
        codec: Codec,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._stores = stores
        self._send = send
        self._run_local = run_local
        self._comes_back = comes_back
        self._codec = codec
        self._clock = clock
        self._observer = observer
        self._lanes: dict[Hashable, deque[_Place]] = {}
        self._waiting = 0
        self._pausing = 0
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._soon = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._settling = Settling(
            self._forget, linger=LINGER if stores.durable else timedelta(0), clock=clock
        )
        self.expected = Expected()

    async def run(self, started: asyncio.Event) -> None:
        """Take what earlier runs and other instances have left, and run lanes, until cancelled.

        Args:
            started: Is set when rows may come.
        """
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._settling.run(), name="sourceflow relay settling")
            self.take(await self._stores.outbox.take())
            started.set()
            if self._stores.durable:
                await self._take_over()

    async def _take_over(self) -> None:
        """Look through the outbox again and again, until cancelled."""
        outbox = self._stores.outbox
        while True:
            if outbox.behind:
                await self._clock.sleep(SOON.total_seconds())
            else:
                await sleep_unless(self._soon, POLL, self._clock)
            self._soon.clear()
            self.take(await self._insist(outbox.take))

    @property
    def waiting(self) -> int:
        """How many rows are under way."""
        return self._waiting

    @property
    def resting(self) -> bool:
        """Whether all that is under way has failed and waits for its next try."""
        return 0 < len(self._lanes) == self._pausing

    async def room(self) -> None:
        """Wait until so few rows are under way that more may come."""
        if self._waiting >= MAX_WAITING:
            await self._room.wait()

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        self._settling.hurry()
        await self._idle.wait()

    def take(self, rows: Sequence[OutboxRow], family: Family | None = None) -> None:
        """Take committed rows on their way."""
        for row in rows:
            self._waiting += 1
            if family is not None:
                family.join()
            key = _lane_of(row)
            lane = self._lanes.get(key)
            if lane is not None:
                lane.append(_Place(row, family))
                continue
            lane = self._lanes[key] = deque((_Place(row, family),))
            assert self._tasks is not None
            self._tasks.create_task(
                self._run(key, lane), name=f"sourceflow relay {row.destination}"
            )
        if rows:
            self._idle.clear()
            if self._waiting >= MAX_WAITING:
                self._room.clear()
        if self._stores.outbox.behind:
            self._soon.set()

    async def _run(self, key: Hashable, lane: deque[_Place]) -> None:
        while lane:
            row, family = lane[0]
            if row.destination.is_local:
                children = await self._handle(row)
            else:
                children = await self._deliver(row)
            # Children join their lanes before anything is awaited: a later commit of their stream
            # must find them there, or it would leave first.
            self.take(children, family)
            lane.popleft()
            if not lane:
                del self._lanes[key]
            self._settling.put(row, partial(self._settled, family))

    async def _forget(self, rows: Sequence[OutboxRow]) -> None:
        await self._insist(partial(self._stores.outbox.sent, rows))

    def _settled(self, family: Family | None) -> None:
        self._waiting -= 1
        if self._waiting < MAX_WAITING:
            self._room.set()
        if self._waiting == 0:
            self._idle.set()
        if family is not None:
            family.leave()

    async def _deliver(self, row: OutboxRow) -> Sequence[OutboxRow]:
        """Send a row until it is confirmed; only a fault of the message itself ends it."""
        assert row.body is not None
        outgoing = Outgoing(row.envelope, row.destination, row.body)
        if self._comes_back(row):
            self.expected.add(row.envelope.id)
        failures = 0
        while True:
            (error,) = await self._send((outgoing,))
            if error is None:
                return ()
            if isinstance(error, (MessageError, AwsRequestError)):
                self.expected.arrived(row.envelope.id)
                await self._bury(row, error, failures + 1)
                return ()
            if isinstance(error, CircuitOpenError):  # sooner is in vain, and it was not tried
                delay = error.retry_after
            else:
                delay = _REMOTE_BACKOFF.delay(failures)
                failures += 1
            envelope = row.envelope
            tell(
                SEND_RETRIED,
                trace=envelope.trace,
                message_id=envelope.id,
                correlation_id=envelope.correlation_id,
                message_type=envelope.type_name,
                destination=row.destination.name,
                delay=delay.total_seconds(),
                error=Described(error, envelope.message),
            )
            await self._pause(delay)

    async def _handle(self, row: OutboxRow) -> Sequence[OutboxRow]:
        """Handle a row here until it is done or given up."""
        tries = Tries()
        while True:
            try:
                children = await self._run_local(row, tries.made + 1)
            except (DuplicateError, Discard):
                return ()
            except (Reject, DepthExceededError) as error:
                await self._bury(row, error, tries.failures + 1)
                return ()
            except DependencyError as error:
                delay = _REMOTE_BACKOFF.delay(tries.outages)
                tries.outages += 1
                tell(
                    WORK_PAUSED,
                    source=local_source(row.destination),
                    delay=delay.total_seconds(),
                    error=Described(error, row.envelope.message),
                )
            except Exception as error:  # noqa: BLE001 - a handler may raise anything
                later = tries.after(error)
                if later is None:
                    await self._bury(row, error, tries.made)
                    return ()
                delay = later
                tell(
                    MESSAGE_RETRIED,
                    trace=row.envelope.trace,
                    message_id=row.envelope.id,
                    message_type=row.envelope.type_name,
                    source=local_source(row.destination),
                    attempt=tries.made,
                    delay=delay.total_seconds(),
                    error=Described(error, row.envelope.message),
                )
            else:
                if tries.outages:
                    tell(WORK_RESUMED, source=local_source(row.destination))
                return children
            await self._pause(delay)

    async def _pause(self, delay: timedelta) -> None:
        """Wait for the next try."""
        self._pausing += 1
        try:
            await self._clock.sleep(delay.total_seconds())
        finally:
            self._pausing -= 1

    async def _bury(self, row: OutboxRow, error: BaseException, attempts: int) -> None:
        rejected = isinstance(error, (Reject, DepthExceededError))
        letter = DeadLetter(
            source=local_source(row.destination),
            message_id=row.envelope.id,
            type_name=row.envelope.type_name,
            reason="Rejected" if rejected else "RetriesExhausted",
            error=describe_failure(error, row.envelope.message),
            subscribers=(row.destination.name,) if row.destination.kind == "subscriber" else (),
            body=row.body or self._codec.encode(row.envelope),
            time=self._clock.now(),
            attempts=attempts,
        )
        await self._insist(lambda: self._stores.dead_letters.save(letter))
        self._observer.dead_lettered(letter)

    async def _insist(self, ask: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Ask the store, however long it takes to answer."""
        failures = 0
        while True:
            try:
                return await ask()
            except DependencyError as error:
                delay = _REMOTE_BACKOFF.delay(failures)
                failures += 1
                log.warning("the outbox waits, the store does not answer: %s", error)
                await self._clock.sleep(delay.total_seconds())

    def left(self) -> dict[str, int]:
        """Return how many rows wait for each destination, for people."""
        counts: dict[str, int] = {}
        for lane in self._lanes.values():
            for place in lane:
                name = str(place.row.destination)
                counts[name] = counts.get(name, 0) + 1
        return counts


def _lane_of(row: OutboxRow) -> Hashable:
    if row.destination.is_local:
        return row.destination, row.envelope.key
    return row.destination, row.stream.entity, key_text(row.stream.key)
