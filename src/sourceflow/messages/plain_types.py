"""The quick look at a message's types: most messages hold nothing but plain values."""

from __future__ import annotations

import typing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sourceflow.messages.hints import UNRESOLVED, field_hints
from sourceflow.messages.key import is_only_key

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("has_plain_types",)

_PLAIN: Final = frozenset(
    {NoneType, bool, int, float, str, bytes, Decimal, UUID, datetime, date, time, timedelta}
)


class _PlainTypes:
    """The plain fields of one type, and the combinations of classes they were seen to hold."""

    __slots__ = ("_allowed", "_seen", "_values")

    def __init__(self, fields: tuple[tuple[str, frozenset[type[Any]]], ...]) -> None:
        names = [name for name, _ in fields]
        self._allowed = tuple(allowed for _, allowed in fields)
        self._values = attrgetter(*names) if len(names) > 1 else _single(names)
        self._seen: set[tuple[type[Any], ...]] = set()

    def fit(self, value: Any) -> bool:
        classes = tuple(map(type, self._values(value)))
        if classes in self._seen:
            return True
        if not all(map(_is_in, classes, self._allowed)):
            return False
        self._seen.add(classes)  # bounded: alternatives of each field, multiplied
        return True


def _single(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda value: tuple(getattr(value, name) for name in names)


def _is_in(cls: type[Any], allowed: frozenset[type[Any]]) -> bool:
    return cls in allowed


_types: dict[type[Any], _PlainTypes | None] = {}


def has_plain_types(value: Any) -> bool:
    """Whether every field holds a value of exactly one of its plain types.

    False means only that a closer look is needed: the type has other fields (lists, constraints,
    nested types), or a value is of another class.
    """
    cls = type(value)
    try:
        types = _types[cls]
    except KeyError:
        fields = _plain_fields(cls)
        types = _types[cls] = None if fields is None else _PlainTypes(fields)
    return types is not None and types.fit(value)


def _plain_fields(cls: type[Any]) -> tuple[tuple[str, frozenset[type[Any]]], ...] | None:
    try:
        hints = field_hints(cls)
    except UNRESOLVED:
        return None  # a wiring fault is made of it elsewhere
    fields = [(name, _plain_alternatives(hint)) for name, hint in hints.items()]
    if any(allowed is None for _, allowed in fields):
        return None
    return tuple((name, allowed) for name, allowed in fields if allowed is not None)


def _plain_alternatives(hint: Any) -> frozenset[type[Any]] | None:
    """Return the classes that a hint allows, or None where it says more than that."""
    if is_only_key(hint):
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) in {typing.Union, UnionType}:
        parts = [_plain_alternatives(each) for each in typing.get_args(hint)]
        if any(part is None for part in parts):
            return None
        return frozenset().union(*(part for part in parts if part is not None))
    if isinstance(hint, type) and (hint in _PLAIN or issubclass(hint, Enum)):
        return frozenset({hint})
    return None
