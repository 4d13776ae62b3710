"""Which of several instances sends a row: rows of one lane leave in the order of their commits."""

from __future__ import annotations

from datetime import timedelta

from sourceflow.stores.sql import outbox_statements


def ids(rows):
    return [row.envelope.id for row in rows]


async def test_rows_of_an_instance_that_is_alive_are_its_own(instances):
    one, other = await instances.open(), await instances.open()
    await one.outbox.take()
    assert await instances.send(one, "a", "b") == ["a", "b"]
    assert ids(await other.outbox.take()) == []
    assert ids(await one.outbox.take()) == []


async def test_rows_of_an_instance_that_has_ended_are_taken_over_in_order(instances):
    one, other = await instances.open(), await instances.open()
    await one.outbox.take()
    await instances.send(one, "a", "b")
    await instances.send(one, "c")
    await one.aclose()
    assert ids(await other.outbox.take()) == ["a", "b", "c"]
    assert ids(await other.outbox.take()) == []


async def test_rows_of_an_instance_that_gives_no_sign_of_life_are_taken_over(instances):
    one, other = await instances.open(), await instances.open()
    await one.outbox.take()
    await instances.send(one, "a")
    await instances.clock.advance(timedelta(seconds=29))
    assert ids(await other.outbox.take()) == []
    await instances.clock.advance(timedelta(seconds=2))
    assert ids(await other.outbox.take()) == ["a"]


async def test_a_row_waits_until_the_older_ones_of_another_instance_are_gone(instances):
    one, other = await instances.open(), await instances.open()
    await one.outbox.take()
    await instances.send(one, "a")
    assert await instances.send(other, "b") == []
    assert other.outbox.behind
    assert ids(await other.outbox.take()) == []
    assert other.outbox.behind
    (row,) = [row for row in await one.outbox.unsent() if row.envelope.id == "a"]
    await one.outbox.sent([row])
    assert ids(await other.outbox.take()) == ["b"]
    assert not other.outbox.behind


async def test_other_lanes_do_not_wait(instances):
    one, other = await instances.open(), await instances.open()
    await one.outbox.take()
    await instances.send(one, "a")
    assert await instances.send(other, "b", key="o-2") == ["b"]


async def test_a_row_of_an_unknown_type_holds_up_its_lane_until_a_newer_instance_comes(instances):
    newer = await instances.open()
    await instances.send(newer, "a", event_type=instances.Shipped)
    await instances.send(newer, "b")
    await instances.send(newer, "c", key="o-2")
    await newer.aclose()
    older = await instances.open(instances.Paid)
    assert ids(await older.outbox.take()) == ["c"]
    newer = await instances.open()
    assert ids(await newer.outbox.take()) == ["a", "b"]


async def test_what_nobody_could_read_for_a_day_is_parked_and_holds_up_nothing(instances):
    newer = await instances.open()
    await instances.send(newer, "a", event_type=instances.Shipped)
    await instances.send(newer, "b")
    await newer.aclose()
    older = await instances.open(instances.Paid)
    assert ids(await older.outbox.take()) == []
    await instances.clock.advance(timedelta(hours=24, seconds=1))
    assert ids(await older.outbox.take()) == ["b"]
    assert await older.outbox.depth() == 1
    (parked,) = await older.outbox.parked()
    assert (parked.type_name, parked.message_id, parked.reason) == ("Shipped", "a", "UnknownType")
    assert parked.destination == instances.topic
    assert await older.outbox.parked(after=parked.position) == []


async def test_a_parked_row_can_be_tried_again(instances):
    newer = await instances.open()
    await instances.send(newer, "a", event_type=instances.Shipped)
    await newer.aclose()
    older = await instances.open(instances.Paid)
    await older.outbox.take()
    await instances.clock.advance(timedelta(hours=24, seconds=1))
    await older.outbox.take()
    (parked,) = await older.outbox.parked()
    assert await older.outbox.unpark([parked.position, 99]) == 1
    assert await older.outbox.parked() == []
    newer = await instances.open()
    assert ids(await newer.outbox.take()) == ["a"]


async def test_many_rows_that_cannot_be_read_do_not_hold_up_the_others(instances, monkeypatch):
    monkeypatch.setattr(outbox_statements, "BATCH", 3)
    newer = await instances.open()
    for number in range(4):
        await instances.send(newer, f"x{number}", event_type=instances.Shipped, key=f"k{number}")
    await instances.send(newer, "a")
    await newer.aclose()
    older = await instances.open(instances.Paid)
    assert ids(await older.outbox.take()) == []
    assert ids(await older.outbox.take()) == ["a"]
    newer = await instances.open()
    assert ids(await newer.outbox.take()) == ["x0", "x1", "x2"]
    assert ids(await newer.outbox.take()) == ["x3"]
    assert ids(await older.outbox.take()) == []


async def test_the_age_of_the_oldest_row_is_known(instances):
    stores = await instances.open()
    assert await stores.outbox.oldest() is None
    written = instances.clock.now()
    await instances.send(stores, "a")
    await instances.clock.advance(timedelta(minutes=5))
    await instances.send(stores, "b")
    assert await stores.outbox.oldest() == written
