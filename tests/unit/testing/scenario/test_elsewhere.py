"""What leaves the App: to itself, and to others."""

from __future__ import annotations

import pytest

from sourceflow import Aggregate, App, Command, Event, Key, Saga, handles, subscribes
from sourceflow.testing import given
from sourceflow.transports.aws import AwsOptions, AwsTransport


class Order(Command):
    id: Key[str]


class Pack(Command):
    id: Key[str]


class Bill(Command):
    id: Key[str]


class Ordered(Event):
    id: Key[str]


class Packed(Event):
    id: Key[str]


class Shop(Saga[None]):
    @handles
    async def order(self, command: Order) -> None:
        self.raise_event(Ordered(id=command.id))
        await self.send(Pack(id=command.id))
        await self.send(Bill(id=command.id))

    @handles
    def pack(self, command: Pack) -> None:
        self.raise_event(Packed(id=command.id))


class Watch(Aggregate[None]):
    @subscribes
    async def packed(self, event: Packed) -> None:
        await self.send(Bill(id=f"again-{event.id}"))


@pytest.fixture
def app():
    """Packing is done here, billing by another service."""
    transport = AwsTransport(
        AwsOptions(region="us-east-1"),
        lambda bus: (
            bus.send.command(Pack, queue="pack.fifo")
            .command(Bill, queue="bill.fifo")
            .raise_.event(Ordered, topic="orders")
            .event(Packed, topic="orders")
            .listen.to.command_queue("pack.fifo")
            .subscribe.to.topic("orders")
        ),
    )
    return App([Shop, Watch], name="shop").use(transport)


async def test_what_goes_to_the_own_queue_is_handled_and_what_goes_to_others_ends_there(app):
    outcome = await given(app=app).when(Order(id="a")).then(Ordered(id="a"), Packed(id="a"))

    assert sorted(map(repr, outcome.commands)) == [
        "Bill(id='a')",
        "Bill(id='again-a')",
        "Pack(id='a')",
    ]


async def test_a_command_for_others_counts_as_sent(app):
    await given(app=app).when(Bill(id="a")).twice().then(Bill(id="a"))
