"""What type checkers must accept, and the types they must see: run by `make check`, and as a test."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, assert_type
from uuid import UUID

import msgspec
from msgspec.structs import replace
from sqlalchemy import Column, Integer, MetaData, Table, delete, insert, select, text, update

import sourceflow
from sourceflow import (
    API_KEY,
    CARD,
    CUSTOM,
    DELETE,
    EMAIL,
    IP_ADDRESS,
    NAME,
    PASSWORD,
    PHONE,
    SSN,
    Aggregate,
    App,
    ClaimState,
    Command,
    Condition,
    Connection,
    Context,
    Delete,
    Discard,
    Entity,
    Envelope,
    Event,
    Idempotency,
    Key,
    Masked,
    Middleware,
    Next,
    Reject,
    Retry,
    Saga,
    Sensitive,
    SensitiveKind,
    View,
    ViewModel,
    field,
    handles,
    masked,
    projects,
    redacted,
    subscribes,
    upcasts,
)
from sourceflow.bus.ports import ScheduledCommand
from sourceflow.errors import WiringError
from sourceflow.stores.memory import InMemoryIdempotency, MemoryStores
from sourceflow.stores.sql import SqlIdempotency
from sourceflow.testing import LocalAws, ManualClock, Outcome, absent, given, like
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


class CancelOrder(Command, name="orders.cancel", version=2, aliases=("orders.abort",)):
    order_id: Key[str]
    reason: str | None = None
    tags: list[str] = msgspec.field(default_factory=list)


class CountStock(Command):
    shelf: Key[int]


class OpenTicket(Command):
    ticket: Key[UUID]


class Order(Entity):
    id: Key[str]
    total: Decimal
    paid: Decimal = Decimal(0)


class OrderSummary(ViewModel, indexes=("total",)):
    id: Key[str]
    total: Decimal


class Archive(ViewModel, name="archive", indexes=()):
    id: Key[int]


@sourceflow.command
@dataclasses.dataclass(frozen=True)
class PlainCommand:
    order_id: Key[str]


@sourceflow.event(name="plain.event", version=3, aliases=("plain",))
@dataclasses.dataclass(frozen=True)
class PlainEvent:
    order_id: Key[str]


class OrderSaga(Saga[Order]):
    @handles(creates=True)
    async def create(self, command: CreateOrder) -> Order:
        self.raise_event(OrderCreated(order_id=command.order_id, total=command.total))
        return Order(id=command.order_id, total=command.total)

    @handles
    async def pay(self, order: Order, command: ProcessPayment) -> Order:
        return replace(order, paid=order.paid + command.amount)

    @handles
    def cancel(self, order: Order | None, command: CancelOrder) -> Order | Delete | None:
        if order is None:
            raise Reject("there is no such order")
        if order.paid:
            raise Retry(timedelta(seconds=5), reason="a refund is due")
        if command.reason is None:
            raise Discard("no reason, no effect")
        return DELETE if command.tags else None


class Stock(Saga[None]):
    def __init__(self, services: Sequence[str]) -> None:
        self.services = services

    @handles
    async def count(self, command: CountStock) -> None:
        assert_type(self.context, Context)
        assert_type(self.context.headers, Mapping[str, str])
        assert_type(self.context.sequence, int | None)
        assert_type(await self.find(Order, "o-1"), Order | None)
        assert_type(await self.get(OrderSummary, command.shelf), OrderSummary)
        large = (field("total") >= Decimal(10)) & ~field("id").in_(["o-1", "o-2"])
        assert_type(large, Condition)
        assert_type(field("total") == 1, Condition)
        rows = await self.query(OrderSummary, where=large | field("total").is_none(), limit=5)
        assert_type(rows, list[OrderSummary])
        await self.query(OrderSummary, where={"total": Decimal(1)}, after=rows[-1])
        self.raise_event(PlainEvent(order_id="o-1"))
        await self.write_down(await self.connection())

    async def write_down(self, connection: Connection) -> None:
        stock = Table("stock", MetaData(), Column("shelf", Integer))
        rows = await connection.execute(
            "SELECT shelf FROM stock WHERE shelf = :shelf", {"shelf": 1}
        )
        assert_type(rows, list[tuple[Any, ...]])
        await connection.execute(insert(stock), {"shelf": 1})
        await connection.execute(update(stock).values(shelf=2))
        await connection.execute(delete(stock))
        await connection.execute(select(stock.c.shelf))
        await connection.execute(text("SELECT 1"))


class Orders(Aggregate[Order]):
    async def create(self, order_id: str, total: Decimal) -> None:
        sent = await self.send(CreateOrder(order_id=order_id, total=total))
        assert_type(sent, str)

    @subscribes
    async def created(self, event: OrderCreated) -> None:
        await self.send(
            ProcessPayment(order_id=event.order_id, amount=event.total),
            message_id="payment-1",
            headers={"tenant": "a"},
            delay=timedelta(minutes=1),
        )
        assert_type(await self.cancel_send("payment-1"), bool)

    @subscribes(name="orders.plain")
    def plain(self, event: PlainEvent) -> None: ...


class OrderSummaries(View[OrderSummary]):
    @projects
    async def created(self, event: OrderCreated) -> OrderSummary:
        return OrderSummary(id=event.order_id, total=event.total)

    @projects(key=lambda event: event.order_id, name="summaries.plain")
    async def plain(self, row: OrderSummary | None, event: PlainEvent) -> OrderSummary | Delete:
        return DELETE if row is None else row


class Archives(View[Archive], lifecycle="async"):
    @projects(key=lambda _: [1, 2])
    def created(self, event: OrderCreated) -> Archive:
        return Archive(id=len(event.order_id))


class Audit(Middleware):
    # parameters of hooks are positional: `next` need not hide the builtin
    async def handle_command(self, message: Envelope[Any], call_next: Next) -> None:
        assert_type(message.id, str)
        assert_type(message.time, datetime)
        await call_next(message.with_headers({"audited": "yes"}))


def the_types_of_data() -> None:
    order = Order(id="o-1", total=Decimal(1))
    assert_type(order, Order)
    assert_type(order.id, str)
    assert_type(replace(order, paid=Decimal(1)), Order)
    assert_type(OrderSummary(id="o-1", total=order.total), OrderSummary)
    assert_type(OrderCreated(order_id="o-1", total=order.total), OrderCreated)
    assert_type(CountStock(shelf=1).shelf, int)
    assert_type(OpenTicket(ticket=UUID(int=1)).ticket, UUID)
    assert_type(CancelOrder(order_id="o-1").tags, list[str])
    assert_type(PlainCommand(order_id="o-1"), PlainCommand)


def the_types_of_handlers(saga: OrderSaga, orders: Orders) -> None:
    # a decorator leaves the method's own type
    assert_type(saga.cancel(None, CancelOrder(order_id="o-1")), Order | Delete | None)
    orders.plain(PlainEvent(order_id="o-1"))


def build() -> App:
    aws = AwsTransport(
        AwsOptions(region="us-east-1", max_concurrent_calls=10),
        lambda bus: (
            bus.send.command(CreateOrder, queue="orders.fifo")
            .command(ProcessPayment, queue="payments.fifo")
            .raise_.event(OrderCreated, topic="order-events")
            .listen.to.command_queue("orders.fifo")
            .command_queue("payments.fifo", max_concurrent_calls=2)
            .subscribe.to.topic("order-events")
        ),
    )
    app = App(
        [OrderSaga, Orders, OrderSummaries, Archives, Stock],
        name="orders",
        stores=MemoryStores(),
        services=[("a", "b")],
        idempotency=SqlIdempotency("sqlite:///keys.db", cleanup_interval=timedelta(minutes=5)),
        middleware=[Audit()],
        clock=ManualClock(),
    )
    assert_type(app.use(aws), App)
    return app


async def use(app: App) -> None:
    async with app as started, LocalAws() as local:
        assert_type(started, App)
        assert_type(local.endpoint_url, str)
        await app.aggregate(Orders).create("o-1", Decimal("99.99"))
        assert_type(app.aggregate(Orders), Orders)
        command = CreateOrder(order_id="o-2", total=Decimal(1))
        assert_type(await app.send(command, message_id="m-1", headers={}), str)
        await app.send(command, at=datetime(2030, 1, 1, tzinfo=UTC))
        assert_type(await app.cancel("m-1"), bool)
        assert_type(await app.scheduled(limit=10), Sequence[ScheduledCommand])
        assert_type(await app.send_many([command, PlainCommand(order_id="o-2")]), list[str])
        await app.drained(timeout=30)
        await app.drained(timeout=timedelta(seconds=30))
        assert_type(await app.find(OrderSummary, "o-1"), OrderSummary | None)
        assert_type(await app.get(Order, "o-1"), Order)
        found = await app.query(
            OrderSummary, where={"total": Decimal(1)}, order_by="-total", limit=10
        )
        assert_type(found, list[OrderSummary])
        await app.query(OrderSummary, after=found[-1])
        async for entry in app.history(Order, "o-1", after=1):
            assert_type(entry.position, int)
            assert_type(entry.handled_at, datetime)
            assert_type(entry.envelope, Envelope[Any])
        assert_type(await app.at(Order, "o-1", sequence=1), Order | None)
        assert_type(await app.at(Order, "o-1", time=datetime.now(UTC)), Order | None)
        await app.replay(Order, "o-1")
        await app.rebuild(OrderSummaries)
        assert_type(app.describe(), dict[str, Any])


@upcasts(CancelOrder, from_version=1)
def with_reason(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "reason": "none"}


assert_type(with_reason({}), dict[str, Any])
App([OrderSaga, CancelOrder, with_reason], name="orders")


async def once(idempotency: Idempotency) -> None:
    services: list[Idempotency] = [idempotency, InMemoryIdempotency(), SqlIdempotency("sqlite://")]
    claim = await services[0].claim("k", timedelta(seconds=30))
    assert_type(claim.state, ClaimState)
    assert_type(claim.remaining, timedelta)
    assert_type(await idempotency.complete("k", token=claim.token), bool)
    assert_type((await idempotency.statistics()).unique_messages, int)


class Charge(Command):
    order_id: Key[str]
    card: Annotated[str, Sensitive(CARD)]
    owner: Annotated[str, Sensitive("name")] | None = None
    codes: dict[str, Annotated[str, Sensitive()]] | None = None


charge = Charge(order_id="o-1", card="4111-1111-1111-1234")
assert_type(charge.card, str)
assert_type(charge.owner, str | None)
assert_type(masked(charge), str)
assert_type(str(Masked([charge])), str)
assert_type(redacted("text", charge), str)
assert_type(Sensitive(API_KEY).kind, SensitiveKind)
for kind in (CARD, CUSTOM, EMAIL, IP_ADDRESS, NAME, PASSWORD, PHONE, SSN):
    Sensitive(kind)


async def work(app: App) -> None:
    try:
        await app.run()
    except WiringError as error:
        assert_type(error.faults, tuple[str, ...])


async def scenarios(app: App) -> None:
    order = CreateOrder(order_id="o-1", total=Decimal(1))
    event = OrderCreated(order_id="o-1", total=Decimal(1))
    scenario = given(order, event, Order(id="o-1", total=Decimal(1)), timedelta(days=1), app=app)
    outcome = (
        await scenario.when(order)
        .twice()
        .after(timedelta(days=1))
        .then(
            event,
            order,
            like(Order, id="o-1"),
            absent(OrderSummary, "o-1"),
            OrderSummary(id="o-1", total=Decimal(1)),
        )
    )
    assert_type(outcome, Outcome)
    assert_type(outcome.error, BaseException | None)
    await given(app=lambda: app).when(timedelta(days=1)).then()
    await given(app=app, clock=ManualClock()).when(event).then_raises(ValueError, match="no")
