"""Sends messages to queues and topics, in batches, and tells each sender what became of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.bus.waits import sleep_unless
from sourceflow.errors import (
    AwsConfigurationError,
    AwsCredentialsError,
    AwsThrottledError,
    AwsTransientError,
    CircuitOpenError,
    MessageTooLargeError,
)
from sourceflow.resilience.backoff import Backoff
from sourceflow.resilience.circuit_breaker import CircuitBreaker, CircuitOptions
from sourceflow.transports.aws.batcher import Batcher
from sourceflow.transports.aws.client import (
    AttributeValue,
    PublishEntry,
    SendEntry,
)
from sourceflow.transports.aws.entries import EntryPolicy, see_entries_through
from sourceflow.transports.aws.wire import group_of, message_size, wire_attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sourceflow.bus.changes import Destination
    from sourceflow.bus.ports import Outgoing
    from sourceflow.clock import Clock
    from sourceflow.resilience.circuit_breaker import CircuitChange
    from sourceflow.resilience.task_scope import TaskScope
    from sourceflow.transports.aws.client import (
        BatchResult,
        SnsClient,
        SqsClient,
    )

__all__ = ("Sender", "Target")

log = logging.getLogger(__name__)

ENTRY_TRIES: Final = 3
"""How often an entry is sent that AWS refuses for a passing reason, while it takes the others."""

DEADLINE: Final = timedelta(seconds=60)
"""How long a message is tried while AWS asks to slow down, where nothing else is said."""

_THROTTLES: Final = Backoff(base=timedelta(milliseconds=500), cap=timedelta(seconds=10))
_UNUSABLE: Final = (AwsTransientError, AwsCredentialsError, AwsConfigurationError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A queue or a topic as it is addressed.

    Attributes:
        name: For people.
        address: Queue URL or topic ARN.
        is_topic: Which of the two.
        is_fifo: Whether it keeps order.
        max_bytes: What one message, and one batch, takes at most.
    """

    name: str
    address: str
    is_topic: bool
    is_fifo: bool
    max_bytes: int


class _Flight:
    """Messages that one caller sent together: one future for all of them."""

    __slots__ = ("_landed", "_left", "_results")

    def __init__(self, count: int) -> None:
        self._results: list[Exception | None] = [None] * count
        self._left = count
        self._landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, place: int, error: Exception | None) -> None:
        """Note what became of one."""
        self._results[place] = error
        self._left -= 1
        if not self._left and not self._landed.done():  # the caller may have given up
            self._landed.set_result(None)

    async def landed(self) -> list[Exception | None]:
        """Wait for all of them; return for each None or why it was not sent."""
        if self._left:
            await self._landed
        return self._results


class _Item(msgspec.Struct, frozen=True, gc=False):
    flight: _Flight
    place: int
    body: str
    attributes: Mapping[str, AttributeValue]
    group: str | None
    deduplication_id: str | None
    deadline: float


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
    ) -> None:
        self._sqs = sqs
        self._sns = sns
        self._clock = clock
        self._backoff = backoff
        self._deadline = deadline.total_seconds()
        self._closing = asyncio.Event()
        self._routes = {
            destination: self._route(target, tasks, linger, circuit or CircuitOptions())
            for destination, target in targets.items()
        }

    def _route(
        self, target: Target, tasks: TaskScope, linger: timedelta, circuit: CircuitOptions
    ) -> _Route:
        async def post(items: Sequence[_Item]) -> Sequence[Exception | None]:
            return await self._post(route, items)

        route = _Route(
            target,
            CircuitBreaker(
                target.name,
                monotonic=self._clock.monotonic,
                options=replace(circuit, on_change=partial(_tell_change, circuit.on_change)),
            ),
            Batcher(
                post,
                tasks,
                settle=_settle,
                max_bytes=target.max_bytes,
                linger=linger.total_seconds(),
            ),
        )
        return route

    @property
    def circuits(self) -> dict[Destination, CircuitBreaker]:
        """The circuit breaker of each destination."""
        return {destination: route.circuit for destination, route in self._routes.items()}

    def hurry(self) -> None:
        """Try nothing again for being throttled: there is no more time."""
        self._closing.set()

    def admit(self, outgoing: Outgoing) -> None:
        """Check that a message can fit.

        Raises:
            MessageTooLargeError: It never can.
        """
        target = self._routes[outgoing.destination].target
        size = message_size(outgoing)
        if size > target.max_bytes:
            raise MessageTooLargeError(size=size, limit=target.max_bytes, destination=target.name)

    async def send(self, outgoing: Sequence[Outgoing]) -> list[Exception | None]:
        """Send messages; return for each None when it is confirmed, or why it was not sent."""
        flight = _Flight(len(outgoing))
        deadline = self._clock.monotonic() + self._deadline
        for place, each in enumerate(outgoing):
            route = self._routes[each.destination]
            if route.batcher.is_full:
                await route.batcher.room()
            item = _item(flight, place, each, route.target, deadline)
            route.batcher.add(item, size=message_size(each), group=item.group)
        return await flight.landed()

    async def _post(self, route: _Route, items: Sequence[_Item]) -> Sequence[Exception | None]:
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
        self, route: _Route, items: Sequence[_Item]
    ) -> Sequence[Exception | None]:
        def patience(at: int) -> timedelta:
            if self._closing.is_set():
                return timedelta(0)
            return timedelta(seconds=items[at].deadline - self._clock.monotonic())

        async def call(places: Sequence[int]) -> BatchResult:
            try:
                result = await self._call(route.target, {str(at): items[at] for at in places})
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

    async def _call(self, target: Target, items: Mapping[str, _Item]) -> BatchResult:
        entry: Any = PublishEntry if target.is_topic else SendEntry
        entries = [
            entry(
                id=entry_id,
                body=item.body,
                attributes=item.attributes,
                group_id=item.group,
                deduplication_id=item.deduplication_id,
            )
            for entry_id, item in items.items()
        ]
        if target.is_topic:
            return await self._sns.publish_batch(target.address, entries)
        return await self._sqs.send_message_batch(target.address, entries)


@dataclass(frozen=True, slots=True)
class _Route:
    """A destination with what sends to it."""

    target: Target
    circuit: CircuitBreaker
    batcher: Batcher[_Item]


def _item(
    flight: _Flight, place: int, outgoing: Outgoing, target: Target, deadline: float
) -> _Item:
    """Return what goes on the wire; only FIFO destinations get group and deduplication ids.

    The deduplication id is never left to the content: two equal commands are two commands.
    """
    envelope = outgoing.envelope
    return _Item(
        flight,
        place,
        outgoing.body.decode(),
        wire_attributes(envelope.type_name).values,
        group_of(envelope) if target.is_fifo else None,
        envelope.id if target.is_fifo else None,
        deadline,
    )


def _settle(items: Sequence[_Item], results: Sequence[Exception | None]) -> None:
    for item, result in zip(items, results, strict=True):
        item.flight.settle(item.place, result)


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
