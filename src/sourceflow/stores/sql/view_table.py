"""The table of one view model: a document a row, and beside it what queries compare."""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    inspect,
    literal_column,
    text,
)
from sqlalchemy.schema import CreateColumn

from sourceflow.messages import state_info
from sourceflow.stores.sql.sortable import Sortable
from sourceflow.stores.sql.types import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from sqlalchemy.sql import ColumnElement

    from sourceflow.messages import Index as Field
    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.url import Product

__all__ = ("ViewTable",)

MAX_NAME: Final = 63
"""Bytes of a name that PostgreSQL tells apart."""

MAX_TABLE: Final = MAX_NAME - len("_pkey")
"""Characters of a table's name: that of its key is longer."""

_FIELD: Final = re.compile(r"[a-z][a-z0-9_]*")


class ViewTable:
    """A table, and which of its columns stands for which field.

    Each row says in ``filled`` which of the columns beside its document its last writer knew of:
    an instance from before a field was named in ``indexes`` leaves that field's column as it was,
    and the row is *stale* in it until somebody fills it in. An index that only holds such rows
    finds them at no cost.

    Attributes:
        info: What is known of the view model.
        name: Its name.
        table: The table.
        columns: Field to column, for every field that queries may compare.
        filled: What ``filled`` says of a row that is written here.
    """

    def __init__(self, schema: Schema, product: Product, row_type: type[Any]) -> None:
        self.info = state_info(row_type)
        self.name = self.info.name
        self._product = product
        key_field = self.info.key_field
        assert key_field is not None  # or the wiring check has refused the view
        fields = {each.name: each for each in self.info.compared.values()}
        key: Column[Any] = Column("key", Sortable(fields[key_field].kind), nullable=False)
        indexed = {name: _column(each) for name, each in fields.items() if name != key_field}
        name = _table_name(f"{schema.prefix}view_", self.info.name)
        self.table = Table(
            name,
            MetaData(schema=schema.metadata.schema),
            Column("generation", BigInteger, nullable=False),
            key,
            Column("version", BigInteger, nullable=False),
            Column("document", Document, nullable=False),
            Column("filled", Text, nullable=False),
            *indexed.values(),
            PrimaryKeyConstraint("generation", "key", name=f"{name}_pkey"),
        )
        self.columns: dict[str, Column[Any]] = {key_field: key, **indexed}
        self.indexed: dict[str, Column[Any]] = indexed
        self.filled = "".join(_mark(column) for column in indexed.values())
        for column in indexed.values():
            self._add_indexes(column)

    def _add_indexes(self, column: Column[Any]) -> None:
        """Add what a page walks along, and what finds rows that are stale."""
        table = self.table
        first: Any = column if self._product == "sqlite" else column.asc().nulls_first()
        Index(_bounded(f"{table.name}_{column.name}"), table.c.generation, first, table.c.key)
        stale = self.is_stale(column)
        Index(
            _bounded(f"{table.name}_{column.name}_stale"),
            table.c.generation,
            table.c.key,
            sqlite_where=stale,
            postgresql_where=stale,
        )

    def is_stale(self, column: Column[Any]) -> ColumnElement[bool]:
        """Return the condition that a row's last writer knew nothing of a column."""
        find = func.instr if self._product == "sqlite" else func.strpos
        mark: ColumnElement[str] = literal_column(f"'{_mark(column)}'")
        return find(self.table.c.filled, mark) == literal_column("0")

    def create(self, connection: Connection) -> None:
        """Make the table, or those of its columns and indexes that are not there yet.

        What is there is asked for once: asking for each index by itself takes longer than all else
        that stores do when they open.
        """
        table = self.table
        inspector = inspect(connection)
        if not inspector.has_table(table.name, table.schema):
            table.create(connection, checkfirst=False)
            return
        columns = {each["name"] for each in inspector.get_columns(table.name, table.schema)}
        for column in table.columns:
            if column.name not in columns:
                name = connection.dialect.identifier_preparer.format_table(table)
                clause = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(text(f"ALTER TABLE {name} ADD COLUMN {clause}"))
        indexes = {each["name"] for each in inspector.get_indexes(table.name, table.schema)}
        for index in table.indexes:
            if index.name not in indexes:
                index.create(connection, checkfirst=False)

    def values(self, row: Any) -> dict[str, Any]:
        """Return what is written beside a row's document, by column; the key is not among it.

        Raises:
            InvalidMessageError: A text or a number is too long for an index.
        """
        stored = self.info.stored(row)
        found = {column.name: stored[field] for field, column in self.indexed.items()}
        found["filled"] = self.filled
        return found

    def filled_after(self, known: str) -> str:
        """Return what ``filled`` says of a row once the columns known here are filled in too."""
        marks = [_mark(column) for column in self.indexed.values()]
        return known + "".join(mark for mark in marks if mark not in known)

    @property
    def beside(self) -> Iterator[str]:
        """The names of the columns that ``values`` has values for."""
        yield from (column.name for column in self.indexed.values())
        yield "filled"


def _column(field: Field) -> Column[Any]:
    """Return the column of a field; one of another kind is another column.

    Databases do not tell upper from lower case, or not the whole of long names.
    """
    name = f"by_{field.name}_{field.kind.value}"
    if not _FIELD.fullmatch(field.name) or len(name) > MAX_NAME:
        name = f"by_{_checksum(field.name)}_{field.kind.value}"
    return Column(name, Sortable(field.kind))


def _mark(column: Column[Any]) -> str:
    """Return what stands for a column in ``filled``."""
    return f"{zlib.crc32(column.name.encode()):08x},"


def _bounded(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 9]}_{_checksum(name)}"


def _checksum(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _table_name(prefix: str, name: str) -> str:
    """Return the name of a view model's table: OrderSummary becomes order_summary.

    Two view models never share one: what the words do not tell is told by a checksum.
    """
    words = re.findall(r"[A-Z][a-z0-9]*|[a-z0-9]+", name)
    table = prefix + "_".join(words).lower()
    if "".join(words) == name == "".join(map(str.capitalize, words)) and len(table) <= MAX_TABLE:
        return table
    checksum = _checksum(name)
    return f"{table[: MAX_TABLE - len(checksum) - 1]}_{checksum}"
