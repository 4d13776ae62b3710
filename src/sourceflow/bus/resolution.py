"""Conditions made ready for stores: few kinds of them, over fields that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sourceflow.domain.conditions import (
    And,
    Comparison,
    Condition,
    IsIn,
    IsNone,
    Not,
    Or,
    StartsWith,
)
from sourceflow.messages import IndexKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sourceflow.messages import Index, StateInfo

__all__ = ("MAX_DEPTH", "MAX_VALUES", "resolve")

MAX_VALUES: Final = 500
"""Values and comparisons of one query: SQLite takes a thousand levels of expressions at most
(https://www.sqlite.org/limits.html, maximum depth of an expression tree)."""

MAX_DEPTH: Final = 20
"""Levels of conditions inside of conditions."""

_LAST: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


def resolve(info: StateInfo, condition: Condition | None) -> Condition | None:
    """Return a condition that a store can answer as it stands.

    It consists of ``And``, ``Or``, ``Comparison``, ``IsIn`` and ``IsNone``, and of ``Not`` around
    one of the last three: what is not smaller may be None, and only the innermost conditions can
    say so in SQL. Values are what ``Index.comparable`` makes of them.

    Raises:
        TypeError: A value cannot be compared with its field.
        ValueError: A field may not be compared, a value is outside of the limits, or there are
            too many of them.
    """
    if condition is None:
        return None
    _check_size(condition)
    return _resolve(info, condition, negated=False)


def _check_size(condition: Condition) -> None:
    values = 0
    for depth, part in _walk(condition):
        values += len(part.values) if isinstance(part, IsIn) else 1
        if values > MAX_VALUES:
            raise ValueError(f"a query takes at most {MAX_VALUES} values: ask in several pieces")
        if depth > MAX_DEPTH:
            raise ValueError(f"conditions stand in at most {MAX_DEPTH} others")


def _walk(condition: Condition) -> Iterator[tuple[int, Condition]]:
    """Return a condition and those in it, each with its depth."""
    left = [(0, condition)]
    while left:
        depth, part = left.pop()
        yield depth, part
        if isinstance(part, (And, Or)):
            left += [(depth + 1, each) for each in part.parts]
        elif isinstance(part, Not):
            left.append((depth + 1, part.part))


def _resolve(info: StateInfo, condition: Condition, *, negated: bool) -> Condition:
    match condition:
        case Not(part):
            return _resolve(info, part, negated=not negated)
        case And(parts) | Or(parts):
            joined = And if isinstance(condition, And) is not negated else Or
            return joined(tuple(_resolve(info, part, negated=negated) for part in parts))
        case StartsWith(field, prefix):
            joined = Or if negated else And
            return joined(tuple(_only(part, negated) for part in _beginning(info, field, prefix)))
        case Comparison(field, "!=", value):
            return _resolve(info, Comparison(field, "==", value), negated=not negated)
        case Comparison(field, operator, value):
            index = info.index(field)
            return _only(Comparison(field, operator, _asked(info, index, value)), negated)
        case IsIn(field, values):
            index = info.index(field)
            return _only(IsIn(field, tuple(_asked(info, index, each) for each in values)), negated)
        case IsNone(field):
            return _only(IsNone(info.index(field).name), negated)
    raise TypeError(f"{type(condition).__name__} is no condition of this library")


def _only(condition: Condition, negated: bool) -> Condition:
    return Not(condition) if negated else condition


def _beginning(info: StateInfo, field: str, prefix: object) -> Iterator[Condition]:
    """Return what texts with a beginning have in common: they are a range of all texts."""
    index = info.index(field)
    if index.kind is not IndexKind.TEXT:
        raise TypeError(f"{info.type.__name__}.{field} is no text: startswith asks for one")
    first = _asked(info, index, prefix)
    yield Comparison(field, ">=", first)
    end = _end(first)
    if end is not None:
        yield Comparison(field, "<", end)


def _end(prefix: str) -> str | None:
    """Return the first text behind all that begin like this; None where there is none."""
    kept = prefix.rstrip(chr(_LAST))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


def _asked(info: StateInfo, index: Index, value: object) -> Any:
    try:
        return index.asked(value)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{info.type.__name__}.{index.name} {error}") from None
