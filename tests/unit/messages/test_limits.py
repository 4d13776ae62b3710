from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import msgspec
import pytest

from sourceflow.messages.limits import LimitError, check_text, limits_of

NAIVE = datetime(2026, 7, 1)  # noqa: DTZ001 - the case
AWARE = datetime(2026, 7, 1, tzinfo=UTC)


class Zoneless(tzinfo):
    def utcoffset(self, _moment):
        return None


class Text(str):
    __slots__ = ()


@dataclasses.dataclass
class Inner:
    value: Any


class Node(msgspec.Struct):
    text: str
    next: Node | None = None


class Colour(Enum):
    ODD = "\ufffe"


def check(hint, value):
    limits_of(msgspec.defstruct("Holder", [("field", hint)])).check(Inner2(value))


@dataclasses.dataclass
class Inner2:
    field: Any


REFUSED = [
    (str, "a\ufffe"),
    (str, "\uffff"),
    (str, "\ud800"),
    (str, "a\udfffb"),
    (float, float("nan")),
    (float, float("inf")),
    (float, float("-inf")),
    (Decimal, Decimal("NaN")),
    (Decimal, Decimal("sNaN")),
    (Decimal, Decimal("Infinity")),
    (Decimal, Decimal("1" * 39)),
    (Decimal, Decimal("0." + "1" * 39)),
    (Decimal, Decimal("1E+65")),
    (Decimal, Decimal("1E-65")),
    (Decimal, Decimal("0E+65")),
    (datetime, NAIVE),
    (datetime, AWARE.replace(tzinfo=Zoneless())),
    (datetime, AWARE.replace(tzinfo=timezone(timedelta(minutes=53, seconds=28)))),
]
ALLOWED = [
    (str, "ä€😀\n\x00\ufffd\ue000\U0001fffe"),
    (float, 0.1),
    (float, 7),
    (Decimal, Decimal("1" * 38)),
    (Decimal, Decimal("-0." + "0" * 63 + "1")),
    (Decimal, Decimal("1E+64")),
    (datetime, AWARE),
    (datetime, AWARE.replace(tzinfo=timezone(timedelta(hours=-3, minutes=-30)))),
]
SHAPES = [
    (lambda hint: hint, lambda value: value),
    (lambda hint: Annotated[hint, "anything", ["unhashable"]], lambda value: value),
    (lambda hint: hint | None, lambda value: value),
    (lambda hint: Optional[hint], lambda value: value),  # noqa: UP045 - the other spelling
    (lambda hint: hint | int, lambda value: value),
    (lambda hint: list[hint], lambda value: [value]),
    (lambda hint: set[hint], lambda value: {value}),
    (lambda hint: frozenset[hint], lambda value: frozenset({value})),
    (lambda hint: tuple[hint, ...], lambda value: (value, value)),
    (lambda hint: tuple[int, hint], lambda value: (1, value)),
    (lambda hint: dict[str, hint], lambda value: {"a": value}),
    (lambda hint: dict[hint, int], lambda value: {value: 1}),
    (lambda hint: Mapping[str, hint], lambda value: {"a": value}),
    (lambda hint: list[hint | None], lambda value: [None, value]),
    (lambda hint: dict[str, list[hint]], lambda value: {"a": [], "b": [value]}),
    (lambda _: Any, lambda value: value),
    (lambda _: Any, lambda value: {"a": [(value,)]}),
    (lambda _: Any, lambda value: {value: 1}),
    (lambda _: list, lambda value: [value]),
    (lambda _: Inner, Inner),
    (lambda _: list[Inner], lambda value: [Inner([value])]),
]


def hashable(value):
    try:
        hash(value)
    except (TypeError, ValueError):
        return False
    return True


@pytest.mark.parametrize(("hint", "value"), REFUSED)
@pytest.mark.parametrize(("shape", "fill"), SHAPES)
def test_what_cannot_be_sent_is_refused_wherever_it_stands(shape, fill, hint, value):
    if not hashable(value) and not isinstance(fill(0), (list, tuple, int, Inner)):
        value = Decimal("NaN")  # a signalling NaN cannot stand in a set, or as a key
    with pytest.raises(LimitError, match="field"):
        check(shape(hint), fill(value))


@pytest.mark.parametrize(("hint", "value"), ALLOWED)
@pytest.mark.parametrize(("shape", "fill"), SHAPES)
def test_everything_else_is_allowed(shape, fill, hint, value):
    check(shape(hint), fill(value))


@pytest.mark.parametrize("hint", [str | None, list[str | None], Decimal | None, list[float | None]])
def test_nothing_is_allowed_where_it_may_be(hint):
    check(hint, None if not hasattr(hint, "__origin__") else [None])


@pytest.mark.parametrize("value", [Text("\ufffe"), [Text("\ufffe")]])
def test_a_value_of_a_derived_class_is_checked(value):
    with pytest.raises(LimitError):
        check(Any, value)


def test_a_chain_is_checked_to_its_end():
    with pytest.raises(LimitError, match="next next text holds"):
        limits_of(Node).check(Node("a", Node("b", Node("\ufffe"))))


@pytest.mark.parametrize(
    "hint",
    [
        int,
        bool,
        bytes,
        UUID,
        date,
        time,
        timedelta,
        Colour,
        Literal["a", 1],
        int | None,
        list[int],
        dict[int, UUID],
        tuple[int, ...],
        Annotated[int, msgspec.Meta(gt=0, examples=[1])],
    ],
)
def test_a_field_that_can_hold_nothing_forbidden_is_not_looked_at(hint):
    assert limits_of(msgspec.defstruct("Holder", [("field", hint)]))._checks == ()


def test_a_class_whose_hints_do_not_resolve_is_looked_at_by_its_values():
    holder = type("Holder", (), {"__annotations__": {"field": "Nowhere"}})

    with pytest.raises(LimitError, match="field"):
        limits_of(dataclasses.dataclass(holder)).check(Inner2("\ufffe"))


def test_a_text_tells_the_place_and_not_the_value():
    with pytest.raises(LimitError) as caught:
        check_text("secret\ufffe")

    assert "secret" not in str(caught.value)
