"""What is kept as it is, and what must be copied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Literal
from uuid import UUID

import msgspec
import pytest

from sourceflow import Command, Entity, Key, command
from sourceflow.messages import Codec, Envelope, Registry
from sourceflow.messages import Key as KeyHint
from sourceflow.stores.memory.snapshots import Snapshots, _immutable
from sourceflow.testing.clock import ManualClock


class Colour(Enum):
    RED = "red"


class Line(msgspec.Struct, frozen=True):
    amount: Decimal


class Basket(msgspec.Struct, frozen=True):
    lines: list[Line]


class Loose(msgspec.Struct):
    amount: int


class Node(msgspec.Struct, frozen=True):
    next: Node | None = None
    name: str = ""


class Leaky(msgspec.Struct, frozen=True):
    next: Leaky | None = None
    names: list[str] = msgspec.field(default_factory=list)


class Pay(Command):
    order_id: Key[str]
    lines: tuple[Line, ...] = ()


class Buy(Command):
    order_id: Key[str]
    names: list[str] = msgspec.field(default_factory=list)


class Order(Entity):
    id: Key[UUID]
    colour: Colour | None = None


class Noted(Entity):
    id: Key[str]
    notes: dict[str, str] = msgspec.field(default_factory=dict)


@command
@dataclass
class Plain:
    id: KeyHint[str]


def unresolved():
    class Unresolved(msgspec.Struct, frozen=True):
        later: NeverDefined  # noqa: F821

    return Unresolved


@pytest.mark.parametrize(
    "hint",
    [
        int, str, bytes, Decimal, UUID, datetime, type(None), Colour, Literal["a", 1],
        tuple[int, ...], tuple[int, str], frozenset[str], int | None, Key[str], Line, Node, Pay, Order,
    ],
)  # fmt: skip
def test_what_nobody_can_change_is_shared(hint):
    assert _immutable(hint, frozenset())


@pytest.mark.parametrize(
    "hint",
    [
        list[int], dict[str, int], set[str], bytearray, object, tuple[list[int], ...],
        frozenset[Basket], list[int] | None, Basket, Loose, Leaky, Buy, Noted, Plain, unresolved(),
    ],
)  # fmt: skip
def test_what_somebody_could_change_is_not(hint):
    assert not _immutable(hint, frozenset())


@pytest.fixture
def snapshots():
    return Snapshots(Codec(Registry([Pay, Buy])))


def envelope(message):
    return Envelope(
        message=message, id="m-1", source="/shop", time=ManualClock().now(), correlation_id="m-1"
    )


def test_messages_and_states_that_cannot_change_are_kept_as_they_are(snapshots):
    pay, order = envelope(Pay(order_id="o-1")), Order(id=UUID(int=1))
    assert snapshots.copy_envelope(pay) is pay
    assert snapshots.give(snapshots.keep(order)) is order


def test_others_are_copied_on_the_way_in_and_out(snapshots):
    noted = Noted(id="o-1", notes={"a": "b"})
    kept = snapshots.keep(noted)
    one, two = snapshots.give(kept), snapshots.give(kept)
    assert one == two == noted
    assert len({id(each.notes) for each in (noted, one, two)}) == 3
    buy = envelope(Buy(order_id="o-1", names=["x"]))
    copy = snapshots.copy_envelope(buy)
    assert copy == buy
    assert copy.message.names is not buy.message.names
