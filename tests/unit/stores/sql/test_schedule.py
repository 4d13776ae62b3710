"""Scheduled commands that several instances fire."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from sourceflow import Command, Key
from sourceflow.bus.changes import Changes, Destination, OutboxRow, Stream
from sourceflow.errors import DependencyError
from sourceflow.messages import Codec, Envelope, Registry
from sourceflow.stores.sql.schedule import SqlSchedule

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
QUEUE = Destination("queue", "payments.fifo")


class Pay(Command):
    order_id: Key[str]


class Ship(Command):
    order_id: Key[str]


codec = Codec(Registry([Pay, Ship]))


def waiting(message_id, *, key="o-1", command_type=Pay, destination=QUEUE, due=NOON):
    """A command that is due at noon, where not told otherwise."""
    envelope = Envelope(
        message=command_type(order_id=key),
        id=message_id,
        source="/shop",
        time=due,
        correlation_id=message_id,
    )
    return OutboxRow(envelope, destination, Stream("Order", key), codec.encode(envelope))


def route(envelope, stream):
    return OutboxRow(envelope, QUEUE, stream, codec.encode(envelope))


async def schedule(stores, *rows):
    async with stores.begin() as uow:
        await uow.commit(Changes(schedule={row.envelope.id: row for row in rows}))


def ids(rows):
    return [row.envelope.id for row in rows]


async def fire(stores, *, limit):
    """Fire a batch and be done with it."""
    fired = await stores.schedule.fire(NOON, route, limit=limit)
    await stores.outbox.sent(fired.rows)
    return ids(fired.rows)


async def test_two_instances_fire_each_of_200_commands_once(instances):
    one, other = await instances.open(Pay), await instances.open(Pay)
    for stores in (one, other):
        await stores.outbox.take()
    expected = [f"m-{number:03}" for number in range(200)]
    for start in range(0, 200, 50):
        rows = [waiting(each, key=f"o-{each}") for each in expected[start : start + 50]]
        await schedule(one, *rows)

    shares = ([], [])
    while await one.schedule.first() is not None:
        batches = await asyncio.gather(fire(one, limit=7), fire(other, limit=7))
        shares = tuple([*share, *batch] for share, batch in zip(shares, batches, strict=True))

    assert all(shares)
    assert all(share == sorted(share) for share in shares)
    assert sorted([*shares[0], *shares[1]]) == expected
    assert await one.outbox.depth() == 0


async def test_an_instance_does_not_wait_for_what_another_one_is_moving(instances, monkeypatch):
    """But on SQLite, where one of them writes at a time."""
    one, other = await instances.open(Pay), await instances.open(Pay)
    for stores in (one, other):
        await stores.outbox.take()
    await schedule(one, *(waiting(each, key=f"o-{each}") for each in "abcd"))
    moving, go_on = asyncio.Event(), asyncio.Event()
    move = SqlSchedule._move

    async def move_slowly(schedule, *arguments):
        if schedule is one.schedule:
            moving.set()
            await go_on.wait()
        return await move(schedule, *arguments)

    monkeypatch.setattr(SqlSchedule, "_move", move_slowly)
    firing = asyncio.create_task(fire(one, limit=2))
    await moving.wait()
    if one._open.database.product == "sqlite":
        go_on.set()
    try:
        async with asyncio.timeout(20):
            assert await fire(other, limit=10) == ["c", "d"]
    finally:
        go_on.set()
    assert await firing == ["a", "b"]


async def test_what_an_instance_has_fired_and_not_sent_is_taken_over_when_it_ends(instances):
    one, other = await instances.open(Pay), await instances.open(Pay)
    await one.outbox.take()
    await schedule(one, waiting("a"), waiting("b"))
    assert ids((await one.schedule.fire(NOON, route, limit=10)).rows) == ["a", "b"]
    assert ids(await other.outbox.take()) == []
    await one.aclose()
    assert ids(await other.outbox.take()) == ["a", "b"]


async def test_what_is_due_waits_behind_older_rows_of_its_lane_at_another_instance(instances):
    one, other = await instances.open(Pay), await instances.open(Pay)
    await one.outbox.take()
    await schedule(one, waiting("a"))
    (row,) = (await one.schedule.fire(NOON, route, limit=10)).rows
    await schedule(other, waiting("b"))
    fired = await other.schedule.fire(NOON, route, limit=10)
    assert (fired.moved, ids(fired.rows)) == (1, [])
    assert other.outbox.behind
    await one.outbox.sent([row])
    assert ids(await other.outbox.take()) == ["b"]


async def test_a_command_that_cannot_be_read_goes_to_the_outbox_for_an_instance_that_can(instances):
    newer = await instances.open(Pay, Ship)
    place = Destination("queue", "shipments.fifo")
    await schedule(
        newer,
        waiting("a", key="o-2"),
        waiting("b", command_type=Ship, destination=place),
        waiting("c"),
    )
    older = await instances.open(Pay)
    fired = await older.schedule.fire(NOON, route, limit=10)
    assert (fired.moved, ids(fired.rows)) == (3, ["a", "c"])
    assert await older.schedule.first() is None
    assert ids(await older.outbox.take()) == []
    (row,) = await newer.outbox.take()
    assert (row.envelope.id, row.destination) == ("b", place)


async def test_a_command_that_no_instance_can_read_is_listed(instances):
    newer = await instances.open(Pay, Ship)
    await schedule(newer, waiting("a", command_type=Ship))
    older = await instances.open(Pay)
    (listed,) = await older.schedule.page()
    assert (listed.message_id, listed.type_name, listed.key) == ("a", "Ship", "o-1")


async def test_a_batch_whose_commit_was_cut_off_leaves_with_the_outbox(instances, monkeypatch):
    """It has taken effect here, but nobody was told."""
    stores = await instances.open(Pay)
    await stores.outbox.take()
    await schedule(stores, waiting("a"))
    database = stores._open.database
    transaction = database.transaction

    class CutOff:
        async def __aenter__(self):
            self._whole = transaction()
            return await self._whole.__aenter__()

        async def __aexit__(self, *error):
            await self._whole.__aexit__(*error)
            raise DependencyError("cut off")

    monkeypatch.setattr(type(database), "transaction", lambda _: CutOff())
    with pytest.raises(DependencyError):
        await stores.schedule.fire(NOON, route, limit=10)
    monkeypatch.undo()
    assert await stores.schedule.first() is None
    assert stores.outbox.behind
    assert ids(await stores.outbox.take()) == ["a"]


async def test_a_batch_that_fails_in_the_middle_leaves_everything_where_it_was(instances):
    stores = await instances.open(Pay)
    await schedule(stores, waiting("a"), waiting("b"))

    def fails_at_last(envelope, stream):
        if envelope.id == "b":
            raise DependencyError("away")
        return route(envelope, stream)

    with pytest.raises(DependencyError):
        await stores.schedule.fire(NOON, fails_at_last, limit=10)
    assert ids(await stores.outbox.unsent()) == []
    assert [each.message_id for each in await stores.schedule.page()] == ["a", "b"]


async def test_several_batches_of_one_lane_keep_the_order_they_are_due(instances):
    """Also where the rows of a batch take several statements."""
    stores = await instances.open(Pay)
    await stores.outbox.take()
    expected = [f"m-{number:02}" for number in range(23)]
    for number, each in enumerate(reversed(expected)):
        await schedule(stores, waiting(each, due=NOON - timedelta(minutes=number)))
    await stores.schedule.fire(NOON, route, limit=15)
    await stores.schedule.fire(NOON, route, limit=15)
    assert ids(await stores.outbox.unsent()) == expected
