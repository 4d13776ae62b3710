from __future__ import annotations

import asyncio

import pytest

from sourceflow.bus.locks import KeyedLocks
from sourceflow.testing.clock import settle


@pytest.fixture
def locks():
    return KeyedLocks()


def holder(locks, keys, done=None):
    """Hold keys in a task until ``done`` is set; return the task and the event of having them."""
    has = asyncio.Event()

    async def hold():
        async with locks.hold(keys):
            has.set()
            await (done or asyncio.Event()).wait()

    return asyncio.create_task(hold()), has


async def test_a_key_is_held_by_one_at_a_time_in_the_order_of_asking(locks):
    order = []

    async def hold(name):
        async with locks.hold(["k"]):
            order.append(f"{name} has it")
            await asyncio.sleep(0)
            order.append(f"{name} lets go")

    async with asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(hold(name))
    assert order == [f"{name} {what}" for name in "abc" for what in ("has it", "lets go")]


async def test_other_keys_are_not_held_up(locks):
    async with locks.hold(["a"]), asyncio.timeout(1), locks.hold(["b"]):
        assert len(locks) == 2


async def test_nothing_is_left_of_locks_that_nobody_holds(locks):
    async with locks.hold(["a", "b", "a"]):
        assert len(locks) == 2
    assert len(locks) == 0


async def test_an_error_lets_go(locks):
    with pytest.raises(ZeroDivisionError):
        async with locks.hold(["a", "b"]):
            raise ZeroDivisionError
    assert len(locks) == 0


async def test_several_keys_are_taken_in_one_order_so_that_nobody_waits_in_a_ring(locks):
    async def hold(keys):
        async with locks.hold(keys):
            await asyncio.sleep(0)

    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        for keys in (["a", "b"], ["b", "a"], ["b", "c", "a"], ["c", "b"]):
            tasks.create_task(hold(keys))
    assert len(locks) == 0


async def test_who_is_cancelled_while_it_waits_leaves_nothing_behind(locks):
    done = asyncio.Event()
    first, _ = holder(locks, ["b"], done)
    waiting, _ = holder(locks, ["a", "b"])
    next_one, has = holder(locks, ["a"])
    await settle()
    assert not has.is_set()
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.wait_for(has.wait(), 1)
    next_one.cancel()
    done.set()
    await asyncio.wait([first, next_one])
    assert len(locks) == 0


async def test_who_is_cancelled_as_it_gets_the_lock_hands_it_on(locks):
    done = asyncio.Event()
    first, has = holder(locks, ["k"], done)
    await has.wait()
    second, _ = holder(locks, ["k"])
    third, third_has = holder(locks, ["k"])
    await settle()
    done.set()
    await asyncio.wait([first])
    second.cancel()
    await asyncio.wait([second])
    await asyncio.wait_for(third_has.wait(), 1)
    third.cancel()
    await asyncio.wait([third])
    assert len(locks) == 0


async def test_who_is_cancelled_when_the_lock_was_just_handed_over_hands_it_on(locks):
    await locks.acquire("k")
    second, second_has = holder(locks, ["k"])
    third, third_has = holder(locks, ["k"])
    await settle()
    locks.release("k")
    second.cancel()
    await asyncio.wait_for(third_has.wait(), 1)
    assert not second_has.is_set()
    third.cancel()
    await asyncio.wait([second, third])
    assert len(locks) == 0
