from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.testing.clock import settle
from sourceflow.transports.aws.slots import Slots


def takers(queue, count, log, name=""):
    async def take(at):
        if await queue.take():
            log.append(f"{name}{at}")

    return [asyncio.create_task(take(at)) for at in range(count)]


async def test_a_free_slot_is_taken_without_waiting():
    queue = Slots(1).of_queue()

    with pytest.raises(StopIteration) as ended:  # a coroutine that ends at its first step
        queue.take().send(None)
    assert ended.value.value is True


async def test_waiters_get_slots_in_the_order_they_came():
    queue, log = Slots(1).of_queue(), []
    takers(queue, 3, log)
    await settle()
    assert log == ["0"]
    queue.release()
    await settle()
    queue.release()
    await settle()
    assert log == ["0", "1", "2"]


async def test_queues_that_wait_are_served_in_turn():
    slots, log = Slots(1), []
    busy, other = slots.of_queue(), slots.of_queue()
    takers(busy, 4, log, "busy ")
    await settle()
    takers(other, 2, log, "other ")
    await settle()
    for owner in (busy, other, busy, other, busy):
        owner.release()
        await settle()

    assert log == ["busy 0", "other 0", "busy 1", "other 1", "busy 2", "busy 3"]


async def test_a_queue_has_no_more_than_its_own_and_keeps_nobody_else_waiting():
    slots, log = Slots(3), []
    narrow, other = slots.of_queue(1), slots.of_queue()
    takers(narrow, 3, log, "narrow ")
    await settle()
    takers(other, 3, log, "other ")
    await settle()

    assert log == ["narrow 0", "other 0", "other 1"]
    narrow.release()
    await settle()
    assert log[3:] == ["narrow 1"] or log[3:] == ["other 2"]
    assert len(log) == 4


async def test_who_is_dismissed_gets_none():
    queue, log = Slots(1).of_queue(), []
    takers(queue, 1, log)
    await settle()
    waiting = asyncio.create_task(queue.take())
    await settle()
    queue.dismiss()
    assert await waiting is False
    queue.release()
    assert await queue.take() is True


async def test_who_gives_up_waiting_leaves_the_slot_to_others():
    queue, log = Slots(1).of_queue(), []
    takers(queue, 1, log)
    await settle()
    first, second = takers(queue, 2, log, "later ")
    await settle()
    first.cancel()
    queue.release()
    await settle()
    assert log == ["0", "later 1"]
    assert second.done()


async def test_a_slot_that_came_with_the_cancellation_is_not_lost():
    queue, log = Slots(1).of_queue(), []
    takers(queue, 1, log)
    await settle()
    (given_up,) = takers(queue, 1, log, "later ")
    await settle()
    queue.release()  # it is given the slot,
    given_up.cancel()  # and is cancelled before it runs
    await settle()

    assert log == ["0"]
    assert await queue.take() is True


class Game:
    """Two queues, who runs and who waits there."""

    def __init__(self, limit, own):
        self.limit = limit
        slots = Slots(limit)
        self.queues = [slots.of_queue(each) for each in own]
        self.limits = [limit if each is None else min(limit, each) for each in own]
        self.running = [0, 0]
        self.waiting = [[], []]

    async def step(self, what, at, which):
        queue, waiting = self.queues[at], self.waiting[at]
        if what == "take":
            waiting.append(asyncio.create_task(queue.take()))
        elif what == "release" and self.running[at]:
            self.running[at] -= 1
            queue.release()
        elif what == "cancel" and waiting:
            waiting[which % len(waiting)].cancel()
        elif what == "dismiss":
            queue.dismiss()
        await settle(4)
        for each, tasks in enumerate(self.waiting):
            done = [task for task in tasks if task.done()]
            self.running[each] += sum(not task.cancelled() and task.result() for task in done)
            self.waiting[each] = [task for task in tasks if not task.done()]

    def check(self):
        assert sum(self.running) <= self.limit
        for running, limit, waiting in zip(self.running, self.limits, self.waiting, strict=True):
            assert running <= limit
            assert not waiting or running == limit or sum(self.running) == self.limit


STEPS = st.tuples(
    st.sampled_from(["take", "take", "release", "cancel", "dismiss"]),
    st.integers(0, 1),
    st.integers(0, 5),
)
OWN = st.none() | st.integers(1, 2)


@given(st.integers(1, 3), st.tuples(OWN, OWN), st.lists(STEPS, max_size=40))
def test_never_too_many_and_none_is_free_while_somebody_may_have_it(limit, own, steps):
    async def play():
        game = Game(limit, own)
        for step in steps:
            await game.step(*step)
            game.check()
        for task in game.waiting[0] + game.waiting[1]:
            task.cancel()
        await settle(4)

    asyncio.run(play())
