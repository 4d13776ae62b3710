"""The statements on one view model's table that read and change its rows by key."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, or_, select, update

from sourceflow.stores.sql.database import Statement, Statements

if TYPE_CHECKING:
    from sqlalchemy.sql import ColumnElement

    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.url import Product
    from sourceflow.stores.sql.view_table import ViewTable

__all__ = ("BATCH", "STALE", "ViewStatements", "generation_of")

BATCH: Final = 200
"""Stale rows that are filled in at a time."""

STALE: Final = ("generation", "key", "version", "filled", "document")
"""The columns of a stale row."""


def generation_of(schema: Schema) -> Any:
    """Return which generation of the rows of ``:view`` counts now."""
    views = schema.views
    return select(views.c.generation).where(views.c.name == bindparam("view")).scalar_subquery()


class ViewStatements(Statements):
    """Everything but queries."""

    def __init__(self, schema: Schema, product: Product, view: ViewTable) -> None:
        super().__init__(schema, product)
        self._view = view
        self._table = view.table

    @cached_property
    def register(self) -> Statement:
        """Let a generation count where none does yet."""
        return self._compile(
            self._insert(self._schema.views)
            .values(name=bindparam("view"), generation=1)
            .on_conflict_do_nothing()
            .inline()
        )

    @cached_property
    def get(self) -> Statement:
        """Read a row."""
        table = self._table
        return self._compile(select(table.c.version, table.c.document).where(*self._is_it()))

    @cached_property
    def create(self) -> Statement:
        """Add a row that is not there yet."""
        names = ("key", "version", "document", *self._view.beside)
        values: dict[str, Any] = {name: bindparam(name) for name in names}
        values["generation"] = generation_of(self._schema)
        return self._compile(
            self._insert(self._table).values(values).on_conflict_do_nothing().inline()
        )

    @cached_property
    def change(self) -> Statement:
        """Write a row anew that has not changed since it was read."""
        names = ("version", "document", *self._view.beside)
        return self._compile(
            update(self._table)
            .where(*self._is_it(), self._table.c.version == bindparam("expected"))
            .values({name: bindparam(name) for name in names})
        )

    @cached_property
    def remove(self) -> Statement:
        """Remove a row that has not changed since it was read."""
        return self._compile(
            delete(self._table).where(
                *self._is_it(), self._table.c.version == bindparam("expected")
            )
        )

    @cached_property
    def stale(self) -> Statement:
        """Find rows whose last writer knew nothing of some column."""
        table = self._table
        is_stale = or_(*(self._view.is_stale(column) for column in self._view.indexed.values()))
        columns = (table.c[name] for name in STALE)
        return self._compile(select(*columns).where(is_stale).limit(BATCH))

    @cached_property
    def mend(self) -> Statement:
        """Fill in what stands beside a document, unless the row has changed meanwhile."""
        table = self._table
        return self._compile(
            update(table)
            .where(
                table.c.generation == bindparam("generation"),
                table.c.key == bindparam("key"),
                table.c.version == bindparam("version"),
                table.c.filled == bindparam("known"),
            )
            .values({name: bindparam(name) for name in self._view.beside})
        )

    def _is_it(self) -> list[ColumnElement[bool]]:
        table = self._table
        return [table.c.generation == generation_of(self._schema), table.c.key == bindparam("key")]
