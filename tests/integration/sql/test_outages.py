"""The database is away in mid-load: nothing is lost, no try is counted, work goes on by itself (promise 7)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from postgres_server import POSTGRESQL, postgres_url

from database_gate import DatabaseGate
from databases import SqlDatabase, own_database
from file_lock import locked
from hurried_clock import HurriedClock
from leftovers import left_in_the_end
from run_size import FULL, sized
from sourceflow import Observer
from sourceflow.bus.outcome import Done, Duplicate, Paused
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import Endpoint, SqsClient
from trail_book import TrailBook, walked
from trail_feeder import TrailFeeder
from trails import DEAD_LETTER_QUEUES, QUEUES, routed, trails

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 if FULL else 120)]

PACE = sized(10, 1)
"""Seconds of the tests' clock in one second."""

AWAY = 10.0
"""Seconds of the clock that the database is away, once that was noticed."""

SHORT = {"timeout": timedelta(seconds=0.5)}
"""Options of stores that notice soon that nobody answers: real time, whatever the pace."""


class Outcomes(Observer):
    """Notes how often messages were tried, and what became of them."""

    def __init__(self):
        self.attempts = set()
        self.endings = set()
        self.paused = asyncio.Event()

    def received(self, delivery):
        self.attempts.add(delivery.attempt)

    def settled(self, delivery, outcome, seconds):
        self.endings.add(type(outcome))
        if isinstance(outcome, Paused):
            self.paused.set()


class World:
    """Trails on a LocalAws, and a database that may be away."""

    def __init__(self, aws, clock, book):
        self.aws = aws
        self.clock = clock
        self.book = book
        self.outcomes = Outcomes()

    async def live_through(self, stores, outage):
        """Work before, during and after an outage; then check that nothing shows of it."""
        async with (
            trails(self._transport(), stores, self.clock, observer=self.outcomes) as app,
            asyncio.TaskGroup() as tasks,
        ):
            feeder = TrailFeeder(app, self.book, backlog=40, takes=0.1)
            feeding = tasks.create_task(feeder.run())
            await self.book.until_steps(30)
            async with outage:
                await self.outcomes.paused.wait()
                await self.clock.sleep(AWAY)
            await self.book.until_steps(30 + await self.book.steps())
            feeder.end()
            await feeding  # it may have been sending
            assert await self.book.settled(feeder.trails) == walked(feeder.trails)
            await app.drained(timeout=60)
        assert await self.book.state(feeder.trails) == walked(feeder.trails)
        assert self.outcomes.attempts == {1}
        assert self.outcomes.endings <= {Done, Duplicate, Paused}
        assert await self._left() == {}

    def _transport(self):
        options = AwsOptions(region="us-east-1", endpoint_url=self.aws.endpoint_url)
        return AwsTransport(options, routed, credentials=self.aws.static_credentials())

    async def _left(self):
        sqs = SqsClient(
            endpoint=Endpoint(service="sqs", region="us-east-1", url=self.aws.endpoint_url),
            credentials=self.aws.static_credentials(),
            http=self.aws,
            clock=self.clock,
        )
        return await left_in_the_end(sqs, *QUEUES, *DEAD_LETTER_QUEUES)


@pytest.fixture
def product():
    return "sqlite"


@pytest.fixture
async def database(product, tmp_path):
    async with own_database(product, tmp_path) as database:
        yield database


@pytest.fixture
async def world(database):
    clock = HurriedClock(PACE)
    async with LocalAws(clock=clock) as aws, TrailBook(database.stores()) as book:
        yield World(aws, clock, book)


@asynccontextmanager
async def shut(gate, how):
    await getattr(gate, how)()
    yield
    await gate.open()


@pytest.mark.parametrize("product", [POSTGRESQL])
@pytest.mark.parametrize("how", ["refuse", "hang"])
async def test_a_server_that_is_away_for_a_while_costs_nothing_but_time(world, database, how):
    async with DatabaseGate(postgres_url()) as gate:
        stores = SqlDatabase(gate.url, database.schema).stores(**SHORT)
        await world.live_through(stores, shut(gate, how))


async def test_a_file_that_another_process_has_locked_costs_nothing_but_time(world, database):
    await world.live_through(database.stores(**SHORT), locked(database.path))


@asynccontextmanager
async def full(stores):
    """Let the disk have room for no page more than the file has."""
    await limit_pages(stores, 1)  # SQLite takes it for as many as there are
    yield
    await limit_pages(stores, 2**30)


async def limit_pages(stores, count):
    def limit(connection):
        connection.exec_driver_sql(f"PRAGMA max_page_count = {count}")

    await stores._open.database.administer(limit)


async def test_a_disk_that_is_full_for_a_while_costs_nothing_but_time(world, database):
    stores = database.stores()
    await world.live_through(stores, full(stores))
