"""Statements that users write themselves, made ready for the driver."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import JSON, Float, Insert, TextClause, TypeDecorator, bindparam, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql import Executable
from sqlalchemy.sql.selectable import TextualSelect

from sourceflow.errors import StatementError
from sourceflow.stores.sql.database.statement import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql import ClauseElement
    from sqlalchemy.types import TypeEngine

    from sourceflow.stores.sql.url import Product

__all__ = ("OwnStatements", "Ready")

KEPT: Final = 500
"""Statements that are kept compiled."""

_FORBIDDEN: Final = re.compile(
    r"(?:\s|;|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
    r"(ABORT|BEGIN|COMMIT|DISCARD|END|LISTEN|PREPARE|RELEASE|RESET|ROLLBACK|SAVEPOINT"
    r"|SET(?!\s+LOCAL\b)|START)\b",
    re.IGNORECASE | re.DOTALL,
)
"""What would begin or end the transaction, or stay with the connection after it."""

_NUMERIC: Final = 1700
_FLOAT8: Final = 701
"""What PostgreSQL calls its types of numbers (pg_type.oid): SQLAlchemy asks which of them came."""

_UNTYPED: Final = frozenset({type(None), bool, int, float, str, bytes})
"""What SQLite takes as it is."""


class Ready(NamedTuple):
    """A statement with its values.

    Attributes:
        text: The SQL.
        arguments: Its values, as the driver takes them.
        readers: What turns the values of each row back, by the place of their columns.
    """

    text: str
    arguments: Sequence[Any]
    readers: Sequence[tuple[int, Callable[[Any], Any]]]

    def rows(self, found: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """Return rows as they are for Python.

        Raises:
            StatementError: A value does not fit its column's type.
        """
        if not self.readers:
            return [tuple(row) for row in found]
        try:
            return [self._row(row) for row in found]
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise StatementError(
                f"a value that was read does not fit its column's type: {type(error).__name__}"
            ) from error

    def _row(self, row: Sequence[Any]) -> tuple[Any, ...]:
        values = list(row)
        for index, convert in self.readers:
            values[index] = convert(values[index])
        return tuple(values)


class OwnStatements:
    """Compiles users' statements, each once, with the types of SQLAlchemy.

    A Core statement is known by the object, a text by what it says.
    """

    def __init__(self, product: Product) -> None:
        self._product: Product = product
        self._kept: OrderedDict[tuple[Any, tuple[str, ...]], _Compiled] = OrderedDict()

    def ready(self, statement: Any, parameters: Mapping[str, Any]) -> Ready:
        """Return what the driver takes.

        Raises:
            StatementError: It is no statement, a value is missing or does not fit its type, or it
                would begin or end the transaction.
        """
        try:
            compiled = self._find(statement, parameters)
            return compiled.ready(parameters)
        except SQLAlchemyError as error:
            raise StatementError(f"the statement cannot be run: {error}") from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise StatementError(
                f"a value of the statement does not fit its type: {type(error).__name__}"
            ) from error

    def _find(self, statement: Any, parameters: Mapping[str, Any]) -> _Compiled:
        _check(statement, parameters)
        key = (statement, tuple(sorted(parameters)))
        found = self._kept.get(key)
        if found is None:
            clause = text(statement) if isinstance(statement, str) else statement
            found = self._kept[key] = _Compiled(clause, self._product, list(parameters))
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return found


def _check(statement: Any, parameters: Any) -> None:
    if isinstance(statement, ExecutableDDLElement) or not isinstance(statement, str | Executable):
        raise StatementError(
            "a statement is a text, or a select, insert, update or delete of SQLAlchemy Core, not "
            f"{type(statement).__name__}"
        )
    if isinstance(statement, TextualSelect) and not statement.positional:
        raise StatementError("name the columns of a text in their order: .columns(table.c.id, ...)")
    if not isinstance(parameters, Mapping):
        raise StatementError(
            f"parameters are names and their values, not {type(parameters).__name__}"
        )


class _Compiled:
    """One statement as SQLAlchemy has compiled it for given parameters."""

    __slots__ = ("_compiled", "_dialect", "_expands", "_names", "_plain", "_readers", "_writers")

    def __init__(self, clause: ClauseElement, product: Product, names: list[str]) -> None:
        self._dialect: Dialect = DIALECTS[product]
        compiled: Any = clause.compile(dialect=self._dialect, column_keys=names or None)
        if isinstance(clause, Insert) and compiled.implicit_returning:  # nobody has asked for it
            compiled = clause.inline().compile(dialect=self._dialect, column_keys=names or None)
        if _FORBIDDEN.match(str(compiled)):
            raise StatementError(
                "a handler's own SQL cannot begin or end transactions, nor change its connection "
                "for those that come after it"
            )
        if unknown := set(names).difference(compiled.binds):
            raise StatementError(f"the statement has no parameter {', '.join(sorted(unknown))}")
        self._compiled = compiled
        self._expands = bool(compiled.post_compile_params)
        self._writers = {
            name: convert
            for name, bind in compiled.binds.items()
            if (convert := self._writer(bind.type)) is not None
        }
        columns = [column[3] for column in compiled._result_columns]  # noqa: SLF001 - no other way to learn a result's types
        self._readers = [
            (index, convert)
            for index, each in enumerate(columns)
            if (convert := self._reader(each)) is not None
        ]
        # PostgreSQL knows what a text's parameters are for; SQLite stores what it is given.
        self._plain = product == "sqlite" and isinstance(clause, TextClause | TextualSelect)

    def ready(self, parameters: Mapping[str, Any]) -> Ready:
        """Return the statement with its values."""
        compiled = self._compiled
        values = compiled.construct_params({**self._defaults(), **parameters}, escape_names=False)
        sql, names, writers = str(compiled), compiled.positiontup, self._writers
        if self._expands:
            state = compiled.construct_expanded_state(values, escape_names=False)
            sql, names, values = state.statement, state.positiontup, state.parameters
            writers = self._expanded(state.parameter_expansion)
        arguments = [self._written(name, values[name], writers) for name in names]
        return Ready(sql, arguments, self._readers)

    def _defaults(self) -> dict[str, Any]:
        """Return what columns that are not mentioned become in Python."""
        compiled = self._compiled
        if compiled.isinsert:
            return {each.key: _default(each.default) for each in compiled.insert_prefetch}
        if compiled.isupdate:
            return {each.key: _default(each.onupdate) for each in compiled.update_prefetch}
        return {}

    def _expanded(self, expansion: Mapping[str, list[str]]) -> dict[str, Any]:
        """Return what writes values, those of lists included, whose parameters are many."""
        writers = self._writers
        many = {
            each: writers[name]
            for name, names in expansion.items()
            if name in writers
            for each in names
        }
        return {**writers, **many}

    def _written(self, name: str, value: Any, writers: Mapping[str, Any]) -> Any:
        writer = writers.get(name)
        if writer is None and self._plain and type(value) not in _UNTYPED:
            writer = self._writer(bindparam(name, value).type)
        return value if writer is None else writer(value)

    def _writer(self, type_: TypeEngine[Any]) -> Callable[[Any], Any] | None:
        dialect = self._dialect
        return type_.dialect_impl(dialect).bind_processor(dialect)

    def _reader(self, type_: TypeEngine[Any]) -> Callable[[Any], Any] | None:
        dialect = self._dialect
        impl = type_.dialect_impl(dialect)
        base = impl.impl_instance if isinstance(impl, TypeDecorator) else impl
        came = _FLOAT8 if isinstance(base, Float) else _NUMERIC
        convert = impl.result_processor(dialect, came)
        if dialect.name == "postgresql" and isinstance(base, JSON):
            return _after_loading(convert)
        return convert


def _default(default: Any) -> Any:
    """Return the value of a default in Python: one of the database stands in the SQL."""
    return default.arg(None) if default.is_callable else default.arg


def _after_loading(convert: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """Return what reads JSON: asyncpg gives the text, where SQLAlchemy expects the value."""

    def read(value: Any) -> Any:
        loaded = None if value is None else json.loads(value)
        return loaded if convert is None else convert(loaded)

    return read
