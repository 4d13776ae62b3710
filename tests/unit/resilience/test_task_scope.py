from __future__ import annotations

import asyncio
import inspect

import pytest

from sourceflow.resilience.task_scope import TaskScope


async def test_what_the_body_raises_comes_out_as_it_is():
    with pytest.raises(KeyError):
        async with TaskScope():
            raise KeyError


async def test_leaving_waits_for_tasks():
    done = []

    async def work():
        await asyncio.sleep(0)
        done.append(1)

    async with TaskScope() as tasks:
        tasks.create_task(work())
    assert done == [1]


async def test_a_task_that_fails_cancels_the_body_and_comes_out():
    async def fail():
        raise LookupError("ours")

    reached = False
    with pytest.raises(LookupError, match="ours"):
        async with TaskScope() as tasks:
            tasks.create_task(fail())
            await asyncio.Event().wait()
            reached = True
    assert not reached
    await asyncio.sleep(0)  # the cancellation is used up: this task goes on


async def test_several_failures_come_out_together():
    barrier = asyncio.Barrier(2)

    async def fail():
        try:
            await barrier.wait()
        finally:
            raise LookupError

    with pytest.raises(ExceptionGroup) as group:
        async with TaskScope() as tasks:
            tasks.create_task(fail())
            tasks.create_task(fail())
            await asyncio.Event().wait()
    assert len(group.value.exceptions) == 2


async def test_cancelling_whoever_leaves_cancels_the_tasks():
    cancelled = asyncio.Event()
    started = asyncio.Event()

    async def work():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def host():
        async with TaskScope() as tasks:
            tasks.create_task(work())

    running = asyncio.create_task(host())
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cancelled.is_set()


async def test_it_may_be_left_in_another_task():
    scope = TaskScope()
    await asyncio.create_task(scope.__aenter__())
    task = scope.create_task(asyncio.sleep(0, "done"))
    await asyncio.create_task(scope.__aexit__(None, None, None))
    assert task.result() == "done"


async def test_who_is_cancelled_while_entering_leaves_no_task_behind():
    before = asyncio.all_tasks()

    async def enter():
        async with TaskScope():
            raise AssertionError("it was entered")

    entering = asyncio.create_task(enter())
    await asyncio.sleep(0)
    entering.cancel()
    await asyncio.wait([entering])
    await asyncio.sleep(0)
    assert entering.cancelled()
    assert asyncio.all_tasks() == before


async def test_a_task_that_fails_once_the_scope_is_left_comes_out_without_a_cancellation():
    async def fail_later():
        await asyncio.sleep(0)
        raise LookupError("ours")

    with pytest.raises(LookupError):
        async with TaskScope() as tasks:
            tasks.create_task(fail_later())
    assert asyncio.current_task().cancelling() == 0


async def test_what_is_started_too_late_is_closed():
    async def work():
        raise AssertionError("it began")

    scope = TaskScope()
    async with scope:
        pass
    late = work()
    with pytest.raises(RuntimeError):
        scope.create_task(late)
    assert inspect.getcoroutinestate(late) == inspect.CORO_CLOSED
