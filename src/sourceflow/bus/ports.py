"""What the bus asks of stores and transports: small contracts that one suite tests on each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime, timedelta

    from sourceflow.bus.changes import Changes, Claim, Destination, OutboxRow, Stream
    from sourceflow.bus.dead_letter import DeadLetter, DeadLetterFilter
    from sourceflow.bus.outcome import Outcome
    from sourceflow.bus.routes import Routes
    from sourceflow.clock import Clock
    from sourceflow.messages import Codec, Envelope, KeyType, Kind

__all__ = (
    "CommandLog",
    "DeadLetters",
    "Delivery",
    "Depth",
    "EventLog",
    "Head",
    "Inbox",
    "Logged",
    "Outbox",
    "Outgoing",
    "Receive",
    "Row",
    "Stores",
    "StoresContext",
    "Transport",
    "UnitOfWork",
)

StateT = TypeVar("StateT")


class Head(NamedTuple):
    """What one read finds before a command is handled.

    Attributes:
        number: The last number of the stream; 0 before the first.
        entity: The entity, or None.
        claimed: Whether the command was handled before.
    """

    number: int
    entity: Any | None
    claimed: bool


class Row(NamedTuple, Generic[StateT]):
    """One row of a view model.

    Attributes:
        version: Counts its changes; 0 where there is no row.
        value: The row, or None.
    """

    version: int
    value: StateT | None


class Logged(NamedTuple):
    """One entry of a log.

    Attributes:
        position: The number in its stream, or the position in the event log.
        envelope: The message.
        stream: The stream that it belongs to; None for an event that arrived from elsewhere.
    """

    position: int
    envelope: Envelope[Any]
    stream: Stream | None


class StoresContext(NamedTuple):
    """What stores are told when they open.

    Attributes:
        app: The App's name: outbox rows carry it.
        codec: Writes and reads messages and state.
        clock: The time.
    """

    app: str
    codec: Codec
    clock: Clock


class UnitOfWork(Protocol):
    """One transaction around the handling of one message.

    Reads come first and take no write lock; ``commit`` is the only write and is atomic: all of it
    or nothing, also when the task is cancelled. Leaving without a commit leaves nothing behind.
    """

    async def head(self, stream: Stream, entity_type: type[Any], claim: Claim | None) -> Head:
        """Return the head of a stream and whether a claim is taken, in one read."""
        ...

    async def claimed(self, claims: Sequence[Claim]) -> Collection[Claim]:
        """Return those of the claims that are taken."""
        ...

    async def row(self, row_type: type[StateT], key: KeyType) -> Row[StateT]:
        """Return a row of a view model."""
        ...

    async def commit(self, changes: Changes) -> Sequence[OutboxRow]:
        """Write everything, or nothing.

        Returns:
            The outbox rows that may leave at once; others wait behind older rows of their stream.

        Raises:
            DuplicateError: A claim, or the command's place in the log, is taken.
            ConflictError: The stream's head or a row has moved on since it was read.
            DependencyError: The store does not answer; nothing is known to be written.
        """
        ...


class Outbox(Protocol):
    """Messages on their way out. A row stays until it is known to have arrived."""

    async def sent(self, rows: Sequence[OutboxRow]) -> None:
        """Forget rows that have arrived."""
        ...

    async def depth(self) -> int:
        """Return how many rows of this App wait."""
        ...


class Inbox(Protocol):
    """The claims of what has been handled."""

    async def claimed(self, claims: Sequence[Claim]) -> Collection[Claim]:
        """Return those of the claims that are taken."""
        ...


class CommandLog(Protocol):
    """The histories of entities: append-only, numbered 1, 2, 3 … without a gap in each stream."""

    def read(self, stream: Stream, *, after: int = 0) -> AsyncIterator[Logged]:
        """Return a stream's commands in order.

        Raises:
            ReplayError: A stored command can no longer be read; says which.
        """
        ...


class EventLog(Protocol):
    """Own events and arrived ones that a view uses: append-only, with a global position."""

    def read(
        self, *, after: int = 0, types: Collection[str] | None = None, key: KeyType | None = None
    ) -> AsyncIterator[Logged]:
        """Return events in order of position, of certain wire names or of one key only.

        Raises:
            ReplayError: A stored event can no longer be read; says which.
        """
        ...

    async def position(self) -> int:
        """Return the last position; 0 where there is none."""
        ...


class DeadLetters(Protocol):
    """Messages that were given up, kept for people."""

    async def save(self, letter: DeadLetter) -> DeadLetter:
        """Keep a dead letter, once for each source and message id; the later one replaces.

        Returns:
            The record with its id.
        """
        ...

    async def get(self, letter_id: str) -> DeadLetter | None:
        """Return one record, or None."""
        ...

    async def query(
        self, where: DeadLetterFilter, *, limit: int = 100, skip: int = 0
    ) -> Sequence[DeadLetter]:
        """Return records, newest first."""
        ...

    async def count(self, where: DeadLetterFilter) -> int:
        """Return how many records there are."""
        ...

    async def mark_replayed(self, letter_id: str, time: datetime) -> bool:
        """Note that it was sent again; return whether there is such a record."""
        ...

    async def delete(self, letter_id: str) -> bool:
        """Remove a record; return whether there was one."""
        ...

    async def delete_older_than(self, time: datetime) -> int:
        """Remove what was given up before a time; return how many."""
        ...


class Stores(Protocol):
    """Where state, logs, outbox and inbox are kept.

    Attributes:
        durable: Whether a commit outlives the process. Where it does not, a message is only
            acknowledged when everything it caused is done too.
    """

    durable: bool

    async def open(self, context: StoresContext) -> None:
        """Make ready; may be called once."""
        ...

    async def aclose(self) -> None:
        """Let go of everything."""
        ...

    def begin(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Begin a unit of work."""
        ...

    async def load(self, stream: Stream, entity_type: type[StateT]) -> StateT | None:
        """Return an entity, or None."""
        ...

    async def find(self, row_type: type[StateT], key: KeyType) -> StateT | None:
        """Return a row, or None."""
        ...

    async def query(
        self,
        row_type: type[StateT],
        *,
        where: Mapping[str, object],
        order_by: str | None,
        limit: int | None,
        after: StateT | None,
    ) -> list[StateT]:
        """Return rows: equal to ``where``, sorted by a field (``-field`` descending), then by key."""
        ...

    async def swap(
        self,
        row_type: type[StateT],
        rows: Mapping[KeyType, StateT],
        *,
        position: int,
        claims: Sequence[Claim],
    ) -> bool:
        """Put a rebuilt view model in the place of the old one, in one transaction.

        Args:
            row_type: The view model.
            rows: All of its rows.
            position: The event log's last position that they take in.
            claims: What is handled by them.

        Returns:
            False, and nothing is changed, if the event log has moved on.
        """
        ...

    @property
    def outbox(self) -> Outbox:
        """Messages on their way out."""
        ...

    @property
    def inbox(self) -> Inbox:
        """What has been handled."""
        ...

    @property
    def commands(self) -> CommandLog:
        """The command log."""
        ...

    @property
    def events(self) -> EventLog:
        """The event log."""
        ...

    @property
    def dead_letters(self) -> DeadLetters:
        """Messages that were given up."""
        ...


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


class Delivery(NamedTuple):
    """A message that a transport has received.

    Attributes:
        body: The wire form, in clear.
        type_hint: The ``type`` attribute beside it, if there is one.
        kind: What its queue takes.
        origin: The queue it was taken from.
        attempt: 1 for the first handling, then counting up.
        subscribers: Run only these (a redriven dead letter names them); None for all.
    """

    body: bytes
    type_hint: str | None
    kind: Kind
    origin: str
    attempt: int = 1
    subscribers: Collection[str] | None = None


Receive = "Callable[[Delivery], Awaitable[Outcome]]"
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

    async def start(self, receive: Callable[[Delivery], Awaitable[Outcome]]) -> None:
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


class TransportContext(NamedTuple):
    """What a transport is told when it opens.

    Attributes:
        app: The App's name.
        subscribed: The wire names of events that somebody here listens to.
        clock: The time.
        dead_letters: Keeps what is given up.
        observer: Is told what happens.
    """

    app: str
    subscribed: Collection[str]
    clock: Clock
    dead_letters: DeadLetters
    observer: Any
