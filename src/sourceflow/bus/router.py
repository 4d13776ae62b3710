"""Decides where a message goes, and gives it its envelope."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sourceflow.bus.changes import Destination, OutboxRow
from sourceflow.bus.due import due_time
from sourceflow.bus.ports import Outgoing
from sourceflow.bus.wiring import entity_name, is_view
from sourceflow.errors import DepthExceededError, InvalidMessageError, NoHandlerError
from sourceflow.messages import Envelope, check_headers, check_message_id, new_message_id, type_info

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sourceflow.bus.changes import Stream
    from sourceflow.bus.routes import Routes
    from sourceflow.bus.wiring import Wiring
    from sourceflow.clock import Clock
    from sourceflow.domain.binding import Handler
    from sourceflow.messages import Codec, TraceContext

__all__ = ("MAX_DEPTH", "Router", "is_inline", "stream_name")

MAX_DEPTH: Final = 50
"""Messages that cause messages: a longer chain is taken for an endless loop."""


NEW_CHAIN: Final = timedelta(seconds=1)
"""A scheduled command that waits so long is the first of a new chain: what repeats itself at a
pace that someone has chosen is no runaway loop."""


class Router:
    """Makes envelopes and says where they go.

    It depends on configuration alone: a routed command is never handled here as well, and an
    event whose topic this App subscribes to reaches local subscribers through the queue only. So
    each handler meets each message once.

    Args:
        wiring: Who handles what.
        routes: What goes where.
        codec: Writes messages for the wire.
        clock: The time.
        admit: Checks that a message can fit its destination.
        trace: Returns the trace that a message belongs to that is made now; None where nobody
            traces.
    """

    __slots__ = ("_admit", "_clock", "_codec", "_events", "_routes", "_source", "_trace", "_wiring")

    def __init__(
        self,
        wiring: Wiring,
        routes: Routes,
        codec: Codec,
        clock: Clock,
        admit: Callable[[Outgoing], None],
        *,
        trace: Callable[[], TraceContext | None] | None = None,
    ) -> None:
        self._wiring = wiring
        self._source = wiring.source
        self._routes = routes
        self._codec = codec
        self._clock = clock
        self._admit = admit
        self._trace = trace
        self._events: dict[type[Any], tuple[tuple[Handler, ...], tuple[Destination, ...]]] = {}

    def due(self, delay: timedelta | None, at: datetime | None) -> datetime | None:
        """Return when a command is due, in UTC; None for one that is sent at once.

        Raises:
            ValueError: Both are given, the delay is negative, or the time has no zone.
        """
        if delay is None and at is None:
            return None
        return due_time(delay, at, now=self._clock.now())

    def command(
        self,
        command: object,
        *,
        message_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        cause: Envelope[Any] | None = None,
        due: datetime | None = None,
    ) -> Envelope[Any]:
        """Put a command into its envelope.

        One that waits carries the time it is due: for who handles it, it is sent then.

        Raises:
            InvalidMessageError: It is no command, or its id or a header cannot be sent.
            NoHandlerError: It has neither a handler nor a route.
            DepthExceededError: It is caused by too long a chain.
        """
        command_type = type(command)
        if command_type not in self._wiring.commands and command_type not in self._routes.commands:
            self._refuse(command)
        return self._envelope(command, message_id=message_id, headers=headers, cause=cause, due=due)

    def _refuse(self, command: object) -> NoReturn:
        """Say why something cannot be sent."""
        try:
            info = type_info(type(command))
        except TypeError:
            raise InvalidMessageError(f"{_shown(command)} is no command") from None
        if info.kind != "command":
            raise InvalidMessageError(f"{info.name} is an {info.kind}; send takes commands")
        raise NoHandlerError(
            f"the command {info.name} has neither a handler in the App "
            f"{self._wiring.app!r} nor a route to a queue"
        )

    def event(self, event: object, *, cause: Envelope[Any], sequence: int | None) -> Envelope[Any]:
        """Put an event into its envelope.

        Raises:
            InvalidMessageError: It is no event.
            DepthExceededError: It is caused by too long a chain.
        """
        info = type_info(type(event))
        if info.kind != "event":
            raise InvalidMessageError(f"{info.name} is a {info.kind}; raise_event takes events")
        return self._envelope(event, cause=cause, sequence=sequence)

    def _envelope(
        self,
        message: object,
        *,
        message_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        cause: Envelope[Any] | None,
        sequence: int | None = None,
        due: datetime | None = None,
    ) -> Envelope[Any]:
        if message_id is None:
            message_id = new_message_id()
        else:
            check_message_id(message_id)
        if headers:
            check_headers(headers)
        now = self._clock.now()
        is_first = cause is None or (due is not None and due - now >= NEW_CHAIN)
        depth = 0 if cause is None or is_first else cause.depth + 1
        if depth > MAX_DEPTH:
            raise DepthExceededError(
                f"{type(message).__name__} is caused by a chain of over {MAX_DEPTH} messages: "
                "this looks like an endless loop"
            )
        return Envelope(
            message=message,
            id=message_id,
            source=self._source,
            time=now if due is None else due,
            correlation_id=message_id if cause is None else cause.correlation_id,
            causation_id=None if cause is None else cause.id,
            depth=depth,
            sequence=sequence,
            headers=dict(headers) if headers else {},
            trace=None if self._trace is None else self._trace(),
        )

    def queue_of(self, command_type: type[Any]) -> Destination | None:
        """Return the queue a command is routed to, or None where it is handled here."""
        queue = self._routes.commands.get(command_type)
        return None if queue is None else Destination("queue", queue)

    def outgoing(self, envelope: Envelope[Any], destination: Destination) -> Outgoing:
        """Write a message for the wire.

        Raises:
            InvalidMessageError: It holds something that cannot be sent.
            MessageTooLargeError: It can never fit.
        """
        outgoing = Outgoing(envelope, destination, self._codec.encode(envelope))
        self._admit(outgoing)
        return outgoing

    def row(self, envelope: Envelope[Any], destination: Destination, stream: Stream) -> OutboxRow:
        """Make the outbox row that takes a message to a destination.

        Raises:
            InvalidMessageError: It holds something that cannot be sent.
            MessageTooLargeError: It can never fit.
        """
        if destination.is_local:
            return OutboxRow(envelope, destination, stream)
        return OutboxRow(envelope, destination, stream, self.outgoing(envelope, destination).body)

    def command_row(self, envelope: Envelope[Any], stream: Stream) -> OutboxRow:
        """Make the outbox row of a command."""
        return self.row(envelope, self._command_place(type(envelope.message)), stream)

    def _command_place(self, command_type: type[Any]) -> Destination:
        """Return where a command goes; one that nothing here handles fails where it is handled."""
        destination = self.queue_of(command_type)
        if destination is None:
            saga = self._wiring.commands.get(command_type)
            destination = Destination("command", "" if saga is None else stream_name(saga))
        return destination

    def schedule_rows(
        self, schedule: Mapping[str, Envelope[Any] | None], stream: Stream
    ) -> dict[str, OutboxRow | None]:
        """Make the rows of what a handler does to the schedule."""
        return {
            message_id: None if command is None else self.command_row(command, stream)
            for message_id, command in schedule.items()
        }

    def due_row(self, envelope: Envelope[Any], stream: Stream) -> OutboxRow:
        """Make the outbox row of a scheduled command that is due, by the routes as they are now.

        It never raises: whether it fits its queue was checked when it was scheduled; if another
        queue has smaller limits now, that one says so.
        """
        destination = self._command_place(type(envelope.message))
        body = None if destination.is_local else self._codec.encode(envelope)
        return OutboxRow(envelope, destination, stream, body)

    def event_plan(
        self, event_type: type[Any]
    ) -> tuple[tuple[Handler, ...], tuple[Destination, ...]]:
        """Return who gets an event inside the transaction, and where it goes after the commit."""
        plan = self._events.get(event_type)
        if plan is None:
            plan = self._events[event_type] = self._plan(event_type)
        return plan

    def _plan(self, event_type: type[Any]) -> tuple[tuple[Handler, ...], tuple[Destination, ...]]:
        inline: list[Handler] = []
        later: list[Destination] = []
        topic = self._routes.events.get(event_type)
        if topic is not None:
            later.append(Destination("topic", topic))
        if not self._routes.arrives(event_type):
            for handler in self._wiring.subscribers(event_type):
                if is_inline(handler):
                    inline.append(handler)
                else:
                    later.append(Destination("subscriber", handler.name))
        return tuple(inline), tuple(later)


def stream_name(handler: Handler) -> str:
    """Return the name of a saga's streams; of a ``Saga[None]`` one that only keeps order."""
    if handler.state_type is None:
        return handler.component.__name__
    return entity_name(handler.state_type)


def _shown(value: object) -> str:
    """Say what was given instead of a message, without its value."""
    if isinstance(value, type):
        return f"the class {value.__qualname__} itself"
    return f"a value of type {type(value).__qualname__}"


def is_inline(handler: Handler) -> bool:
    """Whether a subscriber wants to run in the transaction of what raised the event."""
    return is_view(handler) and getattr(handler.component, "lifecycle", "") == "inline"
