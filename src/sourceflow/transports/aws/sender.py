"""Sends messages to queues and topics, in batches, and tells each sender what became of its own."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sourceflow.bus.instrumentation import Place
from sourceflow.bus.waits import sleep_unless
from sourceflow.errors import (
    AwsConfigurationError,
    AwsCredentialsError,
    AwsThrottledError,
    AwsTransientError,
    CircuitOpenError,
    DependencyError,
    MessageTooLargeError,
)
from sourceflow.resilience.backoff import Backoff
from sourceflow.resilience.circuit_breaker import CircuitBreaker, CircuitOptions
from sourceflow.transports.aws.batcher import Batcher
from sourceflow.transports.aws.client import PublishEntry, SendEntry
from sourceflow.transports.aws.entries import EntryPolicy, see_entries_through
from sourceflow.transports.aws.flight import Flight, FlightItem, settle
from sourceflow.transports.aws.packing import Target, largest_packed, pack, pack_encrypted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sourceflow.bus.changes import Destination
    from sourceflow.bus.instrumentation import Sending, WireInstrumentation
    from sourceflow.bus.ports import Outgoing
    from sourceflow.clock import Clock
    from sourceflow.resilience.circuit_breaker import CircuitChange
    from sourceflow.resilience.task_scope import TaskScope
    from sourceflow.transports.aws.client import (
        BatchResult,
        SnsClient,
        SqsClient,
    )
    from sourceflow.transports.aws.encryption import Cipher
    from sourceflow.transports.aws.packing import Packed

__all__ = ("Sender",)

log = logging.getLogger(__name__)

ENTRY_TRIES: Final = 3
"""How often an entry is sent that AWS refuses for a passing reason, while it takes the others."""

DEADLINE: Final = timedelta(seconds=60)
"""How long a message is tried while AWS asks to slow down, where nothing else is said."""

_THROTTLES: Final = Backoff(base=timedelta(milliseconds=500), cap=timedelta(seconds=10))
_UNUSABLE: Final = (AwsTransientError, AwsCredentialsError, AwsConfigurationError)


class Sender:
    """One batcher and one circuit breaker for each destination.

    While a circuit is open, ``send`` answers ``CircuitOpenError`` at once: at the edge it is the
    caller's, inside a unit of work the outbox keeps the message.

    Throttling slows a destination down instead: half as many batches are under way at once each
    time, one more after each that went well. Only messages whose deadline is over fail by it.

    Args:
        sqs: Sends to queues.
        sns: Publishes to topics.
        targets: Every destination there is a route to.
        tasks: Runs the batches under way.
        clock: Waits between tries of one entry.
        backoff: How long.
        linger: How long a batch waits for more messages.
        deadline: How long a message is tried while AWS asks to slow down.
        circuit: When sending to a destination is suspended.
        cipher: Encrypts; needed where a destination wants that.
        wire: Follows messages; None where nobody wants to know.
    """

    def __init__(
        self,
        *,
        sqs: SqsClient,
        sns: SnsClient,
        targets: Mapping[Destination, Target],
        tasks: TaskScope,
        clock: Clock,
        backoff: Backoff,
        linger: timedelta = timedelta(0),
        deadline: timedelta = DEADLINE,
        circuit: CircuitOptions | None = None,
        cipher: Cipher | None = None,
        wire: WireInstrumentation | None = None,
    ) -> None:
        self._cipher = cipher
        self._wire = wire
        self._sqs = sqs
        self._sns = sns
        self._clock = clock
        self._backoff = backoff
        self._deadline = deadline.total_seconds()
        self._closing = asyncio.Event()
        self._routes = {
            destination: self._route(
                place_of(destination, target), target, tasks, linger, circuit or CircuitOptions()
            )
            for destination, target in targets.items()
        }

    def _route(
        self,
        place: Place,
        target: Target,
        tasks: TaskScope,
        linger: timedelta,
        circuit: CircuitOptions,
    ) -> _Route:
        async def post(items: Sequence[FlightItem]) -> Sequence[Exception | None]:
            return await self._post(route, items)

        route = _Route(
            place,
            target,
            CircuitBreaker(
                target.name,
                monotonic=self._clock.monotonic,
                options=replace(circuit, on_change=partial(_tell_change, circuit.on_change)),
                now=self._clock.now,
            ),
            Batcher(
                post,
                tasks,
                settle=settle,
                max_bytes=target.max_bytes,
                linger=linger.total_seconds(),
            ),
        )
        return route

    @property
    def circuits(self) -> dict[Destination, CircuitBreaker]:
        """The circuit breaker of each destination."""
        return {destination: route.circuit for destination, route in self._routes.items()}

    @property
    def places(self) -> dict[Place, CircuitBreaker]:
        """The same, by what telemetry calls the destinations."""
        return {route.place: route.circuit for route in self._routes.values()}

    def hurry(self) -> None:
        """Try nothing again for being throttled: there is no more time."""
        self._closing.set()

    def admit(self, outgoing: Outgoing) -> None:
        """Check that a message can fit.

        Raises:
            MessageTooLargeError: It never can.
        """
        target = self._routes[outgoing.destination].target
        size = largest_packed(outgoing, target)
        if size > target.max_bytes:
            raise MessageTooLargeError(size=size, limit=target.max_bytes, destination=target.name)

    async def send(self, outgoing: Sequence[Outgoing]) -> list[Exception | None]:
        """Send messages; return for each None when it is confirmed, or why it was not sent."""
        flight = Flight(len(outgoing))
        deadline = self._clock.monotonic() + self._deadline
        for place, each in enumerate(outgoing):
            route = self._routes[each.destination]
            if route.batcher.is_full:
                await route.batcher.room()
            target = route.target
            sending = None if self._wire is None else self._wire.sending(each, route.place)
            try:
                packed = (
                    await self._encrypt(each, target, sending)
                    if target.encrypts
                    else pack(each, target, None if sending is None else sending.context)
                )
            except DependencyError as error:  # there is no key to encrypt it with
                flight.settle(place, error)
            else:
                item = FlightItem(flight, place, packed, deadline, sending)
                route.batcher.add(item, size=packed.size, group=packed.group)
        return await flight.landed()

    async def _encrypt(self, outgoing: Outgoing, target: Target, sending: Sending | None) -> Packed:
        assert self._cipher is not None  # no target encrypts without one
        if sending is None:
            return await pack_encrypted(outgoing, target, self._cipher)
        try:
            return await pack_encrypted(outgoing, target, self._cipher, sending.context)
        except BaseException as error:
            sending.end(error)
            raise

    async def _post(self, route: _Route, items: Sequence[FlightItem]) -> Sequence[Exception | None]:
        """Send a batch; entries refused for a passing reason are sent again alone.

        An entry keeps its deduplication id over all tries, so a FIFO destination takes it once
        also when an answer got lost.
        """
        ticket = route.circuit.enter()
        if isinstance(ticket, timedelta):
            return [CircuitOpenError(route.target.name, ticket)] * len(items)
        results: Sequence[Exception | None] = ()
        try:
            results = await self._see_through(route, items)
        finally:
            _tell(route.circuit, ticket, results)
        return results

    async def _see_through(
        self, route: _Route, items: Sequence[FlightItem]
    ) -> Sequence[Exception | None]:
        def patience(at: int) -> timedelta:
            if self._closing.is_set():
                return timedelta(0)
            return timedelta(seconds=items[at].deadline - self._clock.monotonic())

        async def call(places: Sequence[int]) -> BatchResult:
            entries = {str(at): items[at] for at in places}
            try:
                result = await (
                    self._call(route.target, entries)
                    if self._wire is None
                    else self._call_followed(self._wire, route, entries)
                )
            except AwsThrottledError:
                route.batcher.narrow()
                raise
            route.batcher.widen()
            return result

        policy = EntryPolicy(
            operation=_operation(route.target),
            tries=ENTRY_TRIES,
            retry_calls=False,
            backoff=self._backoff,
            throttles=_THROTTLES,
            patience=patience,
            wait=lambda delay: sleep_unless(self._closing, delay, self._clock),
        )
        return await see_entries_through(call, len(items), policy)

    async def _call_followed(
        self, wire: WireInstrumentation, route: _Route, items: Mapping[str, FlightItem]
    ) -> BatchResult:
        operation = "publish" if route.target.is_topic else "send"
        began = self._clock.monotonic()
        failed: BaseException | None = None
        refused: list[Exception] = []
        try:
            result = await self._call(route.target, items)
            refused = [each.to_error(_operation(route.target)) for each in result.failed]
        except BaseException as error:
            failed = error
            raise
        finally:
            seconds = self._clock.monotonic() - began
            wire.called(operation, route.place, seconds, len(items), failed, refused)
        return result

    async def _call(self, target: Target, items: Mapping[str, FlightItem]) -> BatchResult:
        entry: Any = PublishEntry if target.is_topic else SendEntry
        entries = [
            entry(
                id=entry_id,
                body=item.packed.body,
                attributes=item.packed.attributes,
                group_id=item.packed.group,
                deduplication_id=item.packed.deduplication_id,
            )
            for entry_id, item in items.items()
        ]
        if target.is_topic:
            return await self._sns.publish_batch(target.address, entries)
        return await self._sqs.send_message_batch(target.address, entries)


@dataclass(frozen=True, slots=True)
class _Route:
    """A destination with what sends to it."""

    place: Place
    target: Target
    circuit: CircuitBreaker
    batcher: Batcher[FlightItem]


def place_of(destination: Destination, target: Target) -> Place:
    """Return a destination as telemetry names it."""
    return Place("aws.sns" if target.is_topic else "aws_sqs", destination.name, target.address)


def _operation(target: Target) -> str:
    return "PublishBatch" if target.is_topic else "SendMessageBatch"


def _tell(circuit: CircuitBreaker, ticket: int, results: Sequence[Exception | None]) -> None:
    """Tell a circuit how a batch went.

    It counts what says that the destination cannot be reached or used. Throttling only says to slow
    down, and a fault of a message says nothing about its destination; nor does a cancellation,
    which leaves no results.
    """
    faults = [error for error in results if isinstance(error, _UNUSABLE)]
    if any(error is None for error in results):
        circuit.succeed(ticket)
    elif faults:
        circuit.fail(ticket, faults[0])
    else:
        circuit.leave(ticket)


def _tell_change(on_change: Callable[[CircuitChange], None] | None, change: CircuitChange) -> None:
    log.warning(
        "sends to %s: the circuit is %s%s",
        change.name,
        change.state.value,
        "" if change.error is None else f", it was {change.previous.value}: {change.error}",
    )
    if on_change is not None:
        on_change(change)
