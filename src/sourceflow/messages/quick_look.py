"""The quick look at a message: most hold nothing but plain values, and nothing is wrong with them."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final
from uuid import UUID

from sourceflow.messages.hints import UNRESOLVED, field_hints
from sourceflow.messages.key import FEW_CHARACTERS, is_only_key, key_problem
from sourceflow.messages.limits import LEAVES, LimitError, check_text, is_short_decimal
from sourceflow.messages.sensitive import mark_of

__all__ = ("is_plainly_right",)

Look = Callable[[Any], bool]
"""Whether a value is of the right class and within the limits."""


def _is_text(value: Any) -> bool:
    return type(value) is str and (value.isascii() or _is_within(check_text, value))


def _is_within(check: Callable[[Any], None], value: Any) -> bool:
    try:
        check(value)
    except LimitError:
        return False
    return True


def _is_key_text(value: Any) -> bool:
    return _is_text(value) and 0 < len(value) <= FEW_CHARACTERS


def _is_key_number(value: Any) -> bool:
    return type(value) is int and key_problem(value) is None


def _of(cls: type[Any]) -> Look:
    check = LEAVES.get(cls)
    if check is None:
        return lambda value: type(value) is cls
    return lambda value: type(value) is cls and _is_within(check, value)


_PLAIN: Final[dict[type[Any], Look]] = {
    **{
        cls: _of(cls)
        for cls in (NoneType, bool, int, float, bytes, UUID, datetime, date, time, timedelta)
    },
    str: _is_text,
    Decimal: is_short_decimal,
}
_KEYS: Final[dict[type[Any], Look]] = {
    str: _is_key_text,
    int: _is_key_number,
    UUID: _PLAIN[UUID],
}

_INLINE: Final[dict[Look, str]] = {
    _is_text: "type(v := value.{field}) is str and (v.isascii() or {look}(v))",
    _is_key_text: (
        "type(v := value.{field}) is str and 0 < len(v) <= "
        f"{FEW_CHARACTERS} and "
        "(v.isascii() or {look}(v))"
    ),
}
"""Looks that are written out where they are used: most fields are texts, and a call costs more."""

_looks: dict[type[Any], Look] = {}


def is_plainly_right(value: Any) -> bool:
    """Whether every field holds a value of exactly one of its plain types, within the limits.

    False means only that a closer look is needed: the type has other fields (lists, constraints,
    nested types), or something may be wrong with a value.
    """
    cls = type(value)
    try:
        look = _looks[cls]
    except KeyError:
        look = _looks[cls] = _look_at(cls)
    return look(value)


def _look_at(cls: type[Any]) -> Look:
    """Return one function that looks at all fields of a type: every message passes it, twice or more."""
    try:
        hints = field_hints(cls)
    except UNRESOLVED:
        return _needs_a_closer_look  # a wiring fault is made of it elsewhere
    looks = {field: look for field, hint in hints.items() if (look := _look_of(hint))}
    if len(looks) < len(hints):
        return _needs_a_closer_look
    return _join(looks)


def _needs_a_closer_look(_value: Any) -> bool:
    return False


def _join(looks: Mapping[str, Look]) -> Look:
    names = {f"look_{at}": look for at, look in enumerate(looks.values())}
    terms = [
        _INLINE.get(look, "{look}(value.{field})").format(field=field, look=name)
        for (field, look), name in zip(looks.items(), names, strict=True)
    ]
    source = f"lambda value: {' and '.join(terms) or True}"
    joined: Look = eval(source, names)  # nosec B307 # noqa: S307 - of names that are fields, and nothing else
    return joined


def _look_of(hint: Any) -> Look | None:
    """Return the look at a field, or None where its hint says more than a plain type."""
    if is_only_key(hint):
        return _KEYS.get(typing.get_args(hint)[0])
    if typing.get_origin(hint) is typing.Annotated:
        says_more = any(mark_of((each,)) is None for each in hint.__metadata__)
        return None if says_more else _look_of(typing.get_args(hint)[0])
    if typing.get_origin(hint) in {typing.Union, UnionType}:
        return _look_of_alternatives(typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _of(hint)
    return _PLAIN.get(hint) if isinstance(hint, type) else None


def _look_of_alternatives(alternatives: tuple[Any, ...]) -> Look | None:
    looks = {each: look for each in alternatives if (look := _look_of(each))}
    if len(looks) < len(alternatives):
        return None

    def is_right(value: Any) -> bool:
        look = looks.get(type(value))
        return look is not None and look(value)

    return is_right
