"""SQL that is written once, by SQLAlchemy Core, and then only run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import any_, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.dialects.sqlite import pysqlite

from sourceflow.stores.sql.types import Converting, ListOf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Table
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql import ClauseElement, ColumnElement

    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.url import Product

__all__ = ("Statement", "Statements", "numbered", "row_parameters")

DIALECTS: Final[dict[Product, Dialect]] = {
    "sqlite": pysqlite.dialect(paramstyle="qmark"),
    "postgresql": asyncpg.dialect(),  # type: ignore[no-untyped-call]
}

Converter = tuple[int, "Callable[[Any], Any]"]


class Statement:
    """One statement with the placeholders of its driver.

    Attributes:
        text: The SQL.
        returns: Whether it yields rows.
    """

    __slots__ = ("_constants", "_names", "_readers", "_writers", "returns", "text")

    def __init__(self, clause: ClauseElement, product: Product) -> None:
        compiled: Any = clause.compile(dialect=DIALECTS[product])
        self.text: str = str(compiled)
        self._names: tuple[str, ...] = tuple(compiled.positiontup)
        self._constants = {
            name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required
        }
        types = [compiled.binds[name].type for name in self._names]
        columns = [column[3] for column in compiled._result_columns]  # noqa: SLF001 - no other way to learn a result's types
        self._writers = _converters(types, lambda each: each.writer(product))
        self._readers = _converters(columns, lambda each: each.reader(product))
        self.returns = bool(columns)

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return what the driver takes, in the order of the placeholders.

        Raises:
            KeyError: A value is missing.
        """
        constants = self._constants
        if constants:
            values = {**constants, **values}
        arguments = [values[name] for name in self._names]
        for index, convert in self._writers:
            arguments[index] = convert(arguments[index])
        return arguments

    def rows(self, found: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
        """Return rows as they are for Python."""
        if not self._readers:
            return list(found)
        return [self._row(row) for row in found]

    def _row(self, row: Sequence[Any]) -> list[Any]:
        values = list(row)
        for index, convert in self._readers:
            values[index] = convert(values[index])
        return values

    def __repr__(self) -> str:
        return f"Statement({self.text!r})"


class Statements:
    """Base of groups of statements on some tables.

    Args:
        schema: The tables.
        product: Whose SQL it is.
    """

    def __init__(self, schema: Schema, product: Product) -> None:
        self._schema = schema
        self._product: Product = product
        self._counted: dict[tuple[str, int], Statement] = {}

    def _compile(self, clause: ClauseElement) -> Statement:
        return Statement(clause, self._product)

    def _insert(self, table: Table) -> Any:
        """Begin an INSERT that may say what to do on a conflict: each product has its own."""
        insert = sqlite.insert if self._product == "sqlite" else postgresql.insert
        return insert(table)

    def _is_in(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """Whether a column is among the values of one parameter, a list of any length."""
        values: ColumnElement[Any] = bindparam(name, type_=ListOf(column.type))
        if self._product == "sqlite":
            found = func.json_each(values).table_valued("value")
            return column.in_(select(found.c.value))
        return column == any_(values)

    def _for(self, name: str, count: int, build: Callable[[int], ClauseElement]) -> Statement:
        """Return the statement for so many rows, compiled once."""
        found = self._counted.get((name, count))
        if found is None:
            found = self._counted[name, count] = self._compile(build(count))
        return found


def numbered(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values of many rows under the names that ``row_parameters`` gives them."""
    return {
        f"{name}_{index}": value for index, row in enumerate(values) for name, value in row.items()
    }


def row_parameters(table: Table, columns: Iterable[str], index: int) -> dict[str, Any]:
    """Return parameters for one of many rows of a table."""
    return {name: bindparam(f"{name}_{index}", type_=table.c[name].type) for name in columns}


def _converters(
    types: Iterable[Any], of: Callable[[Converting], Callable[[Any], Any] | None]
) -> tuple[Converter, ...]:
    found: list[Converter] = []
    for index, each in enumerate(types):
        convert = of(each) if isinstance(each, Converting) else None
        if convert is not None:
            found.append((index, convert))
    return tuple(found)
