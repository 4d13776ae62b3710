"""When keys are asked for, and what waits while one is not to be had."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from encrypted_stores import WatchedKeys

from sourceflow.bus.changes import Changes, Destination, OutboxRow, RowChange, Stream
from sourceflow.errors import DependencyError, KeyUnavailableError
from sourceflow.messages import Codec, Registry


def ids(rows):
    return [row.envelope.id for row in rows]


@pytest.fixture
def keys():
    return WatchedKeys()


async def left_by_another(instances, keys, *message_ids, **more):
    """Let an instance that has ended leave rows in the outbox, under a data key of its own."""
    ended = await instances.open(keys=keys)
    await instances.send(ended, *message_ids, **more)
    await ended.aclose()


async def test_a_row_whose_key_is_disabled_waits_with_its_lane_and_holds_up_no_other(
    instances, keys
):
    await left_by_another(instances, keys, "a")
    keys.disabled = set(keys.made)
    await left_by_another(instances, keys, "b")
    await left_by_another(instances, keys, "c", key="o-2")
    stores = await instances.open(keys=keys)
    assert ids(await stores.outbox.take()) == ["c"]
    assert ids(await stores.outbox.take()) == []


async def test_it_leaves_in_order_when_the_key_is_back_however_late(instances, keys):
    await left_by_another(instances, keys, "a")
    keys.disabled = set(keys.made)
    await left_by_another(instances, keys, "b")
    stores = await instances.open(keys=keys)
    for _ in range(3):
        assert ids(await stores.outbox.take()) == []
        await instances.clock.advance(timedelta(hours=20))
    assert await stores.outbox.parked() == []
    assert ids(await stores.outbox.take()) == []
    keys.disabled = set()
    await instances.clock.advance(timedelta(minutes=1))
    assert ids(await stores.outbox.take()) == ["a", "b"]


async def test_a_key_service_is_not_asked_at_each_look_for_a_row_that_waits(instances, keys):
    await left_by_another(instances, keys, "a")
    keys.disabled = set(keys.made)
    stores = await instances.open(keys=keys)
    await stores.outbox.take()
    before = keys.calls
    for _ in range(11):
        await instances.clock.advance(timedelta(seconds=5))
        await stores.outbox.take()
    assert keys.calls == before


async def test_a_row_that_another_key_encrypted_is_parked_in_the_end(instances, keys):
    await left_by_another(instances, keys, "a")
    stores = await instances.open(keys=WatchedKeys(b"x" * 32))
    assert ids(await stores.outbox.take()) == []
    await instances.clock.advance(timedelta(hours=25))
    await stores.outbox.take()
    (parked,) = await stores.outbox.parked()
    assert (parked.message_id, parked.reason) == ("a", "Malformed")


async def test_own_rows_whose_key_is_away_are_looked_for_again(instances, keys, monkeypatch):
    """A commit that was cut off has left a row that only the database knows."""
    stores = await instances.open(keys=keys)
    await stores.outbox.take()
    database = stores._open.database
    commit = database.commit

    async def cut_off(steps):
        await commit(steps)
        raise DependencyError("the connection is gone")

    monkeypatch.setattr(database, "commit", cut_off)
    with pytest.raises(DependencyError, match="gone"):
        await instances.send(stores, "a")
    monkeypatch.undo()
    keys.is_away = True
    with pytest.raises(KeyUnavailableError):
        await stores.outbox.take()
    keys.is_away = False
    assert await instances.send(stores, "b") == []  # not before what is older
    await instances.clock.advance(timedelta(seconds=1))
    assert ids(await stores.outbox.take()) == ["a", "b"]


def scheduled(instances, message_id):
    event = instances.event(message_id)
    body = Codec(Registry([instances.Paid])).encode(event)
    return OutboxRow(event, instances.topic, Stream("Order", "o-1"), body)


def as_it_is(envelope, stream):
    return OutboxRow(envelope, Destination("topic", "elsewhere"), stream, None)


async def test_a_due_command_whose_key_is_disabled_waits_in_the_outbox(instances, keys):
    stores = await instances.open(keys=keys)
    row = scheduled(instances, "a")
    async with stores.begin() as uow:
        await uow.commit(Changes(schedule={"a": row}))
    await stores.aclose()
    keys.disabled = set(keys.made)
    later = await instances.open(keys=keys)
    fired = await later.schedule.fire(row.envelope.time, as_it_is, limit=10)
    assert (fired.moved, ids(fired.rows)) == (1, [])
    keys.disabled = set()
    await instances.clock.advance(timedelta(minutes=2))
    (taken,) = await later.outbox.take()
    assert (taken.envelope.id, taken.destination) == ("a", instances.topic)


async def test_while_the_key_is_away_what_is_due_stays_in_the_schedule(instances, keys):
    stores = await instances.open(keys=keys)
    row = scheduled(instances, "a")
    async with stores.begin() as uow:
        await uow.commit(Changes(schedule={"a": row}))
    await stores.aclose()
    later = await instances.open(keys=keys)
    keys.is_away = True
    with pytest.raises(KeyUnavailableError):
        await later.schedule.fire(row.envelope.time, as_it_is, limit=10)
    assert await later.schedule.waits("a")
    keys.is_away = False
    await instances.clock.advance(timedelta(seconds=1))
    fired = await later.schedule.fire(row.envelope.time, as_it_is, limit=10)
    assert ids(fired.rows) == ["a"]
    assert fired.rows[0].destination.name == "elsewhere"


@pytest.mark.parametrize("instances", ["sqlite"], indirect=True)
async def test_no_transaction_is_open_while_a_key_service_is_asked(instances, keys):
    """Whoever writes to the file would have to wait: here, somebody does each time."""
    looked = []

    def write():
        path = instances.url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")
            file.execute("ROLLBACK")
        looked.append(keys.calls)

    other = await instances.open(keys=keys)
    event = instances.event("e-1")
    row = RowChange(
        row_type=instances.Listing, key="o-1", expected=0, row=instances.Listing(id="o-1")
    )
    async with other.begin() as uow:
        await uow.commit(
            Changes(events=[(event, None)], rows=[row], schedule={"s": scheduled(instances, "s")})
        )
    shadow = await other.shadow(instances.Listing, resume=False)
    await shadow.save({"o-1": instances.Listing(id="o-1")}, position=0)
    await instances.send(other, "a", key="o-7")
    await other.aclose()

    async def project(page):
        loaded = await shadow.load({"o-1"})
        assert set(loaded) == {"o-1"}
        return {each.envelope.key: instances.Listing(id=each.envelope.key) for each in page}

    async def own_sql(stores):
        async with stores.begin() as uow:
            connection = await uow.connection()
            await connection.execute("SELECT 1")
            await uow.commit(Changes(events=[(instances.event("e-2"), None)]))

    async def swap(stores):
        nonlocal shadow
        shadow = await stores.shadow(instances.Listing, resume=True)
        return await shadow.swap(project, types=["Paid"], claims=())

    async def fire(stores):
        return await stores.schedule.fire(event.time, as_it_is, limit=10)

    for step in (
        lambda stores: instances.send(stores, "b"),
        own_sql,
        lambda stores: stores.outbox.take(),
        swap,
        fire,
    ):
        stores = await instances.open(keys=keys)  # no key is at hand
        keys.on_call, looked = write, []
        await step(stores)
        keys.on_call = lambda: None
        assert looked
        await stores.aclose()
