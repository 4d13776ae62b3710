"""Messages and states of every shape that a store must keep."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Annotated
from uuid import UUID

import msgspec

from sourceflow import Command, Entity, Event, Key, ViewModel

__all__ = (
    "VIEW_MODELS",
    "Color",
    "Level",
    "Listing",
    "Numbered",
    "Order",
    "Paid",
    "Pay",
    "Refunded",
    "Sample",
    "Tagged",
)


class Pay(Command):
    order_id: Key[str]
    amount: Decimal
    notes: list[str] = msgspec.field(default_factory=list)


class Paid(Event):
    order_id: Key[str]
    amount: Decimal
    notes: list[str] = msgspec.field(default_factory=list)


class Refunded(Event):
    order_id: Key[str]


class Order(Entity):
    id: Key[str]
    paid: Decimal = Decimal(0)
    notes: list[str] = msgspec.field(default_factory=list)


class Listing(ViewModel, indexes=("total", "country", "seen")):
    id: Key[str]
    total: Decimal = Decimal(0)
    country: str = ""
    seen: datetime | None = None
    notes: list[str] = msgspec.field(default_factory=list)


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 10


class Sample(
    ViewModel,
    indexes=(
        "text", "number", "small", "ratio", "total", "flag", "seen", "day", "ref", "color", "level",
    ),
):  # fmt: skip
    """A field of each kind that can be compared."""

    id: Key[str]
    text: str | None = None
    number: int | None = None
    small: Annotated[int, msgspec.Meta(ge=-100, le=100)] | None = None
    ratio: float | None = None
    total: Decimal | None = None
    flag: bool | None = None
    seen: datetime | None = None
    day: date | None = None
    ref: UUID | None = None
    color: Color | None = None
    level: Level | None = None


class Numbered(ViewModel, indexes=("country",)):
    id: Key[int]
    country: str = ""


class Tagged(ViewModel, indexes=("country",)):
    id: Key[UUID]
    country: str = ""


VIEW_MODELS = (Listing, Sample, Numbered, Tagged)
