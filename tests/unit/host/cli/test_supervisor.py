"""Workers that die, that never start, and that are told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta

import pytest

from sourceflow.clock import SystemClock
from sourceflow.host.cli.supervisor import STARTS, Supervisor
from sourceflow.resilience.backoff import Backoff

BEGIN = "import os, signal, sys, time; fd = int(sys.argv[1]);"
READY = "os.write(fd, b'+');"
WORKS = BEGIN + "signal.signal(15, lambda *_: os._exit(0));" + READY + "time.sleep(99)"
FAILS = "import sys; open(PATH, 'a').write('x'); sys.exit(CODE)"

SOON = Backoff(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=2))


@pytest.fixture
def path(tmp_path):
    """Each start of a worker writes a byte to it."""
    path = tmp_path / "starts"
    path.touch()
    return path


@pytest.fixture
def supervise(path):
    """Makes supervisors of workers that run a program."""

    def supervise(program, count=2, **names):
        for name, value in {"PATH": path, **names}.items():
            program = program.replace(name, repr(str(value)) if name == "PATH" else str(value))

        def command(fd):
            return (sys.executable, "-S", "-c", program, str(fd))

        return Supervisor(command, count, clock=SystemClock(), backoff=SOON)

    return supervise


async def starts(path, count):
    async with asyncio.timeout(20):
        while path.stat().st_size < count:  # noqa: ASYNC110 - another process: nothing says when
            await asyncio.sleep(0.01)


def pids(supervisor):
    return {worker.pid for worker in supervisor._workers if worker.has_started}


async def working(supervisor, count):
    async with asyncio.timeout(20):
        while len(pids(supervisor)) < count:  # noqa: ASYNC110 - another process: nothing says when
            await asyncio.sleep(0.01)
    return pids(supervisor)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_workers_end_when_it_is_told_to(supervise, stop):
    supervisor = supervise(WORKS)
    running = asyncio.create_task(supervisor.run())
    await working(supervisor, 2)

    os.kill(os.getpid(), stop)
    assert await running == 0


async def test_a_worker_that_dies_is_replaced_and_the_others_work_on(supervise, caplog):
    supervisor = supervise(WORKS)
    running = asyncio.create_task(supervisor.run())
    first = await working(supervisor, 2)
    victim = min(first)

    os.kill(victim, signal.SIGKILL)
    async with asyncio.timeout(20):
        while victim in pids(supervisor) or len(pids(supervisor)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert first & pids(supervisor) == first - {victim}
    assert f"(process {victim}) was ended by SIGKILL; another one starts in" in caplog.text

    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0


async def test_a_worker_is_replaced_however_often_it_dies(supervise, path):
    program = "signal.signal(15, lambda *_: os._exit(0)); open(PATH, 'a').write('x'); sys.exit(0)"
    supervisor = supervise(BEGIN + READY + program, 1)
    running = asyncio.create_task(supervisor.run())

    await starts(path, 3 * STARTS)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_an_app_that_is_wrong_is_started_once(supervise, path, caplog):
    assert await supervise(FAILS, 1, CODE=2).run() == 2

    assert path.stat().st_size == 1
    assert "worker 1 cannot start: it ended with 2, at try 1, and no other one" in caplog.text


async def test_a_worker_that_never_starts_is_given_up_after_some_tries(supervise, path, caplog):
    assert await supervise(FAILS, 1, CODE=1).run() == 1

    assert path.stat().st_size == STARTS
    assert f"it ended with 1, at try {STARTS}, and no other one works: giving up" in caplog.text


async def test_where_no_process_is_to_be_had_it_tries_again_before_it_gives_up(caplog):
    def command(_):
        return ("/nowhere/worker",)

    assert await Supervisor(command, 1, clock=SystemClock(), backoff=SOON).run() == 1

    refused = "was given no process (No such file or directory)"
    assert caplog.text.count(f"worker 1 {refused}; another one starts") == STARTS - 1
    assert f"it {refused}, at try {STARTS}, and no other one works: giving up" in caplog.text


async def test_one_that_gives_up_ends_the_others_that_have_not_started(supervise):
    program = (
        "import os, sys, time\n"
        "try: os.mkdir(PATH + '.first')\n"
        "except FileExistsError: sys.exit(2)\n"
        "time.sleep(99)"
    )
    async with asyncio.timeout(20):
        assert await supervise(program).run() == 2


async def test_while_another_one_works_a_worker_that_cannot_start_is_tried_for_ever(
    supervise, path
):
    program = (
        BEGIN
        + "\ntry: os.mkdir(PATH + '.first')\n"
        + "except FileExistsError: open(PATH, 'a').write('x'); sys.exit(2)\n"
        + WORKS
    )
    supervisor = supervise(program)
    running = asyncio.create_task(supervisor.run())

    await starts(path, 2 * STARTS)
    assert len(pids(supervisor)) == 1
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0


async def test_a_second_signal_is_passed_on_and_a_third_kills(supervise, path, caplog):
    on_signal = "signal.signal(15, lambda *_: open(PATH, 'a').write('x'));"
    supervisor = supervise(BEGIN + on_signal + READY + "[time.sleep(9) for _ in range(9)]", 1)
    running = asyncio.create_task(supervisor.run())
    await working(supervisor, 1)

    for count in (1, 2):
        os.kill(os.getpid(), signal.SIGTERM)
        await starts(path, count)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 1
    assert "worker 1 was ended by SIGKILL instead of draining" in caplog.text


async def test_a_worker_that_fails_to_drain_shows_in_the_exit_code(supervise):
    supervisor = supervise(WORKS.replace("_exit(0)", "_exit(1)"))
    running = asyncio.create_task(supervisor.run())
    await working(supervisor, 2)

    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 1


async def test_a_worker_that_was_only_starting_need_not_drain(supervise, path):
    program = "import time; open(PATH, 'a').write('x'); time.sleep(99)"
    supervisor = supervise(program)
    running = asyncio.create_task(supervisor.run())
    await starts(path, 2)

    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0


async def test_who_cancels_it_waits_for_workers_to_notice(supervise, path):
    program = BEGIN + READY + "import socket; socket.socket(fileno=fd).recv(1);"
    supervisor = supervise(program + "open(PATH, 'a').write('x')", 1)
    running = asyncio.create_task(supervisor.run())
    await working(supervisor, 1)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert path.stat().st_size == 1
