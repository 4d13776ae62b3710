"""Fields that view models are queried by: what they may hold, and how it is compared."""

from __future__ import annotations

import sys
import typing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, Flag
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from sourceflow.messages.key import is_key
from sourceflow.messages.limits import LEAVES, LimitError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("SORTABLE", "Index", "IndexKind", "index_of")

SORTABLE: Final = (
    "str, int, float, bool, Decimal, datetime, date, UUID, or an Enum of texts or of whole "
    "numbers, each also with | None"
)
"""The types that a field of ``indexes=`` may have."""

MAX_BYTES: Final = 1_200
"""Bytes that a text may take in an index, U+0000 and U+0001 two each; a key stands beside it.

An entry of an index of PostgreSQL takes 2,704 bytes at most: a third of a page (source:
src/include/access/nbtree.h, BTMaxItemSize).
"""

_FEW: Final = MAX_BYTES // 4
"""Characters that never take more bytes."""

_MAX_FLOAT: Final = int(sys.float_info.max)

_MAX_INTEGER: Final = 10**1_000
"""Whole numbers of more digits would not fit into an entry of an index either."""


class IndexKind(Enum):
    """What a database sorts a field as; the values are part of names in databases.

    Attributes:
        TEXT: A text, by its characters.
        INTEGER: A whole number of 64 bits.
        BIG_INTEGER: A whole number of any size.
        FLOAT: A number with a floating point.
        DECIMAL: An exact number.
        BOOLEAN: False before true.
        DATETIME: A moment.
        DATE: A day.
        UUID: A UUID, by its digits.
    """

    TEXT = "text"
    INTEGER = "integer"
    BIG_INTEGER = "biginteger"
    FLOAT = "float"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    DATE = "date"
    UUID = "uuid"

    __hash__ = object.__hash__  # it is looked up for each row that is written


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A field that may be compared and sorted by.

    Attributes:
        name: The field.
        kind: What it is sorted as; ``INTEGER`` only where its type says that 64 bits hold it.
        optional: Whether it may be None.
        enum: Whose members it holds; they are compared by their values.
    """

    name: str
    kind: IndexKind
    optional: bool = False
    enum: type[Enum] | None = None

    def comparable(self, value: Any) -> Any:
        """Return what stands for a row's value in comparisons, on each store alike; None for None.

        Times outside of the years 1 to 9999 in UTC count as the first or the last moment of them.
        """
        if value is None:
            return None
        if isinstance(value, Enum):
            value = value.value
        convert = _CONVERTED.get(self.kind)
        return value if convert is None else convert(value)

    def stored(self, value: Any) -> Any:
        """Return what a store writes into an index for a row's value; None for None.

        Raises:
            LimitError: No index of every store could take it.
        """
        if value is None:
            return None
        try:
            found = self.comparable(value)
        except OverflowError:
            raise LimitError("is a number that no float can hold") from None
        check = _STORED.get(self.kind)
        if check is not None:
            check(found)
        return found

    def asked(self, value: Any) -> Any:
        """Return what stands for a value that the field is to be compared with.

        Raises:
            TypeError: It is of a type that the field cannot hold.
            ValueError: It is outside of what any field may hold.
        """
        if isinstance(value, Enum) and self.enum is not None and not isinstance(value, self.enum):
            raise TypeError(f"is compared with {self.enum.__name__}, not {type(value).__name__}")
        plain = value.value if isinstance(value, Enum) else value
        accepted = _ACCEPTED[self.kind]
        if not isinstance(plain, accepted) or isinstance(plain, _REFUSED.get(self.kind, ())):
            names = " or ".join(each.__name__ for each in accepted)
            raise TypeError(f"is compared with {names}, not {type(value).__name__}")
        self._check(plain)
        return self.comparable(plain)

    def _check(self, value: Any) -> None:
        for leaf, check in LEAVES.items():
            if isinstance(value, leaf):
                check(value)
        if not isinstance(value, int):
            return
        _check_integer(value)
        if self.kind is IndexKind.INTEGER and not _is_short(value):
            raise LimitError("holds at most 64 bits, and is compared with more")
        if self.kind is IndexKind.DECIMAL:
            LEAVES[Decimal](Decimal(value))
        if self.kind is IndexKind.FLOAT and abs(value) > _MAX_FLOAT:
            raise LimitError("is compared with a number that no float can hold")


def _check_text(value: str) -> None:
    if len(value) <= _FEW:
        return
    if len(value.encode()) + value.count("\0") + value.count("\1") > MAX_BYTES:
        raise LimitError(f"takes more than the {MAX_BYTES:,} bytes of a text in an index")


def _check_integer(value: int) -> None:
    if abs(value) >= _MAX_INTEGER:
        raise LimitError("is a number of more than 1,000 digits")


_STORED: Final[dict[IndexKind, Callable[[Any], None]]] = {
    IndexKind.TEXT: _check_text,
    IndexKind.BIG_INTEGER: _check_integer,
}
"""What a row may hold and an index may not; all other kinds are short."""


_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return _LAST if value.year > 1 else _FIRST


_CONVERTED: Final[dict[IndexKind, Callable[[Any], Any]]] = {
    IndexKind.FLOAT: float,
    IndexKind.DECIMAL: Decimal,
    IndexKind.DATETIME: _in_utc,
}
"""A field takes an int for a float: what is compared is what a document would give back."""

_ACCEPTED: Final[dict[IndexKind, tuple[type[Any], ...]]] = {
    IndexKind.TEXT: (str,),
    IndexKind.INTEGER: (int,),
    IndexKind.BIG_INTEGER: (int,),
    IndexKind.FLOAT: (float, int),
    IndexKind.DECIMAL: (Decimal, int),
    IndexKind.BOOLEAN: (bool,),
    IndexKind.DATETIME: (datetime,),
    IndexKind.DATE: (date,),
    IndexKind.UUID: (UUID,),
}
_REFUSED: Final[dict[IndexKind, type[Any]]] = {
    IndexKind.INTEGER: bool,
    IndexKind.BIG_INTEGER: bool,
    IndexKind.FLOAT: bool,
    IndexKind.DECIMAL: bool,
    IndexKind.DATE: datetime,
}
"""What Python calls a kind of the accepted ones, and is another thing."""

_KINDS: Final[dict[Any, IndexKind]] = {
    str: IndexKind.TEXT,
    int: IndexKind.BIG_INTEGER,
    float: IndexKind.FLOAT,
    Decimal: IndexKind.DECIMAL,
    bool: IndexKind.BOOLEAN,
    datetime: IndexKind.DATETIME,
    date: IndexKind.DATE,
    UUID: IndexKind.UUID,
}


def index_of(name: str, hint: Any) -> Index | None:
    """Return how a field of a type is sorted, or None where no database could."""
    optional = False
    is_short = False
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            is_short = is_short or is_key(hint) or _is_bounded(hint.__metadata__)
            hint = typing.get_args(hint)[0]
        elif origin in {typing.Union, UnionType}:
            others = [each for each in typing.get_args(hint) if each is not NoneType]
            if len(others) != 1:
                return None
            optional, hint = True, others[0]
        elif (named := _named(hint)) is not None:
            hint = named
        else:
            break
    if isinstance(hint, type) and issubclass(hint, Enum):
        kind = _kind_of_enum(hint)
        return kind and Index(name=name, kind=kind, optional=optional, enum=hint)
    kind = _KINDS.get(hint) if isinstance(hint, type) else None
    if kind is IndexKind.BIG_INTEGER and is_short:
        kind = IndexKind.INTEGER
    return kind and Index(name=name, kind=kind, optional=optional)


def _named(hint: Any) -> Any:
    """Return what a ``NewType`` or a ``type`` statement stands for; None of anything else."""
    if isinstance(hint, typing.NewType):
        return hint.__supertype__
    return getattr(hint, "__value__", None) if type(hint).__name__ == "TypeAliasType" else None


def _is_bounded(metadata: tuple[Any, ...]) -> bool:
    """Whether 64 bits hold every whole number that these constraints allow."""
    for meta in metadata:
        if isinstance(meta, msgspec.Meta):
            low = meta.gt if meta.ge is None else meta.ge
            high = meta.lt if meta.le is None else meta.le
            if low is not None and high is not None and _is_short(low) and _is_short(high):
                return True
    return False


def _kind_of_enum(enum: type[Enum]) -> IndexKind | None:
    values = [member.value for member in enum]
    if not values or issubclass(enum, Flag):
        return None
    if all(isinstance(value, str) for value in values):
        return IndexKind.TEXT
    if all(type(value) is int for value in values):
        return IndexKind.INTEGER if all(map(_is_short, values)) else IndexKind.BIG_INTEGER
    return None


def _is_short(value: float) -> bool:
    return -(2**63) <= value < 2**63
