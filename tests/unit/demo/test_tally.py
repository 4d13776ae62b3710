from __future__ import annotations

from types import SimpleNamespace

import pytest

from sourceflow.demo.tally import Tally


def message(message_id, type_name="OrderCreated"):
    return SimpleNamespace(id=message_id, type_name=type_name)


@pytest.fixture
def tally():
    return Tally({"OrderCreated": frozenset({"A.created", "B.created"})})


def test_an_event_counts_once_all_of_its_views_have_it(tally):
    tally.projected(message("e-1"), "A.created")
    assert tally.events_projected == 0
    tally.projected(message("e-1"), "B.created")
    assert tally.events_projected == 1
    assert tally.each_once


@pytest.mark.parametrize("times", [2, 3])
def test_an_event_that_a_view_takes_again_is_seen_and_not_counted_again(tally, times):
    for _ in range(times):
        tally.projected(message("e-1"), "A.created")
        tally.projected(message("e-1"), "B.created")
    assert tally.events_projected == 1
    assert not tally.each_once


def test_a_command_that_is_handled_twice_is_seen_and_counts_once(tally):
    tally.handled(message("c-1"), 1, 0.0)
    assert tally.each_once
    tally.handled(message("c-1"), 2, 0.0)
    assert tally.commands_handled == 1
    assert not tally.each_once


def test_duplicates_and_dead_letters_are_counted(tally):
    tally.duplicate(message("c-1"))
    tally.dead_lettered(message("c-2"))
    assert (tally.duplicates, tally.dead_letters) == (1, 1)
    assert tally.each_once
