"""Processes that die in the middle: nothing that was accepted is lost (promise 1)."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from random import Random
from typing import NamedTuple

import pytest

from fault_plan import seed_of_this_run
from leftovers import left_in_queues
from run_size import FULL, sized
from sourceflow import App
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import (
    DirectClient,
    Endpoint,
    SqsClient,
    StaticCredentials,
)
from walking import Step
from walking_worker import work
from workers import Workers, until

QUEUES = ("steps.fifo", "steps-dlq.fifo", "walks-events", "walks-events-dlq")
WALKS, STEPS = 8, 6
BACKLOG = 80
"""Steps that wait at least while workers are killed."""


class Line(NamedTuple):
    what: str
    walk: str
    number: int
    process: int


class Walkers(Workers):
    """Processes that work, and what they have written down."""

    def __init__(self, url, diary):
        super().__init__(work, url, str(diary))
        self._diary = diary

    def lines(self, what, process=None):
        """Return what was written down, in order."""
        if not self._diary.exists():
            return []
        *whole, _ = self._diary.read_text().split("\n")
        lines = [
            Line(kind, walk, int(number), int(by))
            for kind, walk, number, by in map(str.split, whole)
        ]
        return [line for line in lines if line.what == what and process in {None, line.process}]

    def done(self, what):
        """Return the steps that were done, in order: walk and number."""
        return [(line.walk, line.number) for line in self.lines(what)]


@pytest.fixture
async def aws():
    async with LocalAws() as local:
        yield local


@pytest.fixture
async def workers(aws, tmp_path):
    workers = Walkers(aws.endpoint_url, tmp_path / "diary")
    yield workers
    workers.end()


@asynccontextmanager
async def sender(url):
    """Start an App that only sends."""
    transport = AwsTransport(
        AwsOptions(region="us-east-1", endpoint_url=url),
        lambda bus: bus.send.command(Step, queue="steps.fifo"),
        credentials=StaticCredentials("test", "test"),
    )
    async with App([], name="walkers").use(transport) as app:
        yield app


def steps(numbers, *, takes=0.01):
    """Return the next steps of all walks: each long enough to be killed in."""
    return [
        Step(id=f"w{walk}", number=number, takes=takes)
        for number in numbers
        for walk in range(WALKS)
    ]


async def send_steps(url):
    async with sender(url) as app:
        await app.send_many(steps(range(STEPS)))


def everything(numbers):
    return {(f"w{walk}", number) for walk in range(WALKS) for number in numbers}


def check_order(done, numbers):
    """Check that the steps of each walk took effect for the first time in their order."""
    firsts = list(dict.fromkeys(done))
    for walk in range(WALKS):
        assert [number for each, number in firsts if each == f"w{walk}"] == list(numbers)


async def test_a_worker_that_is_killed_loses_nothing(aws, workers):
    await send_steps(aws.endpoint_url)
    for _ in range(3):
        first = workers.start()
        before = len(workers.lines("handled"))
        await until(lambda before=before: len(workers.lines("handled")) >= before + 8)
        first.kill()
        assert await first.wait() == -signal.SIGKILL
    last = workers.start()
    await until(lambda: set(workers.done("projected")) == everything(range(STEPS)))
    last.terminate()

    assert await last.wait() == 0
    check_order(workers.done("handled"), range(STEPS))
    assert await left(aws.endpoint_url) == {}


async def test_a_worker_that_is_told_to_end_hands_over_without_doing_anything_twice(aws, workers):
    await send_steps(aws.endpoint_url)
    for _ in range(2):
        first = workers.start()
        before = len(workers.lines("handled"))
        await until(lambda before=before: len(workers.lines("handled")) >= before + 8)
        first.terminate()
        assert await first.wait() == 0
    last = workers.start()
    await until(lambda: set(workers.done("projected")) == everything(range(STEPS)))
    last.send_signal(signal.SIGINT)

    assert await last.wait() == 0
    assert Counter(workers.done("handled")) == Counter(everything(range(STEPS)))
    assert Counter(workers.done("projected")) == Counter(everything(range(STEPS)))
    assert await left(aws.endpoint_url) == {}


@asynccontextmanager
async def local_aws_of_its_own():
    """Start `sourceflow local`; say where it answers."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "from sourceflow.host.cli import main; main()", "local", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        line = (await process.stdout.readline()).decode()
        yield re.search(r"http://\S+", line)[0]
    finally:
        process.terminate()
        await process.communicate()


class Feeder:
    """Keeps workers busy until it is told to end."""

    def __init__(self, app, workers):
        self._app = app
        self._workers = workers
        self._ending = False
        self.sent = 0

    async def run(self):
        while not self._ending:
            handled = len(set(self._workers.done("handled")))
            if self.sent * WALKS - handled < BACKLOG:
                await self._app.send_many(steps([self.sent], takes=0.05))
                self.sent += 1
            else:
                await asyncio.sleep(0.02)

    def end(self):
        self._ending = True


@pytest.mark.slow
@pytest.mark.timeout(900 if FULL else 120)
async def test_one_of_two_workers_killed_again_and_again_loses_nothing(tmp_path):
    seed = seed_of_this_run()
    print(f"seed {seed}")  # noqa: T201 - pytest shows it where the test fails: how to repeat it
    random = Random(seed)
    async with local_aws_of_its_own() as url, sender(url) as app, asyncio.TaskGroup() as tasks:
        workers = Walkers(url, tmp_path / "diary")
        feeder = Feeder(app, workers)
        try:
            feeding = tasks.create_task(feeder.run())
            pair = [workers.start(), workers.start()]
            for _ in range(sized(4, 20)):
                await until(lambda: all(workers.lines("handled", each.pid) for each in pair))
                moment = len(workers.lines("handled")) + random.randrange(40)
                await until(lambda moment=moment: len(workers.lines("handled")) >= moment)
                victim = pair.pop(random.randrange(2))
                victim.kill()
                assert await victim.wait() == -signal.SIGKILL
                pair.append(workers.start())
            feeder.end()
            await feeding  # it may have been sending
            await until(lambda: set(workers.done("projected")) >= everything(range(feeder.sent)))
            for each in pair:
                each.terminate()
                assert await each.wait() == 0
        finally:
            feeder.end()
            workers.end()
        check_order(workers.done("handled"), range(feeder.sent))
        assert await left(url) == {}


async def left(url):
    """Return how much is in each queue that is not empty, dead letter queues included."""
    async with DirectClient() as http:
        sqs = SqsClient(
            endpoint=Endpoint(service="sqs", region="us-east-1", url=url),
            credentials=StaticCredentials("test", "test"),
            http=http,
        )
        return await left_in_queues(sqs, *QUEUES)
