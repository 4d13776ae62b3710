"""Column types of the fields that view models are queried by."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Date, DateTime, Double, Integer, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import TEXT
from sqlalchemy.types import TypeDecorator, TypeEngine

from sourceflow.messages import IndexKind
from sourceflow.stores.sql.types import escaped, micros_of, unescaped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from sqlalchemy.engine import Dialect

__all__ = ("Sortable", "number_text")


class Sortable(TypeDecorator[Any]):
    """What a kind of values is kept as where a database compares and sorts it.

    Invariant: the database finds two of them equal, or one smaller, where Python does. Only keys
    are read again.
    """

    impl = Text
    cache_ok = True

    def __init__(self, kind: IndexKind) -> None:
        super().__init__()
        self.kind = kind

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of one product."""
        return _FORMS[dialect.name][self.kind].type

    def writer(self, product: str) -> Callable[[Any], Any] | None:
        """See ``Converting``."""
        return _FORMS[product][self.kind].writer

    def reader(self, product: str) -> Callable[[Any], Any] | None:
        """See ``Converting``."""
        return _FORMS[product][self.kind].reader

    @property
    def least(self) -> str:
        """What is not greater than any value, as SQLite says it: all texts are, or all numbers."""
        is_text = isinstance(_SQLITE[self.kind].type, Text)
        return "''" if is_text else "-9e999"


class _Form(NamedTuple):
    type: TypeEngine[Any]
    writer: Callable[[Any], Any] | None = None
    reader: Callable[[Any], Any] | None = None


def number_text(value: Decimal | int | None) -> str | None:
    """Return a number as a text that sorts as the number does; equal ones have one text.

    Zero is ``1``. Others are their sign (``2``, or ``0`` below zero), the place of their first
    digit, and their digits without zeros at the end: 99 is ``21001`` + ``99``, 100 is ``21002`` +
    ``1``. Below zero each digit is what is missing to nine, so that what is farther from zero
    comes first, and ``~`` stands behind the last: the shorter one is then the greater.
    """
    if value is None:
        return None
    if not value:
        return "1"
    number = value if type(value) is Decimal else Decimal(value)
    # A decimal's text has every digit, which arithmetic on decimals would not keep.
    significant = str(number).partition("E")[0].replace(".", "").strip("-0")
    exponent = f"{number.adjusted() + _MIDDLE:04d}"
    if value > 0:
        return f"2{exponent}{significant}"
    return f"0{(exponent + significant).translate(_NINES)}~"


_MIDDLE: Final = 1_000
"""Added to exponents, which are then four digits: those of decimals are smaller by far, and whole
numbers of an index have at most a thousand digits."""

_NINES: Final = str.maketrans("0123456789", "9876543210")


def _decimal(value: int | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _iso(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


def _hyphenated(value: UUID | None) -> str | None:
    return None if value is None else str(value)


_SQLITE: Final[Mapping[IndexKind, _Form]] = {
    IndexKind.TEXT: _Form(Text(), escaped, unescaped),
    IndexKind.INTEGER: _Form(BigInteger()),
    IndexKind.BIG_INTEGER: _Form(Text(), number_text),
    IndexKind.FLOAT: _Form(Double()),
    IndexKind.DECIMAL: _Form(Text(), number_text),
    IndexKind.BOOLEAN: _Form(Integer()),
    IndexKind.DATETIME: _Form(BigInteger(), micros_of),
    IndexKind.DATE: _Form(Text(), _iso),
    IndexKind.UUID: _Form(Text(), _hyphenated, UUID),
}
"""SQLite has no decimals, times or UUIDs (https://www.sqlite.org/datatype3.html)."""

_POSTGRESQL: Final[Mapping[IndexKind, _Form]] = {
    IndexKind.TEXT: _Form(TEXT(collation="C"), escaped, unescaped),
    IndexKind.INTEGER: _Form(BigInteger()),
    IndexKind.BIG_INTEGER: _Form(Numeric(), _decimal),
    IndexKind.FLOAT: _Form(Double()),
    IndexKind.DECIMAL: _Form(Numeric()),
    IndexKind.BOOLEAN: _Form(Boolean()),
    IndexKind.DATETIME: _Form(DateTime(timezone=True)),
    IndexKind.DATE: _Form(Date()),
    IndexKind.UUID: _Form(Uuid()),
}

_FORMS: Final[Mapping[str, Mapping[IndexKind, _Form]]] = {
    "sqlite": _SQLITE,
    "postgresql": _POSTGRESQL,
}
