"""What stands behind an aggregate that is called at the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from sourceflow.errors import NoConnectionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from sourceflow.domain.conditions import Condition
    from sourceflow.domain.context import Context
    from sourceflow.host.app import App
    from sourceflow.messages import KeyType

__all__ = ("EdgeScope",)

StateT = TypeVar("StateT", bound=Any)


class EdgeScope:
    """Passes everything on to the App; no message is handled here."""

    __slots__ = ("_app",)

    def __init__(self, app: App) -> None:
        self._app = app

    @property
    def context(self) -> Context:
        """Refuse: there is no message.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("no message is handled here: self.context belongs to handlers")

    async def send(
        self,
        command: object,
        *,
        message_id: str | None,
        headers: Mapping[str, str] | None,
        delay: timedelta | None,
        at: datetime | None,
    ) -> str:
        """Send at the edge."""
        return await self._app.send(
            command, message_id=message_id, headers=headers, delay=delay, at=at
        )

    async def cancel(self, message_id: str) -> bool:
        """Take a scheduled command back."""
        return await self._app.cancel(message_id)

    def raise_event(self, event: object) -> None:
        """Refuse: events come out of commands.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(f"{type(event).__name__} was raised outside of a saga's handler")

    async def connection(self) -> NoReturn:
        """Refuse: there is no transaction.

        Raises:
            NoConnectionError: Always.
        """
        raise NoConnectionError("no message is handled here: self.connection() belongs to handlers")

    async def find(self, state_type: type[StateT], key: KeyType) -> StateT | None:
        """Return an entity or a row, or None."""
        return await self._app.find(state_type, key)

    async def get(self, state_type: type[StateT], key: KeyType) -> StateT:
        """Return an entity or a row."""
        return await self._app.get(state_type, key)

    async def query(
        self,
        row_type: type[StateT],
        *,
        where: Mapping[str, object] | Condition | None,
        order_by: str | None,
        limit: int | None,
        after: StateT | None,
    ) -> list[StateT]:
        """Return rows of a view model."""
        return await self._app.query(
            row_type, where=where, order_by=order_by, limit=limit, after=after
        )
