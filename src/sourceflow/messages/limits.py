"""What no message may hold, refused at construction, at send and at receipt alike."""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final
from uuid import UUID

import msgspec

__all__ = ("LimitError", "Limits", "check_text", "limits_of")

MAX_DECIMAL_DIGITS: Final = 38
"""Digits that the decimal types of the common databases keep."""

MAX_DECIMAL_EXPONENT: Final = 64
"""Where a short text would otherwise unfold into a huge number."""

_FORBIDDEN: Final = re.compile("[\ufffe\uffff\ud800-\udfff]")
_PLAIN: Final = (NoneType, bool, int, bytes, UUID, date, time, timedelta)

Check = Callable[[Any], None]


class LimitError(ValueError):
    """A value is outside of the limits; the text names the place, never the value."""


def check_text(value: str) -> None:
    """Refuse what SQS does not take: U+FFFE, U+FFFF and lone surrogates (API reference, SendMessage).

    Raises:
        LimitError: It holds one.
    """
    if not value.isascii() and _FORBIDDEN.search(value):
        raise LimitError("holds a character that is no text (U+FFFE, U+FFFF or a surrogate)")


def _check_float(value: float) -> None:
    if not math.isfinite(value):
        raise LimitError("is not a finite number")


def _check_decimal(value: Decimal) -> None:
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise LimitError("is not a finite number")
    if (
        len(digits) > MAX_DECIMAL_DIGITS
        or not -MAX_DECIMAL_EXPONENT <= exponent <= MAX_DECIMAL_EXPONENT
    ):
        raise LimitError(
            f"has more than {MAX_DECIMAL_DIGITS} digits or an exponent beyond "
            f"{MAX_DECIMAL_EXPONENT}"
        )


def _check_datetime(value: datetime) -> None:
    if value.tzinfo is None:
        raise LimitError("is a datetime without a time zone")


def _check_any(value: Any) -> None:
    """Check a value by what it is, all the way down."""
    check = _LEAVES.get(type(value))
    if check is not None:
        check(value)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            _check_any(key)
            _check_any(each)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            _check_any(each)
    elif isinstance(value, msgspec.Struct) or dataclasses.is_dataclass(value):
        limits_of(type(value)).check(value)


_LEAVES: Final[dict[type[Any], Check]] = {
    str: check_text,
    float: _check_float,
    Decimal: _check_decimal,
    datetime: _check_datetime,
}


class Limits:
    """The checks of one type: only fields whose type can hold something forbidden are looked at."""

    __slots__ = ("_checks",)

    def __init__(self, hints: Mapping[str, Any]) -> None:
        checks = ((name, _check_of(hint)) for name, hint in hints.items())
        self._checks = tuple((name, check) for name, check in checks if check is not None)

    def check(self, value: Any) -> None:
        """Check a message or state.

        Raises:
            LimitError: A field is outside of the limits; names the field.
        """
        for name, check in self._checks:
            field = getattr(value, name)
            if field is None:
                continue
            try:
                check(field)
            except LimitError as error:
                raise LimitError(f"{name} {error}") from None


def _check_of(hint: Any) -> Check | None:
    if hint in _PLAIN or (isinstance(hint, type) and issubclass(hint, Enum)):
        return None
    if hint in _LEAVES:
        return _LEAVES[hint]
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is typing.Annotated:
        return _check_of(arguments[0])
    if origin is typing.Literal:
        return None
    if origin in {typing.Union, UnionType}:
        parts = [_check_of(each) for each in arguments if each is not NoneType]
        return None if not any(parts) else parts[0] if len(parts) == 1 else _check_any
    if origin in {list, tuple, set, frozenset, dict}:
        parts = [_check_of(each) for each in arguments if each is not Ellipsis]
        return _check_any if any(parts) else None
    return _check_any


_known: dict[type[Any], Limits] = {}


def limits_of(cls: type[Any]) -> Limits:
    """Return the limits of a struct or dataclass, worked out once."""
    found = _known.get(cls)
    if found is None:
        found = _known[cls] = Limits(_hints(cls))
    return found


def _hints(cls: type[Any]) -> Mapping[str, Any]:
    try:
        return msgspec_hints(cls)
    except NameError:  # a wiring fault is made of it: until then every field is looked at
        names = getattr(cls, "__struct_fields__", None) or [f.name for f in dataclasses.fields(cls)]
        return dict.fromkeys(names, Any)


def msgspec_hints(cls: type[Any]) -> dict[str, Any]:
    """Return the resolved hints of a class's fields, without class variables."""
    hints = typing.get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    return {
        name: hint for name, hint in hints.items() if typing.get_origin(hint) is not typing.ClassVar
    }
