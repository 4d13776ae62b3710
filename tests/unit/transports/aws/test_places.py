from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.testing.clock import settle
from sourceflow.transports.aws.places import Places


async def test_a_receive_takes_ten_places_at_most():
    places = Places(25)

    assert [await places.reserve(), await places.reserve()] == [10, 10]
    assert places.free == 5


async def test_a_receive_waits_until_a_full_batch_fits():
    places = Places(20)
    places.fill(await places.reserve(), 10)
    places.fill(await places.reserve(), 1)
    places.begin()
    waiting = asyncio.create_task(places.reserve())
    await settle()
    assert not waiting.done()
    places.leave()
    assert await waiting == 10


async def test_where_nothing_runs_any_place_will_do():
    places = Places(20)
    places.fill(await places.reserve(), 10)
    places.begin()
    places.fill(await places.reserve(), 7)
    assert not places.has_room
    places.end()

    assert await places.reserve() == 3


async def test_places_that_a_receive_did_not_fill_are_free_again():
    places = Places(20)
    places.fill(await places.reserve(), 2)

    assert places.free == 18


async def test_it_is_empty_when_all_have_left():
    places = Places(20)
    places.fill(await places.reserve(), 2)
    empty = asyncio.create_task(places.empty())
    places.leave()
    await settle()
    assert not empty.done()
    places.leave()
    await empty


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), max_size=30))
def test_never_more_are_held_than_may(capacity, receives):
    async def play():
        places, held = Places(capacity), 0
        for brought, leaving in receives:
            if places.has_room:
                reserved = await places.reserve()
                assert 0 < reserved <= 10
                taken = min(brought, reserved)
                places.fill(reserved, taken)
                held += taken
            gone = min(leaving, held)
            places.leave(gone)
            held -= gone
            assert held + places.free == capacity
            assert places.free >= 0

    asyncio.run(play())


@pytest.mark.parametrize("capacity", [1, 9])
async def test_a_small_capacity_receives_what_fits(capacity):
    assert await Places(capacity).reserve() == capacity


async def test_what_is_parked_leaves_room_for_others():
    places = Places(20, parking=20)
    places.fill(await places.reserve(), 10)
    places.fill(await places.reserve(), 10)
    places.begin()
    assert not places.has_room

    assert places.park(10)
    assert (places.held, places.parked, places.free) == (10, 10, 10)
    assert places.has_room


async def test_no_more_are_parked_than_may():
    places = Places(20, parking=5)
    places.fill(await places.reserve(), 10)

    assert places.park(5)
    assert not places.park(1)
    assert (places.held, places.parked) == (5, 5)


async def test_what_returns_from_being_parked_is_held_again_and_stops_receives():
    places = Places(10, parking=10)
    places.fill(await places.reserve(), 10)
    places.park(10)
    places.fill(await places.reserve(), 10)
    places.unpark(10)

    assert (places.held, places.free) == (20, -10)
    assert not places.has_room
    places.leave(20)
    assert places.has_room


async def test_it_is_not_empty_while_something_is_parked():
    places = Places(10, parking=10)
    places.fill(await places.reserve(), 1)
    places.park(1)
    empty = asyncio.create_task(places.empty())
    await settle()
    assert not empty.done()
    places.unpark(1)
    places.leave()
    await empty
