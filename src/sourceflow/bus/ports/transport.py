"""What carries messages between processes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from sourceflow.bus.outcome import Outcome
from sourceflow.messages import Kind, TraceContext
from sourceflow.messages.body import bodiless_repr, bodiless_rich_repr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from sourceflow.bus.changes import Destination
    from sourceflow.bus.instrumentation import WireInstrumentation
    from sourceflow.bus.ports.dead_letters import DeadLetters
    from sourceflow.bus.routes import Routes
    from sourceflow.clock import Clock
    from sourceflow.messages import Codec, Envelope

__all__ = (
    "Delivery",
    "Depth",
    "Outgoing",
    "Receive",
    "Transport",
    "TransportContext",
)


class Outgoing(NamedTuple):
    """A message ready to leave the process.

    Attributes:
        envelope: The message.
        destination: A queue or a topic.
        body: Its wire form, in clear.
    """

    envelope: Envelope[Any]
    destination: Destination
    body: bytes

    def __repr__(self) -> str:
        return bodiless_repr(self)


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A message that a transport has received.

    Attributes:
        body: The wire form, in clear.
        type_hint: The ``type`` attribute beside it, if there is one.
        kind: What its queue takes.
        origin: The queue it was taken from.
        attempt: 1 for the first handling, then counting up.
        subscribers: Run only these (a redriven dead letter names them); None for all.
        trace: What its sender was doing in its trace; None where it says nothing of that.
    """

    body: bytes
    type_hint: str | None
    kind: Kind
    origin: str
    attempt: int = 1
    subscribers: Collection[str] | None = None
    trace: TraceContext | None = None

    __repr__ = bodiless_repr
    __rich_repr__ = bodiless_rich_repr


Receive = Callable[[Delivery], Awaitable[Outcome]]
"""What a transport calls with each message; it never raises, but for cancellation."""


class Depth(NamedTuple):
    """How much waits in a queue.

    Attributes:
        name: The queue.
        visible: Messages that wait.
        in_flight: Messages that somebody has received.
        delayed: Messages that are not visible yet.
    """

    name: str
    visible: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.visible + self.in_flight + self.delayed


class TransportContext(NamedTuple):
    """What a transport is told when it opens.

    Attributes:
        app: The App's name.
        subscribed: The wire names of events that somebody here listens to, old ones included.
        clock: The time.
        dead_letters: Keeps what is given up.
        observer: Is told what happens.
        codec: Reads and writes messages of the types that the App knows.
        durable: Whether the stores remember what was handled, over restarts: a copy of a message
            that has taken effect can then never have another one.
        operating: Whether people only look, repair and send: ``start`` is not going to be called,
            and nothing is made or changed by opening.
        wire: Follows messages between processes; None where nobody wants to know.
    """

    app: str
    subscribed: Collection[str]
    clock: Clock
    dead_letters: DeadLetters
    observer: Any
    codec: Codec
    durable: bool = False
    operating: bool = False
    wire: WireInstrumentation | None = None


class Transport(Protocol):
    """What carries messages between processes."""

    @property
    def routes(self) -> Routes:
        """Which types go where, and what is listened to."""
        ...

    async def open(self, context: TransportContext) -> None:
        """Make ready to send: connect, provision.

        Raises:
            AwsConfigurationError: A resource or a right is missing.
        """
        ...

    async def start(self, receive: Receive) -> None:
        """Begin to listen; call ``receive`` with each message, at most so many at once."""
        ...

    async def stop(self, grace: timedelta | None = None) -> None:
        """Stop receiving; finish what runs within the grace period, hand the rest back."""
        ...

    async def aclose(self) -> None:
        """Flush sends and acknowledgements, and let go of everything."""
        ...

    def admit(self, outgoing: Outgoing) -> None:
        """Check that a message can fit its destination.

        Raises:
            MessageTooLargeError: It never can.
        """
        ...

    async def send(self, outgoing: Sequence[Outgoing]) -> Sequence[Exception | None]:
        """Send messages and return when each is confirmed or has failed.

        Messages of one key leave in order for each destination.

        Returns:
            For each message None, or why it was not sent.
        """
        ...

    async def depths(self) -> Sequence[Depth]:
        """Return how much waits in each queue that is listened to."""
        ...

    def describe(self) -> Mapping[str, object]:
        """Return what it is made of, for people."""
        ...
