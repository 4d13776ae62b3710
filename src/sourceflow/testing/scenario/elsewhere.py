"""The rest of the world: takes what leaves the App, and lets events arrive."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from sourceflow.bus.ports import Delivery
from sourceflow.messages import Envelope, type_info

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

    from sourceflow.bus.outcome import Outcome
    from sourceflow.bus.ports import Depth, Outgoing, Receive, TransportContext
    from sourceflow.bus.routes import Routes
    from sourceflow.testing.scenario.record import Record

__all__ = ("Elsewhere",)

SOURCE = "/elsewhere"


@dataclass
class Elsewhere:
    """A transport that confirms what it is given, and carries nothing.

    What goes to a queue that the App listens to stays in the process; what goes to the queues of
    others ends here.

    Attributes:
        own: The routes of the App's own transport.
        record: Notes the commands that callers at the edge send to queues of others.
    """

    own: Routes
    record: Record
    _receive: Receive | None = None
    _context: TransportContext | None = None
    _ids: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def routes(self) -> Routes:
        """Commands for others, and no listening: what the App raises reaches its views at once."""
        away = {
            command: queue
            for command, queue in self.own.commands.items()
            if queue not in self.own.listens
        }
        return replace(self.own, commands=away, listens=(), subscribes=())

    async def open(self, context: TransportContext) -> None:
        """Remember the App's codec and clock."""
        self._context = context

    async def start(self, receive: Receive) -> None:
        """Remember who handles what arrives."""
        self._receive = receive

    async def stop(self, grace: timedelta | None = None) -> None:
        """Nothing listens."""

    async def aclose(self) -> None:
        """Nothing is held open."""

    def admit(self, outgoing: Outgoing) -> None:
        """Everything fits."""

    async def send(self, outgoing: Sequence[Outgoing]) -> Sequence[Exception | None]:
        """Confirm everything."""
        for each in outgoing:
            if each.envelope.kind == "command":
                self.record.note_sent(each.envelope)
        return [None for _ in outgoing]

    async def depths(self) -> Sequence[Depth]:
        """There are no queues."""
        return ()

    def describe(self) -> Mapping[str, object]:
        """Return what it is."""
        return {"kind": "elsewhere"}

    async def arrive(self, event: Any, message_id: str) -> Outcome:
        """Let an event of another service arrive.

        Args:
            event: The event.
            message_id: Its id.
        """
        assert self._receive is not None
        assert self._context is not None
        codec, name = self._context.codec, type_info(type(event)).name
        envelope = Envelope(
            message=event,
            id=message_id,
            source=SOURCE,
            time=self._context.clock.now(),
            correlation_id=message_id,
        )
        return await self._receive(
            Delivery(codec.encode(envelope), type_hint=name, kind="event", origin="elsewhere")
        )

    def new_id(self) -> str:
        """Return an id that no message of this scenario has."""
        return f"given-{next(self._ids)}"
