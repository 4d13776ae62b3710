"""Rows of view models in a database: a table for each of them."""

from __future__ import annotations

import hashlib
import re
import secrets
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    PrimaryKeyConstraint,
    Table,
    bindparam,
    delete,
    select,
    update,
)

from sourceflow.bus.ports import Row
from sourceflow.domain.handlers import DELETE
from sourceflow.messages import key_text, state_info
from sourceflow.stores.memory.view_models import query_rows
from sourceflow.stores.sql.database import Statement, Statements, Step
from sourceflow.stores.sql.schema import Word
from sourceflow.stores.sql.shadow_statements import ShadowStatements
from sourceflow.stores.sql.types import Document

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy.sql import ColumnElement

    from sourceflow.bus.changes import RowChange
    from sourceflow.messages import Codec, KeyType
    from sourceflow.stores.sql.database import Database
    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.url import Product

__all__ = ("ViewModels",)

RowT = TypeVar("RowT")

MAX_TABLE: Final = 63 - len("_pkey")
"""Characters of a table's name: PostgreSQL tells 63 bytes apart, and its key's name is longer."""


class ViewModels:
    """Reads and changes rows.

    Each row has a version, which begins at random and counts its changes: who saw a row that was
    removed since, or that another generation has replaced, loses the race. Rows of a rebuild wait
    in a generation of their own until they are the ones that count.
    """

    def __init__(self, database: Database, schema: Schema, codec: Codec) -> None:
        self._database = database
        self._schema = schema
        self._codec = codec
        self._tables: dict[type[Any], _RowStatements] = {}

    async def open(self, row_types: Collection[type[Any]]) -> None:
        """Make the tables that are not there yet."""
        tables = [self._sql(row_type).table for row_type in row_types]
        if tables:
            await self._database.administer(
                lambda connection: self._schema.metadata.create_all(connection, tables)
            )
        for row_type in row_types:
            sql = self._sql(row_type)
            await self._database.write(sql.register, {"view": sql.name})

    def _sql(self, row_type: type[Any]) -> _RowStatements:
        found = self._tables.get(row_type)
        if found is None:
            found = _RowStatements(self._schema, self._database.product, row_type)
            self._tables[row_type] = found
        return found

    async def row(self, row_type: type[RowT], key: KeyType) -> Row[RowT]:
        """Return a row and its version."""
        sql = self._sql(row_type)
        rows = await self._database.read(sql.get, {"view": sql.name, "key": key_text(key)})
        if not rows:
            return Row(0, None)
        version, document = rows[0]
        return Row(version, self._codec.decode_state(row_type, document))

    async def version(self, row_type: type[Any], key: KeyType) -> int:
        """Return a row's version; 0 where there is none."""
        sql = self._sql(row_type)
        rows = await self._database.read(sql.get, {"view": sql.name, "key": key_text(key)})
        return rows[0][0] if rows else 0

    async def query(
        self,
        row_type: type[RowT],
        *,
        where: Mapping[str, object],
        order_by: str | None,
        limit: int | None,
        after: RowT | None,
    ) -> list[RowT]:
        """Return rows; see ``query_rows``."""
        sql = self._sql(row_type)
        found = await self._database.read(sql.all, {"view": sql.name})
        rows = [self._codec.decode_state(row_type, document) for (document,) in found]
        return query_rows(row_type, rows, where=where, order_by=order_by, limit=limit, after=after)

    def shadow_statements(self, row_type: type[Any]) -> ShadowStatements:
        """Return the statements on rows that are being built."""
        sql = self._sql(row_type)
        return ShadowStatements(self._schema, self._database.product, sql.name, sql.table)

    def step(self, change: RowChange) -> Step | None:
        """Return what changes a row; None where one that was never there is removed."""
        sql = self._sql(change.row_type)
        values = {"view": sql.name, "key": key_text(change.key), "expected": change.expected}
        if change.row is DELETE:
            return Step(sql.remove, values, rows=1) if change.expected else None
        values["document"] = self._codec.encode_state(change.row)
        if change.expected:
            return Step(sql.change, values | {"version": change.expected + 1}, rows=1)
        return Step(sql.create, values | {"version": 1 + secrets.randbits(60)}, rows=1)


class _RowStatements(Statements):
    """The statements on one view model's table."""

    def __init__(self, schema: Schema, product: Product, row_type: type[Any]) -> None:
        super().__init__(schema, product)
        self.name = state_info(row_type).name
        self.table = _table(schema, self.name)

    @cached_property
    def register(self) -> Statement:
        return self._compile(
            self._insert(self._schema.views)
            .values(name=bindparam("view"), generation=1)
            .on_conflict_do_nothing()
            .inline()
        )

    @cached_property
    def get(self) -> Statement:
        table = self.table
        return self._compile(select(table.c.version, table.c.document).where(*self._is_it()))

    @cached_property
    def all(self) -> Statement:
        table = self.table
        return self._compile(
            select(table.c.document).where(table.c.generation == self._generation())
        )

    @cached_property
    def create(self) -> Statement:
        return self._compile(
            self._insert(self.table)
            .values(
                generation=self._generation(),
                key=bindparam("key"),
                version=bindparam("version"),
                document=bindparam("document"),
            )
            .on_conflict_do_nothing()
            .inline()
        )

    @cached_property
    def change(self) -> Statement:
        return self._compile(
            update(self.table)
            .where(*self._is_it(), self.table.c.version == bindparam("expected"))
            .values(version=bindparam("version"), document=bindparam("document"))
        )

    @cached_property
    def remove(self) -> Statement:
        return self._compile(
            delete(self.table).where(*self._is_it(), self.table.c.version == bindparam("expected"))
        )

    def _is_it(self) -> list[ColumnElement[bool]]:
        table = self.table
        return [table.c.generation == self._generation(), table.c.key == bindparam("key")]

    def _generation(self) -> Any:
        """Return which generation counts now."""
        views = self._schema.views
        return select(views.c.generation).where(views.c.name == bindparam("view")).scalar_subquery()


def _table(schema: Schema, name: str) -> Table:
    table_name = _table_name(f"{schema.prefix}view_", name)
    return Table(
        table_name,
        schema.metadata,
        Column("generation", BigInteger, nullable=False),
        Column("key", Word, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("document", Document, nullable=False),
        PrimaryKeyConstraint("generation", "key", name=f"{table_name}_pkey"),
        extend_existing=True,
    )


def _table_name(prefix: str, name: str) -> str:
    """Return the name of a view model's table: OrderSummary becomes order_summary.

    Two view models never share one: what the words do not tell is told by a checksum.
    """
    words = re.findall(r"[A-Z][a-z0-9]*|[a-z0-9]+", name)
    table = prefix + "_".join(words).lower()
    if "".join(words) == name == "".join(map(str.capitalize, words)) and len(table) <= MAX_TABLE:
        return table
    checksum = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{table[: MAX_TABLE - len(checksum) - 1]}_{checksum}"
