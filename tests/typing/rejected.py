"""What type checkers must refuse: each line that ends in `# error`, and no other.

`# error: pyright` stands where mypy cannot see it: it does not look at a metaclass's keywords.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, assert_type
from uuid import UUID

from sourceflow import (
    Aggregate,
    App,
    Command,
    Entity,
    Event,
    Key,
    Saga,
    Sensitive,
    View,
    ViewModel,
    field,
    handles,
    projects,
    subscribes,
    upcasts,
)
from sourceflow.testing import absent, given
from sourceflow.transports.aws import AwsOptions, AwsTransport


class CreateOrder(Command):
    order_id: Key[str]
    total: Decimal


class OrderCreated(Event):
    order_id: Key[str]
    total: Decimal


class Order(Entity):
    id: Key[str]
    total: Decimal = Decimal(0)


class OrderSummary(ViewModel, indexes=("total",)):
    id: Key[str]
    total: Decimal


class NotAComponent:
    pass


Sensitive("credit card")  # error


class WrongVersion(Command, version="2"):  # error: pyright
    order_id: Key[str]


class WrongAliases(Event, aliases=[1]):  # error: pyright
    order_id: Key[str]


class WrongIndexes(ViewModel, indexes="id"):  # error: pyright
    id: Key[str]


class WrongKey(Command):
    order_id: Key[float]  # error


class WrongLifecycle(View[OrderSummary], lifecycle="later"):  # error
    pass


def construction() -> None:
    CreateOrder(order_id=1, total=Decimal(1))  # error
    CreateOrder(order_id="o-1", total="1")  # error
    CreateOrder(order_id=UUID(int=1), total=Decimal(1))  # error
    CreateOrder(order_id="o-1", total=None)  # error
    CreateOrder("o-1", Decimal(1))  # error
    CreateOrder(order_id="o-1")  # error
    CreateOrder(order_id="o-1", total=Decimal(1), paid=True)  # error
    OrderCreated(order_id="o-1")  # error
    Order("o-1")  # error
    Order(id=1)  # error
    OrderSummary(id="o-1")  # error


def frozen(command: CreateOrder, event: OrderCreated, order: Order, row: OrderSummary) -> None:
    command.total = Decimal(2)  # error
    event.order_id = "o-2"  # error
    order.total = Decimal(2)  # error
    row.total = Decimal(2)  # error
    str(command.paid)  # error


class Handlers(Saga[Order]):
    @handles(create=True)  # error
    async def create(self, command: CreateOrder) -> Order:
        self.raise_event()  # error
        self.send(command)  # error
        return Order(id=command.order_id)

    @handles(name="orders.second")  # error
    async def second(self, command: CreateOrder) -> None:
        self.context.attempt = 2  # error
        order = await self.find(Order, command.order_id)
        str(order.total)  # error
        await self.find(NotAComponent, command.order_id)  # error
        await self.get(Order, 1.5)  # error
        await self.query(Order)  # error
        connection = await self.connection()
        await connection.execute(1)  # error
        await connection.execute("SELECT :a", [1])  # error
        await connection.commit()  # error
        self.connection().execute("SELECT 1")  # error
        await self.query(OrderSummary, where="total")  # error
        await self.query(OrderSummary, where=(field("total") > 1) and True)  # error
        await self.query(OrderSummary, where=(field("total") == 1) & True)  # error
        await self.send(command, message_id=1)  # error
        await self.send(command, headers={"a": 1})  # error
        await self.send(command, delay=5)  # error
        await self.send(command, at="2030-01-01")  # error


class Orders(Aggregate[Order]):
    @subscribes(key=1)  # error
    async def created(self, event: OrderCreated) -> None:
        self.raise_event(event)  # error

    async def total(self, order_id: str) -> Decimal:
        return await self.get(Order, order_id)  # error


class Summaries(View[OrderSummary]):
    @projects(key=1)  # error
    async def created(self, event: OrderCreated) -> OrderSummary:
        await self.send(CreateOrder(order_id="o-1", total=event.total))  # error
        return OrderSummary(id=event.order_id, total=event.total)


async def use(app: App, command: CreateOrder) -> None:
    App([Handlers])  # error
    App([Handlers], "orders")  # error
    App([Handlers], name="orders", middleware=[NotAComponent()])  # error
    app.send(command)  # error
    app.drained()  # error
    app.aggregate(Handlers)  # error
    await app.send(command, "m-1")  # error
    await app.rebuild(OrderSummary)  # error
    await app.replay(OrderSummary, "o-1")  # error
    app.history(OrderSummary, "o-1")  # error
    await app.history(Order, "o-1")  # error
    await app.at(Order, "o-1")  # error
    await app.at(Order, "o-1", 3)  # error
    await app.at(Order, "o-1", sequence=3, time=None)  # error
    await app.at(OrderSummary, "o-1", sequence=3)  # error
    await app.query(OrderSummary, 10)  # error
    assert_type(await app.find(Order, "o-1"), Order)  # error
    app.use(NotAComponent())  # error


@upcasts(CreateOrder)  # error
def unversioned(data: dict[str, Any]) -> dict[str, Any]:
    return data


@upcasts(CreateOrder, from_version=1)  # error
def of_text(data: str) -> str:
    return data


@upcasts(CreateOrder, from_version=1)  # error
async def later(data: dict[str, Any]) -> dict[str, Any]:
    return data


def transport() -> None:
    AwsOptions("us-east-1")  # error
    AwsOptions(region="us-east-1", max_calls=1)  # error
    AwsOptions(region="us-east-1", wait_time=20)  # error
    AwsOptions(region="us-east-1", provisioning="always")  # error
    AwsOptions(region="us-east-1").region = "eu-west-1"  # error
    AwsTransport(AwsOptions(region="us-east-1"), lambda bus: bus.send.command(CreateOrder))  # error
    AwsTransport(AwsOptions(region="us-east-1"), lambda bus: bus.sends)  # error


async def scenarios(app: App, command: CreateOrder) -> None:
    given(command)  # error
    given(app=Handlers)  # error
    given(app=app).when()  # error
    given(app=app).when(command).after(5)  # error
    given(app=app).when(command).then()  # error
    await given(app=app).when(command).then_raises("too low")  # error
    await given(app=app).then(command)  # error
    absent(CreateOrder, "o-1")  # error
