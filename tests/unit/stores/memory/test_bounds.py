"""What memory stores forget, so that they do not grow for ever."""

from __future__ import annotations

import gc
from datetime import timedelta

import pytest

from sourceflow import Command, Key
from sourceflow.bus.changes import Claim, Stream
from sourceflow.bus.dead_letter import DeadLetter, DeadLetterFilter
from sourceflow.bus.ports import StoresContext
from sourceflow.errors import NotRunningError
from sourceflow.messages import Codec, Envelope, Registry
from sourceflow.stores.memory import MemoryStores
from sourceflow.stores.memory.dead_letters import MemoryDeadLetters
from sourceflow.stores.memory.inbox import MemoryInbox
from sourceflow.stores.memory.state import LoggedEvent, RowState, State, StreamState
from sourceflow.testing.clock import ManualClock


class Pay(Command):
    order_id: Key[str]


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def inbox(clock):
    return MemoryInbox(State(), clock)


def claim(number, subscriber="Orders.paid"):
    return Claim("/shop", f"m-{number}", subscriber)


async def test_a_subscribers_claim_is_remembered_for_a_day(inbox, clock):
    inbox.put([claim(1)])
    await clock.advance(timedelta(hours=24))
    inbox.put([claim(2)])
    assert inbox.taken([claim(1)]) == {claim(1)}
    await clock.advance(timedelta(seconds=1))
    inbox.put([claim(3)])
    assert inbox.taken([claim(1), claim(2), claim(3)]) == {claim(2), claim(3)}


async def test_a_commands_claim_is_remembered_for_as_long_as_the_log(inbox, clock):
    inbox.put([claim(1, "")])
    await clock.advance(timedelta(days=30))
    inbox.put([claim(2)])
    assert inbox.taken([claim(1, "")]) == {claim(1, "")}


async def test_old_claims_of_subscribers_are_forgotten_also_where_only_commands_come(inbox, clock):
    inbox.put([claim(1)])
    await clock.advance(timedelta(hours=25))
    inbox.put([claim(2, "")])
    assert inbox.taken([claim(1), claim(2, "")]) == {claim(2, "")}


def test_of_too_many_claims_the_oldest_make_room(inbox, monkeypatch):
    monkeypatch.setattr("sourceflow.stores.memory.inbox.CLAIMS_KEPT", 2)
    inbox.put([claim(number) for number in range(4)])
    assert inbox.taken([claim(number) for number in range(4)]) == {claim(2), claim(3)}


def test_what_is_kept_for_each_message_is_no_work_for_the_garbage_collector(clock):
    pay = Pay(order_id="o-1")
    envelope = Envelope(message=pay, id="m", source="/a", time=clock.now(), correlation_id="m")
    stream = Stream("Order", "o-1")
    kept = (envelope, StreamState(), RowState(1, pay), LoggedEvent(envelope, stream))
    assert not any(map(gc.is_tracked, kept))


async def test_of_too_many_dead_letters_the_oldest_make_room(clock, monkeypatch):
    monkeypatch.setattr("sourceflow.stores.memory.dead_letters.LETTERS_KEPT", 2)
    letters = MemoryDeadLetters()
    for number in range(3):
        await letters.save(
            DeadLetter(
                source="q",
                message_id=f"m-{number}",
                type_name="Pay",
                reason="Rejected",
                error="",
                body=b"",
                time=clock.now() + timedelta(minutes=number),
                attempts=1,
            )
        )
    kept = await letters.query(DeadLetterFilter())
    assert [letter.message_id for letter in kept] == ["m-2", "m-1"]


def test_stores_that_are_not_open_say_what_to_do():
    with pytest.raises(NotRunningError, match="start the App first"):
        _ = MemoryStores().outbox


async def test_stores_stay_readable_after_they_are_closed(clock):
    stores = MemoryStores()
    await stores.open(StoresContext("shop", Codec(Registry([])), clock))
    await stores.aclose()
    assert await stores.outbox.depth() == 0
    assert repr(stores) == "MemoryStores()"
