from __future__ import annotations

import enum
import sys
import typing
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Literal, NewType
from uuid import UUID

import pytest
from msgspec import Meta

from sourceflow import Key
from sourceflow.messages.index import Index, IndexKind, index_of
from sourceflow.messages.limits import LimitError


class Color(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    SMALL = 1


class Huge(enum.Enum):
    MOST = 2**63


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


class Empty(enum.Enum):
    pass


class Access(enum.Flag):
    READ = 1


Name = NewType("Name", str)


def index(kind, **options):
    return Index(name="it", kind=kind, **options)


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (str, IndexKind.TEXT),
        (Name, IndexKind.TEXT),
        (Annotated[str, Meta(max_length=3)], IndexKind.TEXT),
        (Color, IndexKind.TEXT),
        (int, IndexKind.BIG_INTEGER),
        (Annotated[int, "a note", Meta(ge=0)], IndexKind.BIG_INTEGER),
        (Annotated[int, Meta(ge=0, le=2**63)], IndexKind.BIG_INTEGER),
        (Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)], IndexKind.INTEGER),
        (Annotated[int, Meta(gt=0, lt=10)], IndexKind.INTEGER),
        (Key[int], IndexKind.INTEGER),
        (Size, IndexKind.INTEGER),
        (Huge, IndexKind.BIG_INTEGER),
        (float, IndexKind.FLOAT),
        (bool, IndexKind.BOOLEAN),
        (Decimal, IndexKind.DECIMAL),
        (datetime, IndexKind.DATETIME),
        (date, IndexKind.DATE),
        (UUID, IndexKind.UUID),
    ],
)
def test_a_field_is_sorted_by_its_type(hint, kind):
    assert index_of("it", hint) == index(kind, enum=hint if hint in {Color, Size, Huge} else None)
    optional = index_of("it", hint | None if hint is not Name else typing.Optional[Name])  # noqa: UP045
    assert optional is not None
    assert (optional.kind, optional.optional) == (kind, True)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement came with Python 3.12")
def test_a_type_statement_stands_for_its_value():
    names: dict[str, typing.Any] = {}
    exec("type Text = str", names)
    assert index_of("it", names["Text"]) == index(IndexKind.TEXT)


@pytest.mark.parametrize(
    "hint",
    [list[str], dict[str, int], bytes, str | int, object, Mixed, Empty, Access, timedelta,
     Literal["a", "b"], None, typing.Any],
)  # fmt: skip
def test_nothing_else_is_sorted(hint):
    assert index_of("it", hint) is None


@pytest.mark.parametrize(
    ("kind", "value", "comparable"),
    [
        (IndexKind.TEXT, Color.RED, "red"),
        (IndexKind.FLOAT, 3, 3.0),
        (IndexKind.INTEGER, Size.SMALL, 1),
        (IndexKind.DECIMAL, None, None),
        (IndexKind.DATETIME, datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
         datetime.min.replace(tzinfo=UTC)),
        (IndexKind.DATETIME, datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
         datetime.max.replace(tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_row_s_value_is_compared_as_every_store_can(kind, value, comparable):
    found = index(kind).comparable(value)
    assert found == comparable
    assert type(found) is type(comparable)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (IndexKind.TEXT, "x" * 1_201, "1,200 bytes"),
        (IndexKind.TEXT, "€" * 401, "1,200 bytes"),
        (IndexKind.TEXT, "\1" * 601, "1,200 bytes"),
        (IndexKind.BIG_INTEGER, -(10**1_000), "1,000 digits"),
        (IndexKind.FLOAT, 10**400, "no float"),
    ],
)
def test_what_does_not_fit_into_an_index_is_not_stored(kind, value, told):
    with pytest.raises(LimitError, match=told):
        index(kind).stored(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(IndexKind.TEXT, "x" * 1_200), (IndexKind.BIG_INTEGER, 10**1_000 - 1), (IndexKind.TEXT, None)],
)
def test_what_just_fits_is_stored(kind, value):
    assert index(kind).stored(value) == value


@pytest.mark.parametrize(
    ("asked", "value", "told"),
    [
        (index(IndexKind.TEXT), 5, "str, not int"),
        (index(IndexKind.TEXT), None, "str, not NoneType"),
        (index(IndexKind.BIG_INTEGER), True, "int, not bool"),
        (index(IndexKind.INTEGER), 1.0, "int, not float"),
        (index(IndexKind.FLOAT), True, "float or int, not bool"),
        (index(IndexKind.DECIMAL), 0.1, "Decimal or int, not float"),
        (index(IndexKind.DECIMAL), False, "not bool"),
        (index(IndexKind.BOOLEAN), 1, "bool, not int"),
        (index(IndexKind.DATE), datetime(2026, 1, 1, tzinfo=UTC), "date, not datetime"),
        (index(IndexKind.DATETIME), date(2026, 1, 1), "datetime, not date"),
        (index(IndexKind.UUID), "0" * 32, "UUID, not str"),
        (index(IndexKind.TEXT, enum=Color), Mixed.TWO, "Color, not Mixed"),
    ],
)
def test_a_value_of_another_type_is_not_compared(asked, value, told):
    with pytest.raises(TypeError, match=told):
        asked.asked(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (IndexKind.TEXT, "\ud800"),
        (IndexKind.INTEGER, 2**63),
        (IndexKind.BIG_INTEGER, 10**1_000),
        (IndexKind.FLOAT, float("nan")),
        (IndexKind.FLOAT, float("inf")),
        (IndexKind.FLOAT, 10**400),
        (IndexKind.DECIMAL, Decimal("NaN")),
        (IndexKind.DECIMAL, Decimal("1E+65")),
        (IndexKind.DECIMAL, 10**38),
        (IndexKind.DATETIME, datetime(2026, 1, 1)),  # noqa: DTZ001 - what is tested
    ],
)
def test_a_value_beyond_the_limits_is_not_compared(kind, value):
    with pytest.raises(LimitError) as caught:
        index(kind).asked(value)
    assert repr(value) not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "value", "comparable"),
    [
        (index(IndexKind.TEXT, enum=Color), Color.RED, "red"),
        (index(IndexKind.TEXT, enum=Color), "red", "red"),
        (index(IndexKind.DECIMAL), 10, Decimal(10)),
        (index(IndexKind.FLOAT), 10, 10.0),
        (index(IndexKind.INTEGER), Size.SMALL, 1),
    ],
)
def test_a_value_is_asked_for_as_it_is_compared(asked, value, comparable):
    assert asked.asked(value) == comparable
