"""The API as its design shows it, word for word, in process and over SQS and SNS."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from sourceflow import (
    Aggregate,
    App,
    Command,
    Entity,
    Event,
    Key,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
    subscribes,
)
from sourceflow.errors import AlreadyExistsError, NotFoundError
from sourceflow.stores.memory import MemoryStores
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport


class CreateOrder(Command):
    order_id: Key[str]
    total: Decimal


class OrderCreated(Event):
    order_id: Key[str]
    total: Decimal


class ProcessPayment(Command, name="orders.process-payment", version=1):
    order_id: Key[str]
    amount: Decimal


class Order(Entity):
    id: Key[str]
    total: Decimal
    paid: Decimal = Decimal(0)


class OrderSummary(ViewModel, indexes=("total",)):
    id: Key[str]
    total: Decimal


class OrderSaga(Saga[Order]):
    @handles(creates=True)
    async def create(self, command: CreateOrder) -> Order:
        self.raise_event(OrderCreated(order_id=command.order_id, total=command.total))
        return Order(id=command.order_id, total=command.total)

    @handles
    async def pay(self, order: Order, command: ProcessPayment) -> Order:
        return replace(order, paid=order.paid + command.amount)


class Orders(Aggregate[Order]):
    async def create(self, order_id: str, total: Decimal) -> None:
        await self.send(CreateOrder(order_id=order_id, total=total))

    @subscribes
    async def created(self, event: OrderCreated) -> None:
        await self.send(ProcessPayment(order_id=event.order_id, amount=event.total))


class OrderSummaries(View[OrderSummary]):
    @projects
    async def created(self, event: OrderCreated) -> OrderSummary:
        return OrderSummary(id=event.order_id, total=event.total)


def in_process():
    return App([OrderSaga, Orders, OrderSummaries], name="orders", stores=MemoryStores())


def over_aws(local_aws):
    aws = AwsTransport(
        AwsOptions(
            region="us-east-1", max_concurrent_calls=10, endpoint_url=local_aws.endpoint_url
        ),
        lambda bus: (
            bus.send.command(CreateOrder, queue="orders.fifo")
            .command(ProcessPayment, queue="payments.fifo")
            .raise_.event(OrderCreated, topic="order-events")
            .listen.to.command_queue("orders.fifo")
            .command_queue("payments.fifo")
            .subscribe.to.topic("order-events")
        ),
        credentials=local_aws.static_credentials(),
    )
    return in_process().use(aws)


@pytest.fixture
async def local_aws():
    async with LocalAws() as aws:
        yield aws


@pytest.fixture(params=["in process", "over AWS"])
async def app(request, local_aws):
    async with in_process() if request.param == "in process" else over_aws(local_aws) as running:
        yield running


async def test_an_order_is_created_paid_and_shown(app):
    await app.aggregate(Orders).create("o-1", Decimal("99.99"))
    await app.drained(timeout=30)

    assert await app.find(OrderSummary, "o-1") == OrderSummary(id="o-1", total=Decimal("99.99"))
    order = await app.get(Order, "o-1")
    assert (order.total, order.paid) == (Decimal("99.99"), Decimal("99.99"))
    assert await app.find(OrderSummary, "o-2") is None
    with pytest.raises(NotFoundError, match="'o-2'"):
        await app.get(OrderSummary, "o-2")


async def test_many_orders_are_found_by_an_index(app):
    await app.send_many(
        [CreateOrder(order_id=f"o-{number}", total=Decimal(number)) for number in range(25)]
    )
    await app.drained(timeout=30)

    rows = await app.query(OrderSummary, order_by="-total", limit=3)
    assert [row.id for row in rows] == ["o-24", "o-23", "o-22"]
    assert len(await app.query(OrderSummary)) == 25
    for number in range(25):
        assert (await app.get(Order, f"o-{number}")).paid == number


async def test_a_replay_leaves_the_order_as_it_was(app):
    await app.send(CreateOrder(order_id="o-1", total=Decimal(5)))
    await app.drained(timeout=30)
    before = await app.get(Order, "o-1"), await app.get(OrderSummary, "o-1")

    replayed = await app.replay(Order, "o-1")

    assert replayed.commands == 2
    assert before == (await app.get(Order, "o-1"), await app.get(OrderSummary, "o-1"))


async def test_an_order_that_exists_is_not_created_again_in_process():
    async with in_process() as app:
        await app.aggregate(Orders).create("o-1", Decimal(1))
        with pytest.raises(AlreadyExistsError, match="'o-1'"):
            await app.aggregate(Orders).create("o-1", Decimal(2))
        await app.drained(timeout=30)
        assert (await app.get(Order, "o-1")).total == 1


async def test_the_same_program_goes_through_the_queues_it_names(local_aws):
    async with over_aws(local_aws) as app:
        await app.aggregate(Orders).create("o-1", Decimal(1))
        await app.drained(timeout=30)
        described = app.describe()

    assert {command["name"]: command["queue"] for command in described["commands"]} == {
        "CreateOrder": "orders.fifo",
        "orders.process-payment": "payments.fifo",
    }
    assert [event["topic"] for event in described["events"]] == ["order-events"]
    assert local_aws.calls["SendMessageBatch"] == 2
    assert local_aws.calls["PublishBatch"] == 1
