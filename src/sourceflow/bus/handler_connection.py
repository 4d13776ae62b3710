"""The connection as one handler has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow.errors import HandlerEndedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.bus.scope import HandlerScope
    from sourceflow.domain.connection import Clause, Connection

__all__ = ("HandlerConnection",)


class HandlerConnection:
    """See ``sourceflow.domain.Connection``: refuses everything after the end of its handler."""

    __slots__ = ("_connection", "_scope")

    def __init__(self, connection: Connection, scope: HandlerScope) -> None:
        self._connection = connection
        self._scope = scope

    async def execute(
        self, statement: str | Clause, parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement."""
        if self._scope.has_ended:
            raise HandlerEndedError("a statement of its own")
        return await self._connection.execute(statement, parameters)
