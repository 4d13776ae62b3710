"""The clock that tests move."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from sourceflow.testing import ManualClock

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def sleep(clock):
    """Begin to sleep for so many seconds; a list tells who woke, and when."""
    woke = []
    async with asyncio.TaskGroup() as group:

        def sleep(seconds, name=None):
            async def run():
                await clock.sleep(seconds)
                woke.append((name or seconds, clock.monotonic()))

            return group.create_task(run())

        sleep.woke = woke
        yield sleep
        await clock.advance(timedelta(days=1))


async def test_time_stands_still_until_it_is_moved(clock):
    assert clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    await asyncio.sleep(0.001)
    assert clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    assert clock.monotonic() == 0


async def test_both_times_move_together():
    clock = ManualClock(start=datetime(2030, 5, 1, tzinfo=UTC))
    await clock.advance(timedelta(minutes=1, milliseconds=500))
    assert clock.now() == datetime(2030, 5, 1, 0, 1, 0, 500_000, tzinfo=UTC)
    assert clock.monotonic() == 60.5


async def test_a_sleeper_wakes_when_its_time_has_come(clock, sleep):
    sleep(2)
    await clock.advance(1.999 * SECOND)
    assert sleep.woke == []
    await clock.advance(0.001 * SECOND)
    assert sleep.woke == [(2, 2)]


async def test_sleepers_wake_in_order_each_at_its_own_time(clock, sleep):
    for seconds in (3, 1, 2):
        sleep(seconds)
    await clock.advance(10 * SECOND)
    assert sleep.woke == [(1, 1), (2, 2), (3, 3)]
    assert clock.monotonic() == 10


async def test_sleepers_of_one_time_wake_in_the_order_of_their_coming(clock, sleep):
    for name in "abc":
        sleep(1, name)
    await clock.advance(SECOND)
    assert [name for name, _ in sleep.woke] == ["a", "b", "c"]


async def test_who_sleeps_again_on_the_way_wakes_on_the_way(clock):
    woke = []

    async def tick():
        for _ in range(3):
            await clock.sleep(1)
            woke.append(clock.monotonic())

    task = asyncio.create_task(tick())
    await clock.advance(5 * SECOND)
    await task
    assert woke == [1, 2, 3]


async def test_no_time_is_no_sleep(clock):
    await asyncio.wait_for(clock.sleep(0), timeout=1)
    await asyncio.wait_for(clock.sleep(-1), timeout=1)
    assert clock.monotonic() == 0


async def test_sleepers_are_counted_until_they_wake_or_are_cancelled(clock, sleep):
    first, _ = sleep(1), sleep(2)
    await asyncio.sleep(0)
    assert clock.sleepers == 2
    first.cancel()
    await asyncio.wait([first])
    assert clock.sleepers == 1
    await clock.advance(2 * SECOND)
    assert clock.sleepers == 0
    assert sleep.woke == [(2, 2)]


async def test_another_sleeper_is_waited_for(clock, sleep):
    sleep(1)
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(clock.another_sleeps())
    await asyncio.sleep(0)
    assert not waiting.done()
    sleep(2)
    async with asyncio.timeout(5):
        await waiting


async def test_the_first_sleeper_is_woken_where_it_wanted_to_and_cancelled_ones_are_not(
    clock, sleep
):
    cancelled = sleep(1)
    sleep(2)
    sleep(3)
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.sleep(0)
    assert not clock.wake_next(until=1.5)
    assert clock.wake_next(until=2)
    await asyncio.sleep(0)
    assert sleep.woke == [(2, 2)]
    assert clock.wake_next()
    assert not clock.wake_next()


async def test_others_run_before_a_move_at_each_sleeper_and_after_it(clock, sleep):
    sleep(1)
    sleep(2)
    seen = []

    async def run():
        seen.append(clock.monotonic())
        await asyncio.sleep(0)

    await clock.advance_with(3 * SECOND, run)
    await asyncio.sleep(0)
    assert seen == [0, 1, 2, 3]


async def test_work_is_finished_by_moving_the_clock_whenever_it_sleeps(clock):
    async def work():
        for _ in range(3):
            await asyncio.sleep(0.001)  # something real, for which the clock stands still
            await clock.sleep(0.1)
        return clock.monotonic()

    async with asyncio.timeout(10):
        assert await clock.finish(work()) == pytest.approx(0.3)


async def test_others_that_sleep_do_not_move_the_clock_for_the_work(clock, sleep):
    sleep(1)

    async def work():
        await asyncio.sleep(0.005)

    async with asyncio.timeout(10):
        await clock.finish(work())
    assert clock.monotonic() == 0


async def test_work_that_raises_or_is_cancelled_ends_the_finish(clock):
    async def fail():
        await clock.sleep(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await clock.finish(fail())
    ended = asyncio.Event()

    async def hang():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await clock.finish(hang())
    await asyncio.wait_for(ended.wait(), 5)
