"""What follows messages on their way: spans, durations and gauges, for whoever asks for them.

Steps are wrapped when an App starts. Where it has no telemetry nothing is wrapped, and the steps
are the ones that they would be if there were no such thing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from sourceflow.messages import Codec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from sourceflow.bus.changes import OutboxRow
    from sourceflow.bus.observer import Observer
    from sourceflow.bus.ports import Outgoing, Receive, Stores
    from sourceflow.bus.wiring import Wiring
    from sourceflow.clock import Clock
    from sourceflow.messages import Envelope, KeyType, Registry, TraceContext
    from sourceflow.telemetry.kinds import Attribute, Metric

__all__ = (
    "UNFOLLOWED",
    "Handle",
    "Instrumentation",
    "Place",
    "Reading",
    "Sample",
    "SendAll",
    "Sending",
    "Step",
    "Telemetry",
    "WireInstrumentation",
)

SendAll = Callable[["Sequence[Outgoing]"], Awaitable["Sequence[Exception | None]"]]
"""Sends messages; returns for each None, or why it was not sent."""

Step = Callable[..., Awaitable[Any]]
"""A step of a message's journey, whose first arguments are said where it is wrapped."""


class Place(NamedTuple):
    """A queue or a topic, as telemetry names it.

    Attributes:
        system: The service: ``aws_sqs`` or ``aws.sns``.
        name: Its name.
        address: Its URL or ARN.
    """

    system: str
    name: str
    address: str


class Reading(NamedTuple):
    """What a gauge shows, or a counter that somebody else keeps.

    Attributes:
        metric: Which one.
        value: Its value; of a counter, all that was counted since the App has started.
        attributes: What tells it from the other values of the metric.
    """

    metric: Metric
    value: float
    attributes: Mapping[Attribute, str]


Sample = Callable[[], Awaitable[Iterable[Reading]]]
"""Takes readings."""


class Handle(Protocol):
    """Handles commands."""

    async def __call__(self, command: Envelope[Any], /, *, attempt: int = 1) -> Sequence[OutboxRow]:
        """See ``CommandBus.handle``."""
        ...


class Sending(Protocol):
    """A message on its way out."""

    @property
    def context(self) -> TraceContext | None:
        """What travels with it; None where there is nothing to follow."""
        ...

    def end(self, error: BaseException | None, /) -> None:
        """Say how it ended: confirmed, or why it was not sent."""
        ...


class WireInstrumentation(Protocol):
    """Follows messages between processes."""

    def sending(self, outgoing: Outgoing, place: Place) -> Sending:
        """Begin to follow a message that leaves."""
        ...

    def called(
        self,
        operation: str,
        place: Place,
        seconds: float,
        count: int,
        error: BaseException | None,
        refused: Sequence[BaseException] = (),
    ) -> None:
        """Note a call of the service.

        Args:
            operation: ``send``, ``publish`` or ``receive``.
            place: Where.
            seconds: How long it took.
            count: Messages that it was to take along, or has brought.
            error: Why it failed as a whole.
            refused: Why messages of a call that went well were not taken, an error for each.
        """
        ...

    def received(
        self,
        place: Place,
        seconds: float,
        traces: Sequence[TraceContext | None],
        oldest: timedelta,
    ) -> None:
        """Note messages that a call has brought.

        Args:
            place: Where they were.
            seconds: How long the call took.
            traces: Where each of them stands in its trace.
            oldest: How long the one had waited that had waited longest.
        """
        ...

    def processing(self, place: Place, receive: Receive) -> Receive:
        """Return what handles messages of a queue, followed."""
        ...

    def watch(self, sample: Sample) -> None:
        """Take readings from now on until the App stops, every few seconds."""
        ...


class Instrumentation:
    """Follows the messages of one App while it runs. This one leaves every step as it is.

    Attributes:
        observer: Is told what happens.
        wire: Follows messages between processes.
        current: Returns what is under way here: a message that is made now belongs to it.
    """

    observer: Observer | None = None
    wire: WireInstrumentation | None = None
    current: Callable[[], TraceContext | None] | None = None

    def commands(self, handle: Handle) -> Handle:
        """Return what handles commands, followed."""
        return handle

    def subscribers(self, run: Step) -> Step:
        """Return what runs one subscriber, followed: ``run(event, handler, …, attempt)``."""
        return run

    def local(self, run: Step) -> Step:
        """Return what handles a row of the outbox, in the trace of its message: ``run(row, …)``."""
        return run

    def relayed(self, send: SendAll) -> SendAll:
        """Return what sends rows of the outbox, each alone and in the trace of its message."""
        return send

    def replays(
        self, replay: Callable[[type[Any], KeyType], Awaitable[Any]]
    ) -> Callable[[type[Any], KeyType], Awaitable[Any]]:
        """Return what replays entities, followed."""
        return replay

    def rebuilds(self, rebuild: Step) -> Step:
        """Return what rebuilds views, followed: ``rebuild(view, …)``."""
        return rebuild

    def stores(self, stores: Stores) -> Stores:
        """Return stores whose reads and commits are followed."""
        return stores

    def codec(self, registry: Registry) -> Codec:
        """Return what reads and writes messages and state of these types, followed."""
        return Codec(registry)

    async def run(self) -> None:
        """Take readings until cancelled; there are none afterwards."""


UNFOLLOWED: Final = Instrumentation()
"""Of an App without telemetry."""


class Telemetry(Protocol):
    """Follows the messages of Apps."""

    def instrument(self, wiring: Wiring, clock: Clock) -> Instrumentation:
        """Return what follows one App, which starts now."""
        ...
