"""What other instances have left in a database is sent, soon where own rows wait for it."""

from __future__ import annotations

import asyncio

import pytest

from sourceflow import Command, Entity, Event, Key, Saga, handles
from sourceflow.bus.changes import Changes, Destination, OutboxRow, Stream
from sourceflow.bus.ports import StoresContext
from sourceflow.bus.relay import POLL, SOON
from sourceflow.messages import Codec, Registry
from sourceflow.stores.sql import SqlStores
from sourceflow.testing.clock import ManualClock


class Go(Command):
    id: Key[str]


class Went(Event):
    id: Key[str]


class Trip(Entity):
    id: Key[str]


class Trips(Saga[Trip]):
    @handles
    def go(self, command: Go) -> Trip:
        self.raise_event(Went(id=command.id))
        return Trip(id=command.id)


class Other:
    """Another instance of the App, which commits and sends nothing."""

    def __init__(self, stores):
        self.stores = stores

    async def leave(self, bench, message_id):
        """Commit an event of the trip "a"."""
        event = bench.engine.router.event(
            Went(id="a"), cause=bench.envelope(Go(id="a"), message_id=message_id), sequence=1
        )
        body = bench.engine._codec.encode(event)
        row = OutboxRow(event, Destination("topic", "trips"), Stream("Trip", "a"), body)
        async with self.stores.begin() as uow:
            return await uow.commit(Changes(outbox=[row]))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'shop.db'}"


@pytest.fixture
async def bench(start, nowhere, clock, url):
    return await start(
        Trips, transport=nowhere(events={Went: "trips"}), stores=SqlStores(url), clock=clock
    )


@pytest.fixture
async def other(bench, clock, url):
    stores = SqlStores(url)
    await stores.open(StoresContext("shop", Codec(Registry([Go, Went])), clock))
    await stores.outbox.take()
    yield Other(stores)
    await stores.aclose()


async def until_sent(bench, count):
    """Let the threads of the database answer."""
    async with asyncio.timeout(10):
        while len(bench.transport.sent) < count:
            await bench.settle()


async def test_what_an_instance_has_left_is_sent_at_the_next_look(bench, other, clock):
    await other.leave(bench, "m-1")
    await other.stores.aclose()
    await clock.advance(POLL)
    await until_sent(bench, 1)


async def test_a_row_that_waits_for_anothers_is_looked_for_soon(bench, other, clock):
    rows = await other.leave(bench, "m-1")
    await bench.app.send(Go(id="a"))
    await bench.settle()
    assert bench.transport.sent == []
    await other.stores.outbox.sent(rows)
    while not bench.transport.sent and clock.monotonic() < POLL.total_seconds() / 2:
        await clock.advance(SOON)
        await bench.stores.outbox.depth()  # a round trip to the thread that reads
    await until_sent(bench, 1)
    assert clock.monotonic() < POLL.total_seconds()
