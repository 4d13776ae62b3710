"""The quick look at a message: most hold nothing but plain values, and nothing is wrong with them."""

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
from sourceflow.messages.key import is_key, is_only_key, key_problem
from sourceflow.messages.limits import LEAVES, LimitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sourceflow.messages.key import KeyType
    from sourceflow.messages.limits import Check

__all__ = ("is_plainly_right",)

_PLAIN: Final = frozenset(
    {NoneType, bool, int, float, str, bytes, Decimal, UUID, datetime, date, time, timedelta}
)


class _PlainFields:
    """The plain fields of one type, and the combinations of classes they were seen to hold."""

    __slots__ = ("_allowed", "_are_keys", "_seen", "_values")

    def __init__(
        self,
        names: tuple[str, ...],
        allowed: tuple[frozenset[type[Any]], ...],
        are_keys: tuple[bool, ...],
    ) -> None:
        self._allowed = allowed
        self._are_keys = are_keys
        self._values = attrgetter(*names) if len(names) > 1 else _single(names)
        self._seen: dict[tuple[type[Any], ...], tuple[tuple[int, Check], ...]] = {}

    def fit(self, value: Any) -> bool:
        values = self._values(value)
        classes = tuple(map(type, values))
        checks = self._seen.get(classes)
        if checks is None:
            if not all(map(_is_in, classes, self._allowed)):
                return False
            checks = self._seen[classes] = self._checks(
                classes
            )  # as many as there are alternatives
        try:
            for at, check in checks:
                check(values[at])
        except LimitError:
            return False
        return True

    def _checks(self, classes: tuple[type[Any], ...]) -> tuple[tuple[int, Check], ...]:
        limits = [(at, LEAVES[cls]) for at, cls in enumerate(classes) if cls in LEAVES]
        keys = [(at, _check_key) for at, is_key in enumerate(self._are_keys) if is_key]
        return (*limits, *keys)


def _check_key(key: KeyType) -> None:
    problem = key_problem(key)
    if problem is not None:
        raise LimitError(problem)


def _single(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda value: tuple(getattr(value, name) for name in names)


def _is_in(cls: type[Any], allowed: frozenset[type[Any]]) -> bool:
    return cls in allowed


_types: dict[type[Any], _PlainFields | None] = {}


def is_plainly_right(value: Any) -> bool:
    """Whether every field holds a value of exactly one of its plain types, within the limits.

    False means only that a closer look is needed: the type has other fields (lists, constraints,
    nested types), or something is wrong with a value.
    """
    cls = type(value)
    try:
        fields = _types[cls]
    except KeyError:
        fields = _types[cls] = _plain_fields(cls)
    return fields is not None and fields.fit(value)


def _plain_fields(cls: type[Any]) -> _PlainFields | None:
    try:
        hints = field_hints(cls)
    except UNRESOLVED:
        return None  # a wiring fault is made of it elsewhere
    allowed = [classes for classes in map(_plain_alternatives, hints.values()) if classes]
    if len(allowed) < len(hints):
        return None
    return _PlainFields(tuple(hints), tuple(allowed), tuple(map(is_key, hints.values())))


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
