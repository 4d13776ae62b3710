"""Queries answered by looking at rows one by one."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sourceflow.domain.conditions import And, Comparison, IsIn, IsNone, Not, Or

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sourceflow.bus.query import Query
    from sourceflow.domain.conditions import Condition

__all__ = ("answer",)

RowT = TypeVar("RowT")

_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def answer(query: Query[RowT], rows: Iterable[RowT]) -> list[RowT]:
    """Return what a query asks for, out of all rows of its view model."""
    compared = query.info.compared
    order, key, where, after = query.order, query.key, query.where, query.after

    def value_of(row: RowT, field: str) -> Any:
        return compared[field].comparable(getattr(row, field))

    def place_of(row: RowT) -> Any:
        return _sortable(value_of(row, order.name)), value_of(row, key.name)

    found = [row for row in rows if where is None or _is_true(where, row, value_of)]
    if after is not None:
        is_behind = operator.lt if query.descending else operator.gt
        last = _sortable(after.value), after.key
        found = [row for row in found if is_behind(place_of(row), last)]
    found.sort(key=place_of, reverse=query.descending)
    return found[: query.limit]


def _is_true(condition: Condition, row: Any, value_of: Callable[[Any, str], Any]) -> bool:
    match condition:
        case And(parts):
            return all(_is_true(part, row, value_of) for part in parts)
        case Or(parts):
            return any(_is_true(part, row, value_of) for part in parts)
        case Not(part):
            return not _is_true(part, row, value_of)
        case IsNone(field):
            return value_of(row, field) is None
        case IsIn(field, values):
            return value_of(row, field) in values
    assert isinstance(condition, Comparison)  # nothing else is left once it is resolved
    value = value_of(row, condition.field)
    return value is not None and _COMPARE[condition.operator](value, condition.value)


def _sortable(value: Any) -> tuple[bool, Any]:
    """Sort None before everything else."""
    return (False, 0) if value is None else (True, value)
