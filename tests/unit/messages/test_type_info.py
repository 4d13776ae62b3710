from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from sourceflow import Command, Entity, Event, Key, ViewModel
from sourceflow.messages import Envelope, is_message, key_of_state, state_info, type_info

if TYPE_CHECKING:  # as users do it where a checker tells them to: the hint does not resolve
    from decimal import Decimal  # noqa: TC004


class Place(Command, name="orders.place", version=3, aliases=("orders.create",)):
    order_id: Key[str]


class Derived(Place):
    more: int = 0


class NoKey(Command):
    order_id: str


class TwoKeys(Event):
    order_id: Key[str]
    line_id: Key[int]


class WrongKey(Command):
    order_id: Key[float]


class OptionalKey(Command):
    order_id: Key[str] | None


class Unresolved(Command):
    order_id: Key[str]
    total: Decimal


class UnresolvedInModule(Command):
    order_id: Key[str]
    total: datetime.nothing


class Ambiguous(Command):
    order_id: Key[str]
    when: datetime | date


class Row(ViewModel, name="rows", indexes=("total", "gone")):
    id: Key[UUID]
    total: int


class Unsorted(ViewModel, indexes=("notes", "either")):
    id: Key[int]
    notes: list[str]
    either: int | str


class Thing(Entity):
    id: Key[int]


def test_what_a_class_statement_says_is_known():
    info = type_info(Place)

    assert (info.type, info.name, info.version, info.kind) == (Place, "orders.place", 3, "command")
    assert (info.key_field, info.key_type, info.aliases) == ("order_id", str, ("orders.create",))
    assert info.faults == ()


def test_a_derived_class_is_a_type_of_its_own():
    info = type_info(Derived)

    assert (info.name, info.version, info.key_field) == ("Derived", 1, "order_id")


@pytest.mark.parametrize(
    ("cls", "fault"),
    [
        (NoKey, "it has no key: mark one field as Key[str], Key[int] or Key[UUID]"),
        (OptionalKey, "it has no key: mark one field as Key[str], Key[int] or Key[UUID]"),
        (TwoKeys, "it has 2 keys (order_id, line_id): mark exactly one"),
        (WrongKey, "its key order_id must be a str, an int or a UUID"),
        (Unresolved, "the hint 'Decimal' of a field does not resolve"),
        (UnresolvedInModule, "the hint 'nothing' of a field does not resolve"),
    ],
)
def test_a_class_that_cannot_be_used_has_a_fault(cls, fault):
    info = type_info(cls)

    assert info.faults == (fault,)
    assert (info.key_field, info.key_type) == (None, None)


def test_a_class_that_json_cannot_tell_apart_has_a_fault():
    (fault,) = type_info(Ambiguous).faults

    assert fault.startswith("it cannot be read from JSON: ")


def test_the_key_of_a_class_without_one_is_not_to_be_had():
    with pytest.raises(TypeError, match="NoKey has no key: it has no key"):
        type_info(NoKey).key_of(NoKey(order_id="a"))


@pytest.mark.parametrize("value", [Command, Event, Entity, Thing, Row, str, int, "Place", None])
def test_other_things_are_no_messages(value):
    assert not is_message(value)
    with pytest.raises(TypeError, match="is no message: derive it from Command or Event"):
        type_info(value)


def test_an_object_is_no_message_type():
    assert is_message(Place)
    assert not is_message(Place(order_id="a"))


def test_what_a_view_model_says_is_known_and_checked():
    info = state_info(Row)

    assert (info.name, info.key_field, info.key_type) == ("rows", "id", UUID)
    assert info.indexes == ("total", "gone")
    assert info.faults == ("indexes= names 'gone', which is no field",)


def test_a_field_that_no_store_can_sort_is_a_fault_that_names_its_type():
    notes, either = state_info(Unsorted).faults

    assert notes.startswith(
        "indexes= names 'notes' of the type list[str], which cannot be sorted: use"
    )
    assert either.startswith("indexes= names 'either' of the type int | str, which cannot be")


def test_the_key_of_state_is_found():
    assert key_of_state(Thing(id=7)) == 7
    assert state_info(Thing).name == "Thing"


def test_an_envelope_knows_what_its_message_is():
    message = Place(order_id="o-1")
    now = datetime.fromisoformat("2026-07-01T00:00:00Z")
    envelope = Envelope(message=message, id="m", source="/a", time=now, correlation_id="c")

    assert (envelope.type_name, envelope.kind) == ("orders.place", "command")
    assert (envelope.key, envelope.subject) == ("o-1", "o-1")
