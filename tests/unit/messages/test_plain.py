from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal

import pytest

import sourceflow
from sourceflow import Envelope, Key
from sourceflow.errors import InvalidMessageError
from sourceflow.messages import Codec, Registry, is_message, type_info, validate


@sourceflow.command
@dataclasses.dataclass(frozen=True)
class Place:
    order_id: Key[str]
    total: Decimal


@sourceflow.event(name="orders.placed", version=2, aliases=("placed",))
@dataclasses.dataclass(slots=True)
class Placed:
    order_id: Key[int]
    note: str = ""


DECORATORS = pytest.mark.parametrize("decorate", [sourceflow.command, sourceflow.event])


def test_a_decorator_without_parentheses_takes_the_class_as_it_is():
    info = type_info(Place)

    assert (info.name, info.version, info.kind) == ("Place", 1, "command")
    assert (info.key_field, info.key_type, info.faults) == ("order_id", str, ())


def test_a_decorator_with_parentheses_says_more():
    info = type_info(Placed)

    assert (info.name, info.version, info.kind) == ("orders.placed", 2, "event")
    assert info.aliases == ("placed",)


@pytest.mark.parametrize("message", [Place("o-1", Decimal("1.0")), Placed(7, note="a")])
def test_a_dataclass_travels_like_any_message(message):
    codec = Codec(Registry([Place, Placed]))
    now = datetime(2026, 7, 1, tzinfo=UTC)
    sent = Envelope(message=message, id="m", source="/a", time=now, correlation_id="c")

    assert codec.decode(codec.encode(sent), type_hint=sent.type_name) == sent


def test_its_constructor_stays_its_own():
    assert Place(order_id=1, total="1").total == "1"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (Place(order_id=1, total=Decimal(1)), r"\$\.order_id"),
        (Place(order_id="a", total="1"), r"\$\.total"),
        (Place(order_id="", total=Decimal(1)), "the key order_id is empty"),
        (Place(order_id="a", total=Decimal("NaN")), "total is not a finite number"),
    ],
)
def test_it_is_checked_when_it_is_sent(message, field):
    with pytest.raises(InvalidMessageError, match=field):
        validate(message)


@DECORATORS
@pytest.mark.parametrize("thing", [int, len, type("Other", (), {})])
def test_what_is_no_dataclass_is_refused(decorate, thing):
    with pytest.raises(TypeError, match=r"marks dataclasses; .* write @dataclass below"):
        decorate(thing)


@DECORATORS
@pytest.mark.parametrize(
    "options", [{"name": ""}, {"version": 0}, {"aliases": "old"}, {"aliases": ("\n",)}]
)
def test_options_are_checked_as_of_any_message(decorate, options):
    with pytest.raises((TypeError, ValueError), match="Thing"):

        @decorate(**options)
        @dataclasses.dataclass
        class Thing:
            id: Key[str]


def test_a_dataclass_without_a_mark_is_no_message():
    @dataclasses.dataclass
    class Thing:
        id: Key[str]

    assert not is_message(Thing)


def test_init_variables_cannot_be_read_back_and_are_a_fault():
    @sourceflow.command
    @dataclasses.dataclass
    class Thing:
        id: Key[str]
        seed: dataclasses.InitVar[int]

    [fault] = type_info(Thing).faults
    assert "`InitVar` fields are not supported" in fault
