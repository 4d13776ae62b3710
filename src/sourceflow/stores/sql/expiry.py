"""Rows that expire."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, select, tuple_

from sourceflow.stores.sql.database import Statement, Statements

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Table

    from sourceflow.stores.sql.database import Database
    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.url import Product

__all__ = ("BATCH", "CLEANUP_INTERVAL", "Expiry", "check_interval")

CLEANUP_INTERVAL: Final = timedelta(minutes=60)
"""How long to wait between two cleanings, unless told otherwise."""

BATCH: Final = 1_000
"""Rows that one transaction deletes: others wait for it no longer than for a commit."""


def check_interval(interval: timedelta) -> timedelta:
    """Return a cleanup interval.

    Raises:
        ValueError: It is not positive.
    """
    if interval <= timedelta(0):
        raise ValueError(f"cleanup_interval is more than nothing, not {interval}")
    return interval


class Expiry:
    """Deletes the rows of one table that have expired.

    Args:
        database: Where the table is.
        schema: All tables.
        table: The one with a column ``expires``.
    """

    __slots__ = ("_database", "_sql")

    def __init__(self, database: Database, schema: Schema, table: Table) -> None:
        self._database = database
        self._sql = _ExpiryStatements(schema, database.product, table)

    async def delete(self, now: datetime) -> int:
        """Delete what has expired, batch after batch; return how much it was."""
        total = 0
        while True:
            count = len(await self._database.write(self._sql.delete, {"now": now}))
            total += count
            if count < BATCH:
                return total


class _ExpiryStatements(Statements):
    def __init__(self, schema: Schema, product: Product, table: Table) -> None:
        super().__init__(schema, product)
        self._table = table

    @cached_property
    def delete(self) -> Statement:
        """Delete one batch; rows that others are changing or deleting are left to them."""
        table = self._table
        identity = list(table.primary_key)
        expired = (
            select(*identity)
            .where(table.c.expires <= bindparam("now"))
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        return self._compile(
            delete(table).where(tuple_(*identity).in_(expired)).returning(table.c.expires)
        )
