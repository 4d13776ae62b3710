from __future__ import annotations

import dataclasses

import pytest

import sourceflow
from sourceflow import Command, Event, Key
from sourceflow.errors import UnknownTypeError
from sourceflow.messages import Registry, type_info


class Place(Command, name="orders.place", version=3, aliases=("orders.create", "Create")):
    id: Key[str]


class Placed(Event):
    id: Key[str]


@sourceflow.event(name="plain")
@dataclasses.dataclass
class Plain:
    id: Key[str]


def test_a_type_is_found_by_its_name_and_its_old_names():
    registry = Registry([Place])

    assert [registry.find(name) for name in ("orders.place", "orders.create", "Create")] == [
        type_info(Place)
    ] * 3


@pytest.mark.parametrize("name", ["Place", "Placed", "os.system", "builtins.eval", ""])
def test_a_name_that_was_not_registered_is_unknown(name):
    registry = Registry([Place])

    assert registry.find(name) is None
    with pytest.raises(UnknownTypeError):
        registry.resolve(name, 1)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_version_up_to_the_known_one_is_resolved(version):
    assert Registry([Place]).resolve("orders.place", version).type is Place


def test_a_higher_version_is_unknown():
    with pytest.raises(UnknownTypeError, match="in version 4"):
        Registry([Place]).resolve("orders.place", 4)


def test_types_are_counted_and_listed_once():
    registry = Registry([Place, Placed, Plain, Place])

    assert len(registry) == 3
    assert [info.type for info in registry] == [Place, Placed, Plain]
    assert registry.faults == ()


def test_two_types_of_one_name_are_a_fault_that_names_both():
    class Second(Event, name="Placed"):
        id: Key[str]

    (fault,) = Registry([Placed, Second]).faults

    assert "Placed" in fault
    assert "Second" in fault
    assert "'Placed'" in fault


def test_an_old_name_that_is_anothers_name_is_a_fault():
    class Third(Command, aliases=("orders.place",)):
        id: Key[str]

    assert len(Registry([Place, Third]).faults) == 1


def test_a_name_among_its_own_old_names_is_no_fault():
    class Same(Command, aliases=("Same", "old", "old")):
        id: Key[str]

    assert Registry([Same]).faults == ()
