"""What stands behind a component while it handles one message: it collects, the bus commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from sourceflow.bus.changes import Stream
from sourceflow.bus.handler_connection import HandlerConnection
from sourceflow.bus.middleware import around
from sourceflow.bus.query import Query
from sourceflow.bus.unawaited import unawaited
from sourceflow.bus.wiring import entity_name
from sourceflow.domain.context import Context
from sourceflow.domain.entity import Entity
from sourceflow.errors import (
    HandlerEndedError,
    HandlingError,
    NoConnectionError,
    NotFoundError,
)
from sourceflow.messages import new_message_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
    from datetime import datetime, timedelta

    from sourceflow.bus.middleware import Middleware
    from sourceflow.bus.ports import Reads, Stores, UnitOfWork
    from sourceflow.bus.router import Router
    from sourceflow.domain.conditions import Condition
    from sourceflow.messages import Envelope, KeyType

__all__ = ("Backstage", "HandlerScope", "StoreReader", "collect")

StateT = TypeVar("StateT")


class StoreReader:
    """Reads of entities and view models through the stores."""

    __slots__ = ("_stores",)

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    @property
    def _reads(self) -> Reads:
        return self._stores

    async def find(self, state_type: type[StateT], key: KeyType) -> StateT | None:
        """Return an entity or a row, or None."""
        if issubclass(state_type, Entity):
            return await self._reads.load(Stream(entity_name(state_type), key), state_type)
        return await self._reads.find(state_type, key)

    async def get(self, state_type: type[StateT], key: KeyType) -> StateT:
        """Return an entity or a row.

        Raises:
            NotFoundError: There is none.
        """
        found = await self.find(state_type, key)
        if found is None:
            raise NotFoundError(state_type.__name__, key)
        return found

    async def query(
        self,
        row_type: type[StateT],
        *,
        where: Mapping[str, object] | Condition | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        after: StateT | None = None,
    ) -> list[StateT]:
        """Return rows of a view model; see ``App.query``."""
        query = Query.of(row_type, where=where, order_by=order_by, limit=limit, after=after)
        return await self._reads.query(query)


class Backstage(NamedTuple):
    """What the scopes of all messages have in common.

    Attributes:
        stores: Where they read.
        router: Makes their envelopes.
        dispatch: Adds a command to a list, through the hooks.
    """

    stores: Stores
    router: Router
    dispatch: Callable[[Envelope[Any], list[Envelope[Any]]], Awaitable[None]]

    @classmethod
    def of(cls, stores: Stores, router: Router, middleware: Sequence[Middleware]) -> Self:
        """Put them together."""
        return cls(stores, router, around(middleware, "dispatch_command", collect))


async def collect(message: Envelope[Any], messages: list[Envelope[Any]]) -> None:
    """Add a message to a list; the step behind the hooks around dispatching."""
    messages.append(message)


class HandlerScope(StoreReader):
    """The unit of work as one handler sees it.

    What it sends and raises is collected here and written with everything else, or dropped.

    Args:
        backstage: What all scopes have in common.
        cause: The message.
        uow: Its transaction; None while history is run again.
        sequence: Its number, or that of the command behind it.
        attempt: 1 for the first handling.

    Attributes:
        cause: The message.
        sequence: Its number, or that of the command behind it.
        commands: What was sent.
        schedule: What becomes of scheduled commands, by message id: one that waits from now on,
            or None for one that is taken back.
        events: What was raised.
        has_ended: Whether the handler has returned: what comes later would be lost, and is refused.
    """

    __slots__ = (
        "_asked",
        "_attempt",
        "_backstage",
        "_context",
        "_has_connection",
        "_uow",
        "cause",
        "commands",
        "events",
        "has_ended",
        "schedule",
        "sequence",
    )

    def __init__(
        self,
        backstage: Backstage,
        cause: Envelope[Any],
        uow: UnitOfWork | None,
        *,
        sequence: int | None,
        attempt: int,
    ) -> None:
        self._stores = backstage.stores
        self._backstage = backstage
        self.cause = cause
        self.sequence = sequence
        self.commands: list[Envelope[Any]] = []
        self.schedule: dict[str, Envelope[Any] | None] = {}
        self.events: list[Envelope[Any]] = []
        self.has_ended = False
        self._asked: list[Coroutine[Any, Any, Any]] = []
        self._attempt = attempt
        self._uow = uow
        self._has_connection = False
        self._context: Context | None = None

    def anew(self) -> Self:
        """Return the scope of the same handler's next run for the same message."""
        return type(self)(
            self._backstage,
            self.cause,
            self._uow,
            sequence=self.sequence,
            attempt=self._attempt,
        )

    @property
    def _is_replay(self) -> bool:
        return self._uow is None

    @property
    def _reads(self) -> Reads:
        return self._stores if self._uow is None else self._uow.reads

    async def connection(self) -> HandlerConnection:
        """Begin the transaction for SQL of the handler's own.

        Raises:
            HandlerEndedError: The handler has returned.
            NoConnectionError: History is run again, or the stores have no SQL.
        """
        if self.has_ended:
            raise HandlerEndedError("self.connection()")
        if self._uow is None:
            raise NoConnectionError(
                "history is run again: what self.connection() has written before must not be "
                "written twice; leave it out where self.context.is_replay"
            )
        self._has_connection = True
        return HandlerConnection(await self._uow.connection(), self)

    def check(self, handler: str) -> None:
        """Say whether what the handler has asked for was done.

        Args:
            handler: Its name.

        Raises:
            HandlingError: It has sent something without ``await``, which would be lost.
            SourceflowError: What the first failure of its own SQL was.
        """
        if self._asked and (forgotten := unawaited(self._asked)):
            for each in forgotten:
                each.close()
            raise HandlingError(
                f"{handler} has called self.send or self.cancel_send without await, so that "
                f"nothing would be sent: write 'await self.send(…)', in an 'async def'"
            )
        if self._has_connection:
            assert self._uow is not None
            self._uow.check()

    @property
    def context(self) -> Context:
        """The circumstances of the message; made when a handler asks for them."""
        if self._context is None:
            cause = self.cause
            self._context = Context(
                message_id=cause.id,
                correlation_id=cause.correlation_id,
                causation_id=cause.causation_id,
                sequence=self.sequence,
                time=cause.time,
                is_replay=self._is_replay,
                attempt=self._attempt,
                headers=cause.headers,
            )
        return self._context

    def send(
        self,
        command: object,
        *,
        message_id: str | None,
        headers: Mapping[str, str] | None,
        delay: timedelta | None,
        at: datetime | None,
    ) -> Coroutine[Any, Any, str]:
        """Collect a command when it is awaited; during a replay do nothing.

        Raises:
            HandlerEndedError: The handler has returned.
        """
        asked = self._send(command, message_id, headers, delay, at)
        self._asked.append(asked)
        return asked

    async def _send(
        self,
        command: object,
        message_id: str | None,
        headers: Mapping[str, str] | None,
        delay: timedelta | None,
        at: datetime | None,
    ) -> str:
        if self._is_replay:
            return message_id or new_message_id()
        router, dispatch = self._backstage.router, self._backstage.dispatch
        due = router.due(delay, at)
        envelope = router.command(
            command, message_id=message_id, headers=headers, cause=self.cause, due=due
        )
        if due is None:
            await dispatch(envelope, self.commands)
        else:
            waiting: list[Envelope[Any]] = []
            await dispatch(envelope, waiting)
            self.schedule.update((each.id, each) for each in waiting)
        if self.has_ended:
            raise HandlerEndedError(envelope.type_name)
        return envelope.id

    def cancel(self, message_id: str) -> Coroutine[Any, Any, bool]:
        """Collect that a command is taken back when it is awaited; during a replay do nothing.

        Whether it waits is read now and made sure of by the commit: if it is sent in between,
        the handler runs again and learns of it.

        Raises:
            HandlerEndedError: The handler has returned.
        """
        asked = self._cancel(message_id)
        self._asked.append(asked)
        return asked

    async def _cancel(self, message_id: str) -> bool:
        if self._is_replay:
            return False
        waits = await self._stores.schedule.waits(message_id)
        if self.has_ended:
            raise HandlerEndedError(f"the cancelling of {message_id}")
        was_known = message_id in self.schedule
        known = self.schedule.pop(message_id, None)
        if waits:
            self.schedule[message_id] = None
        return known is not None or (waits and not was_known)

    def raise_event(self, event: object) -> None:
        """Collect an event.

        Raises:
            HandlerEndedError: The handler has returned.
        """
        if self.has_ended:
            raise HandlerEndedError(type(event).__name__)
        envelope = self._backstage.router.event(event, cause=self.cause, sequence=self.sequence)
        self.events.append(envelope)
