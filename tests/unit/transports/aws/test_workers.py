from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from sourceflow.testing.clock import settle
from sourceflow.transports.aws.workers import Workers


class Bench:
    """Workers whose pieces are functions."""

    def __init__(self, tasks):
        self.workers = Workers(self._run, tasks, name="worker")
        self.began = []
        self.done = []
        self.tasks = []

    async def _run(self, piece):
        self.began.append(piece.__name__)
        self.tasks.append(asyncio.current_task())
        await piece()
        self.done.append(piece.__name__)

    def add(self, *pieces):
        for piece in pieces:
            self.workers.add(piece)


@pytest.fixture
async def bench():
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tasks)
        yield bench
        for task in bench.tasks:  # those that still wait, where a test has failed
            task.cancel()


def quick(name):
    async def piece():
        pass

    piece.__name__ = name
    return piece


def slow(name, event):
    async def piece():
        await event.wait()

    piece.__name__ = name
    return piece


async def test_pieces_that_never_wait_are_done_by_one_worker(bench):
    bench.add(*map(quick, "abc"))
    await settle()

    assert bench.done == ["a", "b", "c"]
    assert len(set(bench.tasks)) == 1


async def test_one_worker_is_called_at_a_time(bench):
    bench.add(*map(quick, "abc"))

    assert [task.get_name() for task in asyncio.all_tasks()].count("worker") == 1


async def test_pieces_that_wait_are_done_side_by_side(bench):
    event = asyncio.Event()
    bench.add(*(slow(name, event) for name in "abc"))
    await settle()
    assert bench.began == ["a", "b", "c"]

    event.set()
    await settle()
    assert bench.done == ["a", "b", "c"]


async def test_a_piece_that_waits_does_not_hold_up_those_that_come_later(bench):
    event = asyncio.Event()
    bench.add(slow("a", event))
    await settle()
    bench.add(quick("b"))
    await settle()

    assert bench.done == ["b"]
    event.set()


async def test_a_worker_that_has_waited_goes_on_with_what_is_ready(bench):
    event = asyncio.Event()
    bench.add(slow("a", event))
    await settle()
    event.set()
    bench.add(quick("b"))
    await settle()

    assert bench.done == ["a", "b"]


async def test_a_piece_sees_nothing_that_another_has_set(bench):
    user = ContextVar("user", default="nobody")
    seen = []

    async def piece():
        seen.append(user.get())
        user.set("somebody")

    bench.add(piece, piece, piece)
    await settle()

    assert seen == ["nobody"] * 3
    assert len(set(bench.tasks)) == 3


async def test_a_variable_that_is_set_back_costs_no_worker(bench):
    user = ContextVar("user", default="nobody")

    async def piece():
        user.reset(user.set("somebody"))

    bench.add(piece, piece)
    await settle()

    assert len(set(bench.tasks)) == 1


async def test_pieces_that_are_ready_are_done_where_a_worker_is_cancelled(bench):
    async def cancelled():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    bench.add(cancelled, quick("b"), quick("c"))
    await settle()

    assert bench.done == ["b", "c"]
