from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest

from sourceflow import Key, Sensitive
from sourceflow.messages.quick_look import is_plainly_right


class Colour(Enum):
    RED = "red"


class Text(str):
    __slots__ = ()


def looks_right(hint, value):
    return is_plainly_right(msgspec.defstruct("Holder", [("field", hint)])(value))


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (str, "ä"),
        (int, 1),
        (bool, True),
        (float, 0.5),
        (bytes, b"a"),
        (Decimal, Decimal("9.99")),
        (UUID, UUID(int=1)),
        (datetime, datetime(2026, 7, 1, tzinfo=UTC)),
        (Colour, Colour.RED),
        (Annotated[str, Sensitive()], "a"),
        (Annotated[str, Sensitive()] | None, None),
        (str | None, None),
        (str | int, 1),
        (Key[str], "o-1"),
        (Key[int], 2**63 - 1),
        (Key[UUID], UUID(int=1)),
    ],
)
def test_plain_values_are_right_at_the_first_look(hint, value):
    assert looks_right(hint, value)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (str, 1),
        (str, "\ufffe"),
        (str, Text("a")),
        (int, True),
        (float, float("nan")),
        (float, 1),
        (Decimal, Decimal("NaN")),
        (Decimal, Decimal("1E+65")),
        (datetime, datetime(2026, 7, 1)),  # noqa: DTZ001 - the case
        (Colour, "red"),
        (str | None, "\ufffe"),
        (str | int, 1.5),
        (Key[str], ""),
        (Key[str], 1),
        (Key[int], 2**63),
        (Key[UUID], "1"),
    ],
)
def test_anything_else_needs_a_closer_look(hint, value):
    assert not looks_right(hint, value)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Any, "a"),
        (list[str], ["a"]),
        (list[str] | None, None),
        (Annotated[str, msgspec.Meta(max_length=3)], "a"),
        (Annotated[Key[str], msgspec.Meta(max_length=3)], "a"),
    ],
)
def test_types_that_say_more_always_need_a_closer_look(hint, value):
    assert not looks_right(hint, value)


def test_a_class_whose_hints_do_not_resolve_needs_a_closer_look():
    holder = dataclasses.dataclass(type("Holder", (), {"__annotations__": {"field": "Nowhere"}}))

    assert not is_plainly_right(holder("a"))
