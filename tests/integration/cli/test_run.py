"""`sourceflow run`: one worker and several, told to stop, killed, and wrong from the start."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal

import pytest

from sourceflow import App
from sourceflow.transports.aws import AwsOptions, AwsTransport

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]  # each command is a process of its own


class Sender:
    """Sends to the service's queue, from the test's own process."""

    def __init__(self, folder):
        self._pack = folder.module.Pack
        self._url = folder.url

    async def send(self, *commands):
        transport = AwsTransport(
            AwsOptions(region="us-east-1", endpoint_url=self._url),
            lambda bus: bus.send.command(self._pack, queue="packing.fifo"),
        )
        async with App([], name="caller").use(transport) as app:
            await app.send_many([self._pack(**command) for command in commands])


@pytest.fixture
def sender(folder):
    return Sender(folder)


async def reach(folder, sender, count):
    """Send messages until so many processes have handled some."""
    async with asyncio.timeout(60):
        while len({pid for pid, *_ in folder.book}) < count:
            keys = (f"{secrets.token_hex(4)}" for _ in range(20))
            await sender.send(*({"parcel_id": key, "seconds": 0.3} for key in keys))


def events(folder, what):
    return [key for _, key, each in folder.book if each == what]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_drains_when_it_is_told_to_stop(folder, sender, stop):
    worker = await folder.start("run", "post:app")
    await sender.send({"parcel_id": "p-1", "seconds": 1})
    await folder.until(lambda: folder.book)
    worker.send_signal(stop)

    ended = await folder.ended(worker)
    assert ended.code == 0
    assert events(folder, "packed") == ["p-1"]
    assert "post is stopping" in ended.err


async def test_several_workers_drain_when_they_are_told_to_stop(folder, sender):
    workers = await folder.start("run", "post:app", "--workers", "2")
    await reach(folder, sender, 2)
    workers.send_signal(signal.SIGTERM)

    ended = await folder.ended(workers)
    assert ended.code == 0, ended
    assert sorted(events(folder, "packed")) == sorted(events(folder, "begins"))
    assert str(workers.pid) not in {pid for pid, *_ in folder.book}


async def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(folder, sender):
    workers = await folder.start("run", "post:app", "--workers", "2", "--log-level", "warning")
    keys = [f"p-{number}" for number in range(60)]
    await sender.send(*({"parcel_id": key, "seconds": 0.2} for key in keys))
    await folder.until(lambda: folder.book)
    victim = folder.book[0][0]
    os.kill(int(victim), signal.SIGKILL)

    await folder.until(lambda: set(events(folder, "packed")) == set(keys))
    await reach(folder, sender, 3)
    workers.send_signal(signal.SIGTERM)
    ended = await folder.ended(workers)
    assert ended.code == 0, ended
    assert f"(process {victim}) was ended by SIGKILL; another one starts" in ended.err


async def test_workers_whose_supervisor_is_killed_drain_and_end(folder, sender):
    workers = await folder.start("run", "post:app", "--workers", "1")
    await sender.send({"parcel_id": "p-1", "seconds": 1})
    await folder.until(lambda: folder.book)
    workers.kill()

    ended = await folder.ended(workers)  # the worker, too: it holds the other end of standard error
    assert "the process that supervises this one has gone: stopping" in ended.err
    assert events(folder, "packed") == ["p-1"]


@pytest.mark.parametrize("more", [(), ("--workers", "2")])
async def test_an_app_that_is_wrong_does_not_start(folder, more):
    ended = await folder.process("run", "post:wrong", *more, code=2)

    assert ended.err.startswith("error: 1 fault(s) in the wiring:\n  - Parcel is neither a Saga")


async def test_an_app_that_is_not_there_is_told(folder):
    ended = await folder.process("run", "post:ap", code=2)

    assert ended.err.startswith("error: post has no 'ap', did you mean 'app'?")


@pytest.mark.parametrize("more", [(), ("--workers", "1")])
async def test_a_database_that_cannot_be_used_ends_a_worker_with_its_reason(folder, more):
    folder.environment["POST_DATABASE"] = f"sqlite:///{folder.path / 'no' / 'folder' / 'p.db'}"
    ended = await folder.process("run", "post:app", *more, code=2)

    assert "error: " in ended.err
