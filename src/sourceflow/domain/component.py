"""What sagas, aggregates and views have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from datetime import datetime, timedelta

    from sourceflow.domain.conditions import Condition
    from sourceflow.domain.connection import Connection
    from sourceflow.domain.context import Context
    from sourceflow.domain.entity import Entity
    from sourceflow.domain.view_model import ViewModel
    from sourceflow.messages import Command, Event, KeyType

__all__ = ("Component", "Scope")

StateT = TypeVar("StateT", bound="Entity | ViewModel")
RowT = TypeVar("RowT", bound="ViewModel")


class Scope(Protocol):
    """What stands behind a component while it works on one message: the unit of work."""

    @property
    def context(self) -> Context:
        """The circumstances of the message."""
        ...

    def send(
        self,
        command: Command,
        *,
        message_id: str | None,
        headers: Mapping[str, str] | None,
        delay: timedelta | None,
        at: datetime | None,
    ) -> Coroutine[Any, Any, str]:
        """Let a command leave with the unit of work, or wait from then on; return its id."""
        ...

    def cancel(self, message_id: str) -> Coroutine[Any, Any, bool]:
        """Take a scheduled command back with the unit of work; return whether it still waits."""
        ...

    def raise_event(self, event: Event) -> None:
        """Let an event leave with the unit of work."""
        ...

    async def connection(self) -> Connection:
        """Begin the unit of work's transaction, for SQL of the user's own."""
        ...

    async def find(self, state_type: type[StateT], key: KeyType) -> StateT | None:
        """Return an entity or a row, or None."""
        ...

    async def get(self, state_type: type[StateT], key: KeyType) -> StateT:
        """Return an entity or a row."""
        ...

    async def query(
        self,
        row_type: type[RowT],
        *,
        where: Mapping[str, object] | Condition | None,
        order_by: str | None,
        limit: int | None,
        after: RowT | None,
    ) -> list[RowT]:
        """Return rows of a view model."""
        ...


class Component:
    """Base of everything that handles messages: one new object a message.

    Constructor parameters of subclasses are filled by type from ``App(services=[...])``.
    """

    _scope: Scope

    @property
    def context(self) -> Context:
        """The circumstances of the message that is handled now."""
        return self._scope.context

    async def connection(self) -> Connection:
        """Return a connection for SQL of one's own, in the transaction of this handler.

        What it writes is committed with everything else that the handler does, or is gone with it.
        Needs ``SqlStores``. It begins the transaction early: until the handler has ended, on SQLite
        nobody else writes, and on PostgreSQL one connection of the pool is taken.

        Raises:
            NoConnectionError: The stores have no SQL; or history is run again
                (``self.context.is_replay``), and the statements must not take effect twice.
            HandlerEndedError: The handler has returned.
            DependencyError: The database does not answer.
        """
        return await self._scope.connection()

    async def find(self, state_type: type[StateT], key: KeyType) -> StateT | None:
        """Return an entity or a row of a view model, or None where there is none."""
        return await self._scope.find(state_type, key)

    async def get(self, state_type: type[StateT], key: KeyType) -> StateT:
        """Return an entity or a row of a view model.

        Raises:
            NotFoundError: There is none.
        """
        return await self._scope.get(state_type, key)

    async def query(
        self,
        row_type: type[RowT],
        *,
        where: Mapping[str, object] | Condition | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        after: RowT | None = None,
    ) -> list[RowT]:
        """Return rows of a view model; see ``App.query``."""
        return await self._scope.query(
            row_type, where=where, order_by=order_by, limit=limit, after=after
        )


class Sender(Component):
    """A component that may send commands.

    Its methods are awaited. They are no ``async def``, so that the unit of work knows of a call whose
    ``await`` was forgotten.
    """

    def send(
        self,
        command: Any,
        *,
        message_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        delay: timedelta | None = None,
        at: datetime | None = None,
    ) -> Coroutine[Any, Any, str]:
        """Send a command, now or later.

        Inside a handler it leaves with the unit of work: after the commit, or not at all. During
        a replay it does nothing.

        With ``delay`` or ``at`` it waits in the stores until it is due, then goes where its route
        leads at that time. For who handles it, it was sent when it was due: that is its
        ``context.time``. One that waits for a second or longer counts as the first of its chain
        of messages, so a command may schedule its successor for ever. Sending with the id of one
        that still waits moves it.

        Args:
            command: What is asked for.
            message_id: The id of the command; one id means one effect. Made up where not given.
            headers: Own metadata that travels along.
            delay: How long it waits.
            at: Until when it waits; a time that is past means now.

        Returns:
            The id of the command.

        Raises:
            InvalidMessageError: The command, its id or a header cannot be sent.
            MessageTooLargeError: It can never fit its queue.
            NoHandlerError: It has neither a handler nor a route.
            DepthExceededError: It is caused by a chain of over 50 messages.
            ValueError: Both ``delay`` and ``at`` are given, the delay is negative, or the time
                has no zone.
        """
        return self._scope.send(command, message_id=message_id, headers=headers, delay=delay, at=at)

    def cancel_send(self, message_id: str) -> Coroutine[Any, Any, bool]:
        """Take back a command that was sent with ``delay`` or ``at``.

        Inside a handler it is part of the unit of work: if that is not committed, the command
        still waits; if it is, what was returned is true. During a replay it does nothing and
        returns False.

        Args:
            message_id: The id that ``send`` returned.

        Returns:
            Whether the command still waited, and will never be sent.
        """
        return self._scope.cancel(message_id)
