"""Instances that keep their state in memory, and filter each other's copies by a database."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from postgres_server import PRODUCTS, own_schema, postgres_url

from hurried_clock import HurriedClock
from sourceflow import App, Command, Entity, Key, Observer, Saga, handles
from sourceflow.bus.dead_letter import DeadLetterFilter
from sourceflow.bus.outcome import Done, Duplicate, InProgress
from sourceflow.stores.sql import SqlIdempotency
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport

PACE = 10
"""A lease of 30 seconds lasts 3 of the machine's: enough for a busy one to renew it."""


class Pay(Command):
    id: Key[str]


class Order(Entity):
    id: Key[str]


class Till:
    """What was done, in whatever instance."""

    def __init__(self):
        self.paid = []
        self.began = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()


class Payments(Saga[Order]):
    def __init__(self, till: Till) -> None:
        self.till = till

    @handles
    async def pay(self, command: Pay) -> Order:
        self.till.began.set()
        await self.till.open.wait()
        self.till.paid.append((command.id, self.context.attempt))
        return Order(id=command.id)


class Ends(Observer):
    def __init__(self):
        self.outcomes = Counter()
        self.settled_one = asyncio.Event()

    def settled(self, delivery, outcome, seconds):
        self.outcomes[type(outcome)] += 1
        self.settled_one.set()


class Instance:
    """One of several instances of an App, with a queue of its own for tests to send to."""

    def __init__(self, app, ends):
        self.app = app
        self.ends = ends

    async def send(self, message_id):
        await self.app.send(Pay(id="o-1"), message_id=message_id)


@pytest.fixture(params=PRODUCTS)
async def keys(request, tmp_path):
    """Makes services that share their keys."""
    clock = HurriedClock(PACE)
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'keys.db'}"
        yield lambda: SqlIdempotency(url, clock=clock)
        return
    async with own_schema() as schema:
        yield lambda: SqlIdempotency(postgres_url(), schema=schema, clock=clock)


@pytest.fixture
def till():
    return Till()


@pytest.fixture
async def start(keys, till):
    async with LocalAws() as aws:

        @asynccontextmanager
        async def start(queue):
            transport = AwsTransport(
                AwsOptions(
                    region="us-east-1",
                    endpoint_url=aws.endpoint_url,
                    wait_time=timedelta(seconds=1),
                    max_attempts=1,
                ),
                lambda bus: bus.send.command(Pay, queue=queue).listen.to.command_queue(queue),
                credentials=aws.static_credentials(),
            )
            ends = Ends()
            app = App(
                [Payments],
                name="shop",
                services=[till],
                idempotency=keys(),
                observer=ends,
                clock=HurriedClock(PACE),
            ).use(transport)
            async with app:
                yield Instance(app, ends)

        yield start


async def test_a_copy_that_reaches_another_instance_has_no_second_effect(start, till):
    async with start("a") as one:
        await one.send("m-1")
        await one.app.drained(timeout=300)
    async with start("b") as other:
        await other.send("m-1")
        await other.send("m-2")
        await other.app.drained(timeout=300)
        assert other.ends.outcomes == {Duplicate: 1, Done: 1}
        assert (await other.app.idempotency.statistics()) == (2, 1, 2)
    assert till.paid == [("o-1", 1), ("o-1", 1)]


async def test_a_copy_waits_uncounted_while_another_instance_works(start, till):
    till.open.clear()
    async with start("a") as one, start("b") as other:
        await one.send("m-1")
        await till.began.wait()
        await other.send("m-1")
        await other.ends.settled_one.wait()
        assert other.ends.outcomes == {InProgress: 1}
        till.open.set()
        await one.app.drained(timeout=300)
        await other.app.drained(timeout=300)
        assert other.ends.outcomes == {InProgress: 1, Duplicate: 1}
        assert await other.app.dead_letters.count(DeadLetterFilter()) == 0
    assert till.paid == [("o-1", 1)]


async def test_a_copy_is_handled_when_the_lease_of_a_crashed_instance_has_ended(start, till, keys):
    async with keys() as crashed:
        claim = await crashed.claim("shop /shop m-1", timedelta(seconds=10))
        assert claim.token
        async with start("b") as other:
            await other.send("m-1")
            await other.app.drained(timeout=300)
            assert other.ends.outcomes[InProgress] >= 1
            assert other.ends.outcomes[Done] == 1
            assert await other.app.dead_letters.count(DeadLetterFilter()) == 0
        assert not await crashed.complete("shop /shop m-1", token=claim.token)
    assert till.paid == [("o-1", 1)]
