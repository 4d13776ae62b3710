"""Processes that die at each boundary of a message's journey: every effect happens once (promise 2)."""

from __future__ import annotations

import signal
from dataclasses import replace
from datetime import timedelta

import pytest

from death_points import DEATH_POINTS
from leaping_clock import LeapingClock
from leftovers import left_in_the_end
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import Endpoint, SqsClient
from trail_book import TrailBook, walked
from trail_worker import work
from trails import DEAD_LETTER_QUEUES, QUEUES, Step, only_sent, walkers
from workers import Workers

TRAILS = {"north": 3, "south": 3}

EXPIRED = timedelta(minutes=2)
"""After so long, messages that a dead process has received show again, and its outbox rows are free."""


@pytest.fixture
def clock():
    return LeapingClock()


@pytest.fixture
async def aws(clock):
    async with LocalAws(clock=clock) as aws:
        yield aws


@pytest.fixture
def workers(aws, database):
    workers = Workers(work, aws.endpoint_url, aws.static_credentials(), database)
    yield workers
    workers.end()


async def send_steps(aws, clock):
    transport = AwsTransport(
        AwsOptions(region="us-east-1", endpoint_url=aws.endpoint_url),
        only_sent,
        credentials=aws.static_credentials(),
    )
    async with walkers(transport, clock) as app:
        for number in range(max(TRAILS.values())):
            await app.send_many([Step(id=trail, number=number) for trail in TRAILS])


async def left(aws, clock):
    sqs = SqsClient(
        endpoint=Endpoint(service="sqs", region="us-east-1", url=aws.endpoint_url),
        credentials=aws.static_credentials(),
        http=aws,
        clock=clock,
    )
    return await left_in_the_end(sqs, *QUEUES, *DEAD_LETTER_QUEUES)


@pytest.mark.slow
@pytest.mark.parametrize("boundary", DEATH_POINTS)
async def test_a_process_that_dies_at_a_boundary_leaves_every_effect_to_happen_once(
    boundary, aws, clock, database, workers
):
    await dies_at(boundary, aws, clock, database, workers)


@pytest.mark.slow
@pytest.mark.parametrize("boundary", ["in the middle of a commit", "after the commit of a command"])
async def test_so_it_is_where_everything_that_is_kept_is_encrypted(boundary, aws, clock, database):
    encrypted = replace(database, key=bytes(range(32)))
    workers = Workers(work, aws.endpoint_url, aws.static_credentials(), encrypted)
    try:
        await dies_at(boundary, aws, clock, encrypted, workers)
    finally:
        workers.end()


async def dies_at(boundary, aws, clock, database, workers):
    async with TrailBook(database.stores()) as book:
        await send_steps(aws, clock)
        first = workers.start(clock, boundary)
        assert await first.wait() == -signal.SIGKILL
        clock.leap(EXPIRED)
        workers.start(clock)
        assert await book.settled(TRAILS) == walked(TRAILS)
        assert await left(aws, clock) == {}
        assert await book.state(TRAILS) == walked(TRAILS)
