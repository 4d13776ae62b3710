from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceflow.resilience.task_scope import TaskScope
from sourceflow.transports.aws.batcher import Batcher


class Post:
    """Writes down each batch; answers when it is let, at once where ``held`` is False."""

    def __init__(self, *, held=False):
        self.batches = []
        self.held = held
        self.flying = []
        self.answers = {}

    async def __call__(self, items):
        self.batches.append(list(items))
        if self.held:
            gate = asyncio.get_running_loop().create_future()
            self.flying.append((list(items), gate))
            await gate
        return [self.answers.get(item) for item in items]

    def let_go(self, at=0):
        items, gate = self.flying.pop(at)
        gate.set_result(None)
        return items


class Puts:
    """A batcher, and for each item a future of what becomes of it."""

    def __init__(self, post, tasks, **options):
        self.batcher = Batcher(post, tasks, settle=self._settle, **options)
        self._futures = {}

    def _settle(self, items, results):
        for item, result in zip(items, results, strict=True):
            self._futures.pop(item).set_result(result)

    def put(self, item, **how):
        future = self._futures[item] = asyncio.get_running_loop().create_future()
        self.batcher.add(item, **how)
        return future

    async def send(self, item):
        """Put an item when there is room, and wait for what becomes of it."""
        if self.batcher.is_full:
            await self.batcher.room()
        return await self.put(item)


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_whoever_is_ready_at_the_same_time_shares_a_batch(tasks):
    post = Post()
    puts = Puts(post, tasks)

    await asyncio.gather(*(puts.send(item) for item in range(4)))

    assert post.batches == [[0, 1, 2, 3]]


async def test_a_lonely_item_leaves_without_waiting_for_company(tasks):
    post = Post()

    assert await Puts(post, tasks).put("a") is None
    assert post.batches == [["a"]]


async def test_a_full_batch_leaves_at_once(tasks):
    post = Post(held=True)
    puts = Puts(post, tasks, linger=60)
    for item in range(23):
        puts.put(item)
    await settle()

    assert post.batches == [list(range(10)), list(range(10, 20))]
    rest = [puts.put(item) for item in range(23, 30)]
    await settle()
    assert post.batches[2:] == [list(range(20, 30))]
    while post.flying:
        post.let_go()
    await asyncio.gather(*rest)


async def test_with_linger_a_batch_waits_for_more(tasks):
    post = Post()
    puts = Puts(post, tasks, linger=0.01)
    first = puts.put("a")
    await settle()
    assert post.batches == []
    second = puts.put("b")
    await asyncio.gather(first, second)

    assert post.batches == [["a", "b"]]


async def test_a_batch_holds_no_more_bytes_than_it_may(tasks):
    post = Post()
    puts = Puts(post, tasks, max_bytes=100)
    futures = [puts.put(item, size=size) for item, size in enumerate((40, 60, 1, 99, 100))]
    await asyncio.gather(*futures)

    assert post.batches == [[0, 1], [2, 3], [4]]


async def test_each_learns_what_became_of_its_own(tasks):
    post = Post()
    post.answers["bad"] = error = ValueError("refused")
    puts = Puts(post, tasks)
    futures = [puts.put(item) for item in ("a", "bad", "b")]

    assert await asyncio.gather(*futures) == [None, error, None]


async def test_no_more_batches_fly_than_may(tasks):
    post = Post(held=True)
    puts = Puts(post, tasks, flights=2)
    futures = [puts.put(item) for item in range(35)]
    await settle()

    assert len(post.flying) == 2
    post.let_go()
    await settle()
    assert len(post.flying) == 2
    while post.flying:
        post.let_go()
        await settle()
    await asyncio.gather(*futures)
    assert sorted(item for batch in post.batches for item in batch) == list(range(35))


async def test_a_group_has_one_item_under_way(tasks):
    post = Post(held=True)
    puts = Puts(post, tasks)
    futures = [
        puts.put(item, group=group)
        for item, group in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a"), ("b2", "b"))
    ]
    await settle()
    assert post.batches == [["a1", "b1"]]
    post.let_go()
    await settle()
    assert post.batches[1:] == [["a2", "b2"]]
    post.let_go()
    await settle()
    assert post.batches[2:] == [["a3"]]
    post.let_go()
    await asyncio.gather(*futures)


