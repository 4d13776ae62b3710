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
from trail_feeder import TrailFeeder
from trail_worker import work
from trails import DEAD_LETTER_QUEUES, QUEUES, only_sent, walkers
from workers import Workers

PACE = 20.0
"""Seconds of the tests' clock in one second: what a dead worker held is free after one and a half."""

BACKLOG = 80
"""Steps that wait at least while workers are killed."""

CREDENTIALS = StaticCredentials("test", "test")


async def kill_rounds(book, workers, clock, random):
    """Kill one of two workers at a random moment, start another, and so on."""
    pair = [workers.start(clock), workers.start(clock)]
    for _ in range(sized(3, 20)):
        handled = await book.steps()
        await book.until_steps(handled + 10 + random.randrange(40))
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
        workers = Workers(work, url, CREDENTIALS, database)
        feeder = TrailFeeder(app, book, backlog=BACKLOG, takes=0.5)
        try:
            feeding = tasks.create_task(feeder.run())
            await kill_rounds(book, workers, clock, Random(seed))
            feeder.end()
            await feeding  # it may have been sending
            assert await book.settled(feeder.trails) == walked(feeder.trails)
            assert await left(url, clock) == {}
            assert await book.state(feeder.trails) == walked(feeder.trails)
        finally:
            feeder.end()
            workers.end()
