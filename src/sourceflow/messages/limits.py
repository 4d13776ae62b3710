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

from sourceflow.messages.hints import UNRESOLVED, field_hints, field_names

__all__ = ("LEAVES", "Check", "LimitError", "Limits", "check_text", "is_short_decimal", "limits_of")

MAX_DECIMAL_DIGITS: Final = 38
"""Digits that the decimal types of the common databases keep."""

MAX_DECIMAL_EXPONENT: Final = 64
"""Where a short text would otherwise unfold into a huge number."""

_LEAST_ADJUSTED: Final = MAX_DECIMAL_DIGITS - 1 - MAX_DECIMAL_EXPONENT
"""The exponent of the first digit from which on the last of 38 is within the limit."""

_FORBIDDEN: Final = re.compile("[\ufffe\uffff\ud800-\udfff]")
_PLAIN: Final = frozenset({NoneType, bool, int, bytes, UUID, date, time, timedelta})

Check = Callable[[Any], None]


class LimitError(ValueError):
    """A value is outside of the limits; the text names the place, never the value.

    Attributes:
        field: The field that holds it; None of a value by itself.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        self.field = field
        super().__init__(message)


def check_text(value: str) -> None:
    """Refuse what SQS does not take: U+FFFE, U+FFFF and lone surrogates (API reference, SendMessage).

    Raises:
        LimitError: It holds one.
    """
    if not value.isascii() and _FORBIDDEN.search(value):
        raise LimitError("holds a character that is no text (U+FFFE, U+FFFF or a surrogate)")


def _check_float(value: Any) -> None:
    if isinstance(value, Decimal):  # it would be written as a text, and not be read again
        raise LimitError("is a Decimal where a float belongs")
    if not math.isfinite(value):
        raise LimitError("is not a finite number")


def is_short_decimal(value: Any) -> bool:
    """Whether a value is a decimal plainly within the limits; most need not be taken apart."""
    return (
        type(value) is Decimal
        and value.is_finite()
        and _LEAST_ADJUSTED <= value.adjusted() <= MAX_DECIMAL_EXPONENT
        and len(str(value)) <= MAX_DECIMAL_DIGITS  # the text shows every digit
    )


def _check_decimal(value: Decimal) -> None:
    if is_short_decimal(value):
        return
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
    offset = value.utcoffset()
    if offset is None:
        raise LimitError("is a datetime without a time zone")
    if offset.seconds % 60 or offset.microseconds:  # it would be rounded (RFC 3339, section 5.6)
        raise LimitError("is a datetime whose offset from UTC is not in whole minutes")


LEAVES: Final[dict[type[Any], Check]] = {
    str: check_text,
    float: _check_float,
    Decimal: _check_decimal,
    datetime: _check_datetime,
}


def _check_any(value: Any) -> None:
    """Check a value by what it is, all the way down."""
    cls = type(value)
    if cls in _PLAIN:  # a body may hold half a million of them
        return
    if (check := LEAVES.get(cls)) is not None:
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
    else:
        for leaf, check in LEAVES.items():
            if isinstance(value, leaf):
                check(value)


def _check_each(check: Check) -> Check:
    def check_each(values: Any) -> None:
        for value in values:
            check(value)

    return check_each


def _check_items(check_key: Check | None, check_value: Check | None) -> Check:
    def check_items(values: Mapping[Any, Any]) -> None:
        for key, value in values.items():
            if check_key is not None:
                check_key(key)
            if check_value is not None:
                check_value(value)

    return check_items


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
            try:
                check(getattr(value, name))
            except LimitError as error:
                field = name if error.field is None else f"{name}.{error.field}"
                raise LimitError(f"{name} {error}", field=field) from None


def _check_of(hint: Any) -> Check | None:
    """Return the check of a type, or None where it can hold nothing forbidden."""
    if isinstance(hint, type) and hint in LEAVES:
        return LEAVES[hint]
    if isinstance(hint, type) and (hint in _PLAIN or issubclass(hint, Enum)):
        return None
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is typing.Annotated:
        return _check_of(arguments[0])
    if origin is typing.Literal:
        return None
    if origin in {typing.Union, UnionType}:
        return _check_of_alternatives(arguments)
    if origin in {list, set, frozenset} or (origin is tuple and arguments[1:] == (Ellipsis,)):
        check = _check_of(arguments[0])
        return None if check is None else _check_each(check)
    if origin is dict:
        checks = [_check_of(each) for each in arguments]
        return _check_items(*checks) if any(checks) else None
    return _check_any


def _check_of_alternatives(alternatives: tuple[Any, ...]) -> Check | None:
    checks = [_check_of(each) for each in alternatives if each is not NoneType]
    check = checks[0] if len(checks) == 1 else _check_any if any(checks) else None
    return check if check is None or NoneType not in alternatives else _check_unless_none(check)


def _check_unless_none(check: Check) -> Check:
    def check_unless_none(value: Any) -> None:
        if value is not None:
            check(value)

    return check_unless_none


_known: dict[type[Any], Limits] = {}


def limits_of(cls: type[Any]) -> Limits:
    """Return the limits of a struct or dataclass, worked out once."""
    found = _known.get(cls)
    if found is None:
        found = _known[cls] = Limits(_hints(cls))
    return found


def _hints(cls: type[Any]) -> Mapping[str, Any]:
    try:
        return field_hints(cls)
    except UNRESOLVED:  # a wiring fault is made of it: until then every field is looked at
        return dict.fromkeys(field_names(cls), Any)
