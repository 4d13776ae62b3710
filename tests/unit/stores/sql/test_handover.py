"""Rows reach the relay in order, also while others are taken over and after commits were cut off."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sourceflow.bus.changes import Changes, Destination, OutboxRow, Stream
from sourceflow.errors import DependencyError
from sourceflow.stores.sql.database import Unfulfilled
from sourceflow.stores.sql.handover import LATE, Handover, Placed
from sourceflow.testing.clock import ManualClock, settle


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def handover(clock):
    return Handover(clock)


def row(position):
    class _Envelope:
        source = "/shop"
        id = str(position)

    return Placed(
        position, OutboxRow(_Envelope, Destination("topic", "t"), Stream("Order", "o"), b"{}")
    )


def numbers(rows):
    return [int(each.envelope.id) for each in rows]


async def found(*positions):
    return [row(each) for each in positions]


async def test_rows_of_a_commit_leave_at_once(handover):
    with handover.commit():
        assert numbers(handover.give([row(1), row(2)])) == [1, 2]
    assert not handover.holds_back


async def test_rows_committed_during_a_take_leave_with_it_in_order(handover):
    reading = asyncio.Event()

    async def read(every):
        assert not every
        await reading.wait()
        return [row(2)]

    taking = asyncio.create_task(handover.take(read))
    await settle()
    with handover.commit():
        assert handover.give([row(3)]) == ()
    with handover.commit():
        assert handover.give([row(1)]) == ()
    assert handover.holds_back
    reading.set()
    assert numbers(await taking) == [1, 2, 3]
    assert not handover.holds_back


async def test_a_take_waits_for_commits_that_began_before_it_was_read(handover):
    answered = asyncio.Event()

    async def commit():
        with handover.commit():
            await answered.wait()
            assert handover.give([row(1)]) == ()

    committing = asyncio.create_task(commit())
    await settle()
    taking = asyncio.create_task(handover.take(lambda _: found(2)))
    await settle()
    assert not taking.done()
    answered.set()
    await committing
    assert numbers(await taking) == [1, 2]


@pytest.mark.parametrize("error", [DependencyError("away"), asyncio.CancelledError()])
async def test_after_a_commit_was_cut_off_its_rows_are_looked_for_and_later_ones_wait(
    handover, error
):
    with pytest.raises(type(error)), handover.commit():
        raise error
    with handover.commit():
        assert handover.give([row(2)]) == ()

    async def read(every):
        assert every
        return [row(1), row(2)]

    assert numbers(await handover.take(read)) == [1, 2]
    with handover.commit():
        assert numbers(handover.give([row(3)])) == [3]


async def test_a_commit_that_wrote_nothing_holds_up_nothing(handover):
    with pytest.raises(Unfulfilled), handover.commit():
        raise Unfulfilled
    assert not handover.holds_back


async def test_one_that_is_cut_off_during_a_take_is_looked_for_in_the_next(handover):
    async def read(every):
        assert not every
        with pytest.raises(DependencyError), handover.commit():
            raise DependencyError
        return [row(2)]

    assert await handover.take(read) == ()
    assert handover.holds_back

    async def again(every):
        assert every
        return [row(1), row(2)]

    assert numbers(await handover.take(again)) == [1, 2]


async def test_a_take_that_is_cut_off_may_have_taken_rows(handover):
    async def away(_every):
        raise DependencyError

    with pytest.raises(DependencyError):
        await handover.take(away)
    assert handover.holds_back

    async def read(every):
        assert every
        return [row(1)]

    assert numbers(await handover.take(read)) == [1]


async def test_a_commit_may_take_effect_a_while_after_it_was_cut_off(handover, clock):
    with pytest.raises(DependencyError), handover.commit():
        raise DependencyError
    asked = []

    async def read(every):
        asked.append(every)
        return await found(1) if every and len(asked) > 1 else []

    assert numbers(await handover.take(read)) == []
    assert numbers(await handover.take(read)) == []
    await clock.advance(LATE + timedelta(seconds=1))
    assert numbers(await handover.take(read)) == [1]
    assert numbers(await handover.take(read)) == []
    assert asked == [True, False, True, False]


async def test_what_was_given_is_not_given_again(handover, clock):
    with handover.commit():
        handover.give([row(1)])
    with pytest.raises(DependencyError), handover.commit():
        raise DependencyError
    assert numbers(await handover.take(lambda _: found(1, 2))) == [2]

    async def read(_every):
        rows = await found(1, 2)
        handover.sent([each.row for each in rows], [1, 2])  # meanwhile
        return rows

    with pytest.raises(DependencyError), handover.commit():
        raise DependencyError
    assert numbers(await handover.take(read)) == []
    assert numbers(await handover.take(lambda _: found(1))) == [1]  # another one of that id


async def test_a_copy_that_is_given_while_the_first_is_forgotten_is_forgotten_after_it(handover):
    first, copy = row(1), row(1)._replace(position=2)
    handover.give([first])
    places = handover.positions([first.row])
    handover.give([copy])
    handover.sent([first.row], places)
    assert handover.positions([copy.row]) == [2]
    handover.sent([copy.row], [2])
    assert handover.positions([copy.row]) == []


async def test_rows_of_a_cancelled_commit_leave_with_the_next_take(instances, monkeypatch):
    stores = await instances.open()
    database = stores._open.database
    commit = database.commit
    begun = asyncio.Event()

    def commit_and_tell(steps):
        begun.set()
        return commit(steps)

    monkeypatch.setattr(database, "commit", commit_and_tell)
    await stores.outbox.take()
    sending = asyncio.create_task(instances.send(stores, "a"))
    await begun.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert stores.outbox.behind
    assert await instances.send(stores, "b") == []
    assert [each.envelope.id for each in await stores.outbox.take()] == ["a", "b"]
    assert not stores.outbox.behind


async def test_a_commit_without_rows_needs_no_handing_over(instances):
    stores = await instances.open()
    async with stores.begin() as uow:
        assert await uow.commit(Changes()) == ()
