"""One of two workers is killed, again and again: every effect happens once, in order (promises 2, 3)."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from random import Random

import pytest

from fault_plan import seed_of_this_run
from hurried_clock import HurriedClock
from leftovers import left_in_the_end
from local_aws_process import local_aws_of_its_own
from run_size import FULL, sized
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import DirectClient, Endpoint, SqsClient, StaticCredentials
from trail_book import TrailBook, walked
from trail_worker import work
from trails import DEAD_LETTER_QUEUES, QUEUES, Step, only_sent, walkers
from workers import Workers

PACE = 20.0
"""Seconds of the tests' clock in one second: what a dead worker held is free after one and a half."""

TRAILS = 8

BACKLOG = 80
"""Steps that wait at least while workers are killed."""

CREDENTIALS = StaticCredentials("test", "test")


class Feeder:
    """Keeps workers busy until it is told to end.

    Attributes:
        sent: How many steps of each trail were sent.
    """

    def __init__(self, app, book):
        self._app = app
        self._book = book
        self._ending = False
        self.sent = 0

    async def run(self):
        while not self._ending:
            if self.sent * TRAILS - await self._book.steps() < BACKLOG:
                await self._app.send_many(
                    [Step(id=f"t{trail}", number=self.sent, takes=0.5) for trail in range(TRAILS)]
                )
                self.sent += 1
            else:
                await asyncio.sleep(0.02)

    def end(self):
        self._ending = True


async def until_steps(book, count):
    """Wait until so many steps are handled."""
    async with asyncio.timeout(60):
        while await book.steps() < count:  # noqa: ASYNC110 - other processes handle them
            await asyncio.sleep(0.01)


async def kill_rounds(book, workers, clock, random):
    """Kill one of two workers at a random moment, start another, and so on."""
    pair = [workers.start(clock), workers.start(clock)]
    for _ in range(sized(4, 20)):
        handled = await book.steps()
        await until_steps(book, handled + 10 + random.randrange(40))
        victim = pair.pop(random.randrange(2))
        victim.kill()
        assert await victim.wait() == -signal.SIGKILL
        pair.append(workers.start(clock))


@asynccontextmanager
async def walking(url, clock):
    transport = AwsTransport(
        AwsOptions(region="us-east-1", endpoint_url=url), only_sent, credentials=CREDENTIALS
    )
    async with walkers(transport, clock) as app:
        yield app


async def left(url, clock):
    async with DirectClient() as http:
        sqs = SqsClient(
            endpoint=Endpoint(service="sqs", region="us-east-1", url=url),
            credentials=CREDENTIALS,
            http=http,
            clock=clock,
        )
        return await left_in_the_end(sqs, *QUEUES, *DEAD_LETTER_QUEUES)


@pytest.mark.slow
@pytest.mark.timeout(900 if FULL else 120)
async def test_one_of_two_workers_killed_again_and_again_changes_no_effect(database):
    seed = seed_of_this_run()
    print(f"seed {seed}")  # noqa: T201 - pytest shows it where the test fails: how to repeat it
    clock = HurriedClock(PACE)
    async with (
        local_aws_of_its_own(clock) as url,
        walking(url, clock) as app,
        TrailBook(database.stores()) as book,
        asyncio.TaskGroup() as tasks,
    ):
        workers = Workers(work, url, database)
        feeder = Feeder(app, book)
        try:
            tasks.create_task(feeder.run())
            await kill_rounds(book, workers, clock, Random(seed))
            feeder.end()
            trails = {f"t{trail}": feeder.sent for trail in range(TRAILS)}
            assert await book.settled(trails) == walked(trails)
            assert await left(url, clock) == {}
            assert await book.state(trails) == walked(trails)
        finally:
            feeder.end()
            workers.end()