async def test_a_group_goes_on_after_an_item_that_failed(tasks):
    post = Post()
    post.answers["a1"] = error = ValueError("refused")
    puts = Puts(post, tasks)
    futures = [puts.put(item, group="a") for item in ("a1", "a2")]

    assert await asyncio.gather(*futures) == [error, None]


async def test_who_puts_waits_for_room(tasks):
    post = Post(held=True)
    puts = Puts(post, tasks, capacity=10, flights=1)
    futures = [puts.put(item) for item in range(10)]
    waiting = asyncio.create_task(puts.send(10))
    await settle()
    assert not waiting.done()
    post.let_go()
    futures.append(waiting)
    await settle()
    post.let_go()
    await asyncio.gather(*futures)


async def test_room_is_shared_among_all_that_wait_for_it(tasks):
    post = Post()
    puts = Puts(post, tasks, capacity=3)

    async with asyncio.timeout(5):
        await asyncio.gather(*(puts.send(item) for item in range(100)))
    assert Counter(item for batch in post.batches for item in batch) == Counter(range(100))


async def test_it_is_empty_when_everything_is_settled(tasks):
    post = Post(held=True)
    puts = Puts(post, tasks)
    futures = [puts.put(item, group="a") for item in range(3)]
    empty = asyncio.create_task(puts.batcher.empty())
    for item in range(3):
        await settle()
        assert not empty.done()
        assert post.let_go() == [item]

    await empty
    assert all(future.done() for future in futures)
    async with asyncio.timeout(1):
        await puts.batcher.empty()


class Run:
    """A run of a batcher under random puts and random ends of its batches."""

    def __init__(self, groups):
        self.groups = groups
        self.sent = {}
        self.done = []

    async def play(self, choices):
        post = Post(held=True)
        async with TaskScope() as tasks:
            puts = Puts(post, tasks, flights=3)
            futures = []
            for number, group in enumerate(self.groups):
                futures.append(puts.put((group, number), group=group))
                if next(choices, 0):
                    await settle()
                    self.check(post)
            while not all(future.done() for future in futures):
                await settle()
                self.check(post)
                if post.flying:
                    self.done += post.let_go(next(choices, 0) % len(post.flying))
        return self.done

    @staticmethod
    def check(post):
        flying = [group for items, _ in post.flying for group, _ in items if group is not None]
        assert len(flying) == len(set(flying)), "two of a group are under way"


@settings(max_examples=60, deadline=None)
@given(
    groups=st.lists(st.sampled_from([None, "a", "b", "c"]), max_size=40),
    choices=st.lists(st.integers(0, 2), max_size=80),
)
def test_groups_keep_their_order_whatever_ends_first(groups, choices):
    done = asyncio.run(Run(groups).play(iter(choices)))

    assert Counter(done) == Counter((group, number) for number, group in enumerate(groups))
    for group in ("a", "b", "c"):
        numbers = [number for each, number in done if each == group]
        assert numbers == sorted(numbers)


async def test_what_is_added_when_the_scope_has_ended_is_settled_as_not_sent():
    async def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with TaskScope() as scope:
            puts = Puts(Post(), scope)
            scope.create_task(fail())
            await asyncio.Event().wait()
    results = [puts.put(item, group="a") for item in range(15)]
    await settle()

    assert {(await each).code for each in results} == {"Closed"}


async def test_a_batch_that_is_cancelled_before_it_begins_is_settled_too():
    post = Post()
    async with TaskScope() as scope:
        puts = Puts(post, scope)
        results = [puts.put(item) for item in range(10)]  # ten leave at once
        [task] = [task for task in asyncio.all_tasks() if task.get_name() == "sourceflow batch"]
        task.cancel()
        await settle()

        assert post.batches == []
        assert {(await each).code for each in results} == {"Closed"}
        assert await puts.put("next") is None
