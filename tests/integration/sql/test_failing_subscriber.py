"""One of three subscribers fails for ever: nobody else notices, and a redrive runs only it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from hurried_clock import HurriedClock
from sourceflow import (
    App,
    Command,
    Entity,
    Event,
    Key,
    Observer,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
)
from sourceflow.bus.changes import Stream
from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport

PACE = 20.0
"""Seconds of the tests' clock in one second: failures are tried again after seconds."""


class Sell(Command):
    shop: Key[str]
    amount: int


class Sold(Event):
    shop: Key[str]
    amount: int


class Shop(Entity):
    shop: Key[str]
    sold: tuple[int, ...] = ()


class Takings(ViewModel):
    shop: Key[str]
    amounts: tuple[int, ...] = ()


class Stock(ViewModel):
    shop: Key[str]
    amounts: tuple[int, ...] = ()


class Ranking(ViewModel):
    shop: Key[str]
    amounts: tuple[int, ...] = ()


class Fault:
    """What is wrong with the ranking.

    Attributes:
        is_mended: Whether nothing is, any more.
        runs: How often it was tried.
    """

    def __init__(self):
        self.is_mended = False
        self.runs = 0


def _more(row, event):
    return (*(() if row is None else row.amounts), event.amount)


class Sales(Saga[Shop]):
    @handles
    def sell(self, shop: Shop | None, command: Sell) -> Shop:
        self.raise_event(Sold(shop=command.shop, amount=command.amount))
        sold = () if shop is None else shop.sold
        return Shop(shop=command.shop, sold=(*sold, command.amount))


class TakingsView(View[Takings], lifecycle="async"):
    @projects
    def sold(self, event: Sold, row: Takings | None) -> Takings:
        return Takings(shop=event.shop, amounts=_more(row, event))


class StockView(View[Stock], lifecycle="async"):
    @projects
    def sold(self, event: Sold, row: Stock | None) -> Stock:
        return Stock(shop=event.shop, amounts=_more(row, event))


class RankingView(View[Ranking], lifecycle="async"):
    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    @projects
    def sold(self, event: Sold, row: Ranking | None) -> Ranking:
        self._fault.runs += 1
        if not self._fault.is_mended:
            raise ValueError("the ranking is broken")
        return Ranking(shop=event.shop, amounts=_more(row, event))


class Letters(Observer):
    """Tells of each dead letter, and counts what is projected."""

    def __init__(self):
        self.projected_by = []
        self._letters = asyncio.Queue()

    def projected(self, envelope, subscriber):
        self.projected_by.append(subscriber)

    def dead_lettered(self, letter):
        self._letters.put_nowait(letter)

    async def next(self):
        async with asyncio.timeout(60):
            return await self._letters.get()


class World:
    """A running App."""

    def __init__(self, app, stores, fault, letters):
        self.app = app
        self.stores = stores
        self.fault = fault
        self.letters = letters

    async def amounts(self):
        """What each view has seen."""
        rows = [await self.app.find(each, "a") for each in (Takings, Stock, Ranking)]
        return [None if row is None else row.amounts for row in rows]

    async def log(self):
        log = self.stores.commands.read(Stream("Shop", "a"))
        return [(each.position, each.envelope.message.amount) async for each in log]


@pytest.fixture
def clock():
    return HurriedClock(PACE)


@asynccontextmanager
async def running(database, clock, transport=None):
    """Run the shops; without a transport everything stays in the process."""
    stores, fault, letters = database.stores(), Fault(), Letters()
    app = App(
        [Sales, TakingsView, StockView, RankingView],
        name="shops",
        stores=stores,
        services=[fault],
        observer=letters,
        clock=clock,
    )
    if transport is not None:
        app.use(transport)
    async with app:
        yield World(app, stores, fault, letters)


def over(aws):
    return AwsTransport(
        AwsOptions(region="us-east-1", endpoint_url=aws.endpoint_url),
        lambda bus: (
            bus.send.command(Sell, queue="sales.fifo")
            .raise_.event(Sold, topic="sold.fifo")
            .listen.to.command_queue("sales.fifo")
            .subscribe.to.topic("sold.fifo")
        ),
        credentials=aws.static_credentials(),
    )


async def fail_for_ever(world):
    """Let one subscriber fail until it is given up; return the dead letter."""
    await world.app.send(Sell(shop="a", amount=5))
    letter = await world.letters.next()
    await world.app.drained(timeout=60)
    assert letter.type_name == "Sold"
    assert letter.subscribers == ("RankingView.sold",)
    assert (letter.attempts, world.fault.runs) == (5, 5)
    assert await world.amounts() == [(5,), (5,), None]
    assert await world.log() == [(1, 5)], "the command stays handled"
    return letter


async def test_others_are_updated_once_and_a_redrive_runs_only_the_one_that_failed(database, clock):
    async with (
        LocalAws(clock=clock) as aws,
        running(database, clock, transport := over(aws)) as world,
    ):
        letter = await fail_for_ever(world)
        assert letter.source == "shops-events.fifo"

        world.fault.is_mended = True
        assert (await transport.dead_letters.redrive("shops-events.fifo")).moved == 1
        await world.app.drained(timeout=60)
        assert await world.amounts() == [(5,), (5,), (5,)]
        assert sorted(world.letters.projected_by) == [
            "RankingView.sold",
            "StockView.sold",
            "TakingsView.sold",
        ]
        [record] = await world.app.dead_letters.query(DeadLetterFilter())
        assert record.replayed_at is not None


async def test_in_the_process_others_are_updated_once_and_the_letter_names_the_one(database, clock):
    async with running(database, clock) as world:
        letter = await fail_for_ever(world)
        assert letter.source == "local:subscriber:RankingView.sold"
        [record] = await world.app.dead_letters.query(DeadLetterFilter())
        assert record.subscribers == letter.subscribers
        assert await world.stores.outbox.depth() == 0
