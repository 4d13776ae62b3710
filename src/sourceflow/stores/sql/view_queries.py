"""Queries as SQL: one SELECT a page, compiled once for each shape, that walks along an index."""

from __future__ import annotations

import operator
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from sqlalchemy import (
    BigInteger,
    and_,
    bindparam,
    exists,
    false,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
    union_all,
)

from sourceflow.domain.conditions import And, Comparison, IsIn, IsNone, Not, Or
from sourceflow.stores.sql.database import Statement, Statements
from sourceflow.stores.sql.view_statements import generation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy.sql import ColumnElement

    from sourceflow.bus.query import Query
    from sourceflow.domain.conditions import Condition
    from sourceflow.stores.sql.schema import Schema
    from sourceflow.stores.sql.url import Product
    from sourceflow.stores.sql.view_table import ViewTable

__all__ = ("FOUND", "ViewQueries")

SHAPES: Final = 500
"""Shapes of queries whose statements are kept."""

_MOST: Final = 2**63 - 1
"""What LIMIT takes at most."""

_COMPARE: Final[Mapping[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

RowT = TypeVar("RowT")

FOUND: Final = ("document", "key")
"""The columns of a row that is found."""


class _Shape(NamedTuple):
    """All of a query but its values: one statement answers every query of a shape.

    Attributes:
        where: The condition as nested tuples, without values.
        order: The field that is sorted by.
        descending: Whether the last row comes first.
        limited: Whether there is a limit.
        after: Whether it goes on behind a ``"value"`` or behind ``"none"``; None from the start.
    """

    where: Any
    order: str
    descending: bool
    limited: bool
    after: str | None


class ViewQueries(Statements):
    """Turns queries on one view model's table into statements and their values.

    A page is a range of an index on (generation, field, key), or two: SQL finds nothing smaller or
    greater than NULL, so rows without a value are a range of their own, before all others.

    Invariant: while a row is stale in a field that the query compares, there are no rows at all;
    who gets none asks whether that was so.
    """

    def __init__(self, schema: Schema, product: Product, view: ViewTable) -> None:
        super().__init__(schema, product)
        self._view = view
        self._known: dict[_Shape, Statement] = {}

    def statement(self, query: Query[RowT]) -> tuple[Statement, dict[str, Any]]:
        """Return what answers a query with documents."""
        given: list[Any] = []
        where = None if query.where is None else _shape(query.where, given)
        values = {f"value_{index}": value for index, value in enumerate(given)}
        values["view"] = self._view.info.name
        if query.limit is not None:
            values["limit"] = min(query.limit, _MOST)
        after = None
        if query.after is not None:
            after = "none" if query.after.value is None else "value"
            values |= {"after_value": query.after.value, "after_key": query.after.key}
        shape = _Shape(where, query.order.name, query.descending, query.limit is not None, after)
        return self._of(shape), values

    def _of(self, shape: _Shape) -> Statement:
        found = self._known.get(shape)
        if found is None:
            if len(self._known) >= SHAPES:
                self._known.clear()
            found = self._known[shape] = self._compile(self._build(shape))
        return found

    def _build(self, shape: _Shape) -> Any:
        parts = [self._part(shape, condition) for condition in self._ranges(shape)]
        if len(parts) == 1:
            return parts[0].with_only_columns(self._view.table.c.document, self._view.table.c.key)
        # Each part is as long as the page at most, so that little is sorted again.
        numbered = [
            part.add_columns(literal_column(str(number)).label("part"))
            for number, part in enumerate(parts)
        ]
        joined = union_all(*(select(part.subquery()) for part in numbered)).subquery()
        document, value, key, part = joined.columns
        columns: list[ColumnElement[Any]] = [part, *self._sorted(value, key, shape)]
        return _limited(select(document, key).order_by(*columns), shape)

    def _part(self, shape: _Shape, condition: ColumnElement[bool] | None) -> Any:
        table = self._view.table
        value, key = self._view.columns[shape.order], table.c.key
        conditions = [table.c.generation == generation_of(self._schema), *self._fresh(shape)]
        if condition is not None:
            conditions.append(condition)
        if shape.where is not None:
            conditions.append(self._clause(shape.where, count()))
        statement = select(table.c.document, value.label("value"), key).where(*conditions)
        return _limited(statement.order_by(*self._sorted(value, key, shape)), shape)

    def _fresh(self, shape: _Shape) -> Iterator[ColumnElement[bool]]:
        """Return the conditions that no row is stale in a field that is compared."""
        for field in dict.fromkeys((shape.order, *_fields(shape.where))):
            if field in self._view.indexed:
                stale = self._view.is_stale(self._view.indexed[field])
                yield not_(exists().where(stale))

    def _ranges(self, shape: _Shape) -> Iterator[ColumnElement[bool] | None]:
        """Return which rows are left, range by range in the order in which they come."""
        value, key = self._view.columns[shape.order], self._view.table.c.key
        optional = self._view.info.compared[shape.order].optional
        beyond = operator.lt if shape.descending else operator.gt
        last_value = bindparam("after_value", type_=value.type)
        last_key = bindparam("after_key", type_=key.type)
        if shape.after is None:
            yield None
        elif value is key:
            yield beyond(key, last_key)
        elif shape.after == "none":
            yield and_(value.is_(None), beyond(key, last_key))
            if not shape.descending:
                yield self._is_some(value)
        else:
            yield beyond(tuple_(value, key), tuple_(last_value, last_key))
            if optional and shape.descending:
                yield value.is_(None)

    def _is_some(self, value: Any) -> ColumnElement[bool]:
        """Return the condition that a field is not None, in a way that an index answers."""
        least: ColumnElement[Any] = literal_column(value.type.least)
        some: ColumnElement[bool] = (
            value >= least if self._product == "sqlite" else value.is_not(None)
        )
        return some

    def _sorted(self, value: Any, key: Any, shape: _Shape) -> list[ColumnElement[Any]]:
        """Return what rows are sorted by; None comes first on both databases alike."""
        places = [key] if shape.order == self._view.info.key_field else [value, key]
        if shape.descending:
            ordered = [each.desc() for each in places]
            return ordered if len(places) == 1 else [ordered[0].nulls_last(), ordered[1]]
        ordered = [each.asc() for each in places]
        return ordered if len(places) == 1 else [ordered[0].nulls_first(), ordered[1]]

    def _clause(self, shape: Any, numbers: Iterator[int]) -> ColumnElement[bool]:
        kind, *rest = shape
        if kind in {"and", "or"}:
            join = and_ if kind == "and" else or_
            return join(*(self._clause(each, numbers) for each in rest))
        if kind == "not":
            return self._unless(rest[0], numbers)
        column = self._view.columns[rest[0]]
        if kind == "none":
            return column.is_(None)
        if kind == "in":
            values = [_value(column, numbers) for _ in range(rest[1])]
            return column.in_(values) if values else false()
        return _COMPARE[kind](column, _value(column, numbers))

    def _unless(self, shape: Any, numbers: Iterator[int]) -> ColumnElement[bool]:
        """Return the contrary of a condition on a field: NULL is unequal to every value."""
        kind, field, *_ = shape
        clause = not_(self._clause(shape, numbers))
        if kind == "none" or not self._view.info.compared[field].optional:
            return clause
        return or_(clause, self._view.columns[field].is_(None))


def _value(column: Any, numbers: Iterator[int]) -> Any:
    return bindparam(f"value_{next(numbers)}", type_=column.type)


def _limited(statement: Any, shape: _Shape) -> Any:
    if not shape.limited:
        return statement
    return statement.limit(bindparam("limit", type_=BigInteger))


def _shape(condition: Condition, values: list[Any]) -> tuple[Any, ...]:
    """Return a condition without its values, which are put into a list in the order they come."""
    match condition:
        case And(parts):
            return ("and", *(_shape(part, values) for part in parts))
        case Or(parts):
            return ("or", *(_shape(part, values) for part in parts))
        case Not(part):
            return ("not", _shape(part, values))
        case IsNone(field):
            return ("none", field)
        case IsIn(field, wanted):
            # Lists of similar lengths share a statement: the last value is there several times.
            length = 1 << (len(wanted) - 1).bit_length() if wanted else 0
            values += [*wanted, *wanted[-1:] * (length - len(wanted))]
            return ("in", field, length)
    assert isinstance(condition, Comparison)  # nothing else is left once it is resolved
    values.append(condition.value)
    return (condition.operator, condition.field)


def _fields(shape: Any) -> Iterator[str]:
    """Return the fields that a condition compares."""
    if shape is None:
        return
    kind, *rest = shape
    if kind in {"and", "or", "not"}:
        for each in rest:
            yield from _fields(each)
    else:
        yield rest[0]
