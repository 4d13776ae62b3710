"""The statements on rows that are being built."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, case, delete, func, null, or_, select, text, tuple_, update

from sourceflow.stores.sql.database import Statement, Statements
from sourceflow.stores.sql.database.statement import DIALECTS

if TYPE_CHECKING:
    from sqlalchemy.sql import ColumnElement

    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.url import Product
    from sourceflow.stores.sql.view_table import ViewTable

__all__ = ("ShadowStatements",)

CLEANED: Final = 1_000
"""Rows that are removed in one transaction."""


class ShadowStatements(Statements):
    """What a rebuild asks the database.

    Args:
        schema: The tables.
        product: Whose SQL it is.
        view: The view model's table.
    """

    def __init__(self, schema: Schema, product: Product, view: ViewTable) -> None:
        super().__init__(schema, product)
        self.view = view
        self._table = view.table

    @cached_property
    def begin(self) -> Statement:
        """Take a new generation; yield it, and that it takes nothing in yet."""
        views = self._schema.views
        last = case(
            (views.c.building > views.c.generation, views.c.building), else_=views.c.generation
        )
        return self._compile(
            update(views)
            .where(views.c.name == bindparam("view"))
            .values(building=last + 1, builder=bindparam("builder"), position=0)
            .returning(views.c.building, views.c.position)
        )

    @cached_property
    def resume(self) -> Statement:
        """Take over what another one was building; yield its generation and how far it came."""
        views = self._schema.views
        return self._compile(
            update(views)
            .where(views.c.name == bindparam("view"), views.c.building.is_not(None))
            .values(builder=bindparam("builder"))
            .returning(views.c.building, views.c.position)
        )

    @cached_property
    def mark(self) -> Statement:
        """Note how far the event log is taken in."""
        return self._compile(
            update(self._schema.views).where(*self._is_own()).values(position=bindparam("position"))
        )

    @cached_property
    def flip(self) -> Statement:
        """Let the generation count."""
        views = self._schema.views
        return self._compile(
            update(views)
            .where(*self._is_own())
            .values(generation=views.c.building, building=null(), builder=null(), position=null())
            .returning(views.c.generation)
        )

    def _is_own(self) -> list[ColumnElement[bool]]:
        views = self._schema.views
        return [
            views.c.name == bindparam("view"),
            views.c.builder == bindparam("builder"),
            views.c.building == bindparam("generation"),
        ]

    @cached_property
    def lock(self) -> Statement | None:
        """Wait for transactions that change rows, and let none begin (PostgreSQL).

        A later statement of theirs sees what was committed meanwhile, and with it the generation.
        """
        if self._product == "sqlite":
            return None
        name = DIALECTS[self._product].identifier_preparer.format_table(self._table)
        return self._compile(text(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))

    @cached_property
    def load(self) -> Statement:
        """Yield documents and their keys."""
        table = self._table
        return self._compile(
            select(table.c.document, table.c.key).where(
                table.c.generation == bindparam("generation"), self._is_in(table.c.key, "keys")
            )
        )

    @cached_property
    def put(self) -> Statement:
        """Write a row, there or not."""
        names = ("generation", "key", "version", "document", *self.view.beside)
        values: dict[str, Any] = {name: bindparam(name) for name in names}
        statement = self._insert(self._table).values(values)
        return self._compile(
            statement.on_conflict_do_update(
                index_elements=["generation", "key"],
                set_={name: statement.excluded[name] for name in names[2:]},
            ).inline()
        )

    @cached_property
    def remove(self) -> Statement:
        """Remove a row."""
        table = self._table
        return self._compile(
            delete(table).where(
                table.c.generation == bindparam("generation"), table.c.key == bindparam("key")
            )
        )

    @cached_property
    def count(self) -> Statement:
        """Yield how many rows a generation has."""
        table = self._table
        return self._compile(
            select(func.count())
            .select_from(table)
            .where(table.c.generation == bindparam("generation"))
        )

    @cached_property
    def clean(self) -> Statement:
        """Remove some rows that neither count nor are being built; yield their keys."""
        table, views = self._table, self._schema.views
        needed = [
            select(column).where(views.c.name == bindparam("view")).scalar_subquery()
            for column in (views.c.generation, views.c.building)
        ]
        old = (
            select(table.c.generation, table.c.key)
            .where(table.c.generation != needed[0])
            .where(or_(needed[1].is_(None), table.c.generation != needed[1]))
            .limit(CLEANED)
        )
        row = tuple_(table.c.generation, table.c.key)
        return self._compile(delete(table).where(row.in_(old)).returning(table.c.key))
