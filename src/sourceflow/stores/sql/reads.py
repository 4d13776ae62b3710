"""Reads of entities and view models, from the database or in a transaction on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from sourceflow.bus.changes import Stream
    from sourceflow.bus.query import Query
    from sourceflow.messages import KeyType
    from sourceflow.stores.sql.database import Transaction
    from sourceflow.stores.sql.parts import Parts

__all__ = ("SqlReads",)

StateT = TypeVar("StateT")


class SqlReads:
    """See ``sourceflow.bus.ports.Reads``.

    Args:
        parts: What knows how to read.
        transaction: Where; None for the database itself.
    """

    __slots__ = ("_parts", "_transaction")

    def __init__(self, parts: Parts, transaction: Transaction | None) -> None:
        self._parts = parts
        self._transaction = transaction

    async def load(self, stream: Stream, entity_type: type[StateT]) -> StateT | None:
        """Return an entity, or None."""
        head = await self._parts.streams.head(stream, entity_type, None, self._transaction)
        return head.entity

    async def find(self, row_type: type[StateT], key: KeyType) -> StateT | None:
        """Return a row, or None."""
        return (await self._parts.view_models.row(row_type, key, self._transaction)).value

    async def query(self, query: Query[StateT]) -> list[StateT]:
        """Return rows."""
        return await self._parts.view_models.query(query, self._transaction)
