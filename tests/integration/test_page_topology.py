"""A service that sends to two FIFO queues and two topics, and listens to all four."""

from __future__ import annotations

import asyncio
from collections import Counter
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
    Observer,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
    subscribes,
)
from sourceflow.bus.changes import Stream
from sourceflow.transports.aws.client import DirectClient, SqsClient, resolve_endpoint


class CreateOrder(Command):
    order_id: Key[str]
    total: Decimal


class ProcessPayment(Command):
    payment_id: Key[str]
    amount: Decimal


class OrderCreated(Event):
    order_id: Key[str]
    total: Decimal


class PaymentProcessed(Event):
    payment_id: Key[str]
    amount: Decimal


class Order(Entity):
    id: Key[str]
    total: Decimal


class Payment(Entity):
    id: Key[str]
    amount: Decimal


class OrderStatus(ViewModel):
    id: Key[str]
    total: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)


class OrderSaga(Saga[Order]):
    @handles(creates=True)
    async def create(self, command: CreateOrder) -> Order:
        self.raise_event(OrderCreated(order_id=command.order_id, total=command.total))
        return Order(id=command.order_id, total=command.total)


class PaymentSaga(Saga[Payment]):
    @handles(creates=True)
    async def process(self, command: ProcessPayment) -> Payment:
        self.raise_event(PaymentProcessed(payment_id=command.payment_id, amount=command.amount))
        return Payment(id=command.payment_id, amount=command.amount)


class Orders(Aggregate[Order]):
    @subscribes
    async def created(self, event: OrderCreated) -> None:
        await self.send(ProcessPayment(payment_id=event.order_id, amount=event.total))


class OrderStatuses(View[OrderStatus], lifecycle="async"):
    @projects
    async def created(self, event: OrderCreated, row: OrderStatus | None) -> OrderStatus:
        return replace(row or OrderStatus(id=event.order_id), total=event.total)

    @projects
    async def paid(self, event: PaymentProcessed, row: OrderStatus | None) -> OrderStatus:
        row = row or OrderStatus(id=event.payment_id)
        return replace(row, paid=row.paid + event.amount)


class Meter(Observer):
    """Counts what is handled, projected, sent and given up."""

    def __init__(self):
        self.handled_commands = Counter()
        self.sequences = []
        self.projections = Counter()
        self.sends = Counter()
        self.letters = []

    def handled(self, envelope, sequence, seconds):
        self.handled_commands[envelope.type_name] += 1
        self.sequences.append(sequence)

    def projected(self, envelope, subscriber):
        self.projections[subscriber] += 1

    def sent(self, envelope, destination, error):
        assert error is None
        self.sends[f"{envelope.type_name} -> {destination.name}"] += 1

    def dead_lettered(self, letter):
        self.letters.append(letter)


def page(bus):
    return (
        bus.send.command(CreateOrder, queue="orders.fifo")
        .command(ProcessPayment, queue="payments.fifo")
        .raise_.event(OrderCreated, topic="order-events")
        .event(PaymentProcessed, topic="payment-events")
        .listen.to.command_queue("orders.fifo")
        .command_queue("payments.fifo")
        .subscribe.to.topic("order-events")
        .topic("payment-events")
    )


def page_app(backend, meter):
    return App([OrderSaga, PaymentSaga, Orders, OrderStatuses], name="orders", observer=meter).use(
        backend.transport(page)
    )


@pytest.fixture
def meter():
    return Meter()


async def positions(app, entity, key):
    return [each.position async for each in app._running.stores.commands.read(Stream(entity, key))]


async def test_each_message_travels_once_through_its_queue_or_topic(backend, meter):
    orders = [CreateOrder(order_id=f"o-{n}", total=Decimal(n)) for n in range(1, 13)]
    async with page_app(backend, meter) as app:
        await app.send_many(orders)
        await app.drained(timeout=60)

        statuses = await app.query(OrderStatus)

    assert len(statuses) == 12
    assert all(status.total == status.paid == Decimal(status.id[2:]) for status in statuses)
    assert meter.handled_commands == {"CreateOrder": 12, "ProcessPayment": 12}
    assert meter.projections == {
        "Orders.created": 12,
        "OrderStatuses.created": 12,
        "OrderStatuses.paid": 12,
    }
    assert meter.sends == {
        "CreateOrder -> orders.fifo": 12,
        "ProcessPayment -> payments.fifo": 12,
        "OrderCreated -> order-events": 12,
        "PaymentProcessed -> payment-events": 12,
    }
    assert meter.letters == []


async def test_what_two_queues_and_two_topics_need_is_provisioned_once(backend, meter):
    for _ in range(2):
        async with page_app(backend, meter):
            pass

    async with DirectClient() as http:
        sqs = SqsClient(
            endpoint=await resolve_endpoint(
                "sqs", region="us-east-1", endpoint_url=backend.endpoint_url
            ),
            credentials=backend.credentials,
            http=http,
        )
        for name in ("orders.fifo", "payments.fifo", "orders-events"):
            url = await sqs.get_queue_url(backend.prefix + name)
            found = await sqs.get_queue_attributes(url, ("RedrivePolicy", "Policy"))
            assert "-dlq" in found["RedrivePolicy"]
            assert ("sns.amazonaws.com" in found.get("Policy", "")) == (name == "orders-events")


def deposits(bank):
    return lambda bus: (
        bus.send.command(bank.OpenAccount, queue="accounts.fifo")
        .command(bank.Deposit, queue="accounts.fifo")
        .raise_.event(bank.AccountOpened, topic="account-events")
        .event(bank.AccountUsed, topic="account-events")
        .listen.to.command_queue("accounts.fifo")
        .subscribe.to.topic("account-events")
    )


async def test_a_deposit_through_sqs_changes_the_balance_once_and_is_projected_once(
    backend, bank, meter
):
    app = App(bank.COMPONENTS, name="bank", observer=meter).use(backend.transport(deposits(bank)))
    async with app:
        accounts = app.aggregate(bank.Accounts)
        await accounts.open("a-1", "John Doe", Decimal(1000))
        await app.drained(timeout=60)
        meter.projections.clear()

        await accounts.deposit("a-1", Decimal(500))
        await app.drained(timeout=60)

        assert (await app.get(bank.Account, "a-1")).balance == Decimal(1500)
        row = await app.get(bank.AccountView, "a-1")
        assert (row.balance, row.transactions) == (Decimal(1500), 1)
        assert await positions(app, "Account", "a-1") == [1, 2]
    assert meter.handled_commands == {"OpenAccount": 1, "Deposit": 1}
    assert meter.projections == {"AccountViews.used": 1}


async def test_replay_makes_no_aws_call(on_local_aws, meter):
    calls = on_local_aws.local.calls

    def made():
        """Everything but the listeners' own long polls."""
        return {name: count for name, count in calls.items() if name != "ReceiveMessage"}

    async with page_app(on_local_aws, meter) as app:
        await app.send(CreateOrder(order_id="o-1", total=Decimal(5)))
        await app.drained(timeout=30)
        before, sends = made(), Counter(meter.sends)
        status = await app.get(OrderStatus, "o-1")

        replayed = await app.replay(Order, "o-1")
        await app.replay(Payment, "o-1")
        rebuilt = await app.rebuild(OrderStatuses)
        await asyncio.sleep(0)  # what a replay had let loose would have its turn

        assert (replayed.commands, rebuilt.events) == (1, 2)
        assert made() == before
        assert meter.sends == sends
        assert app._running.relay.waiting == 0
        assert await app.get(OrderStatus, "o-1") == status


class Count(Command):
    counter_id: Key[str]


class Counted(Event):
    counter_id: Key[str]
    number: int


class Tally(Entity, name="Counter"):
    id: Key[str]
    count: int = 0


class Numbers(ViewModel):
    id: Key[str]
    numbers: tuple[int, ...] = ()


class CounterSaga(Saga[Tally]):
    @handles
    async def count(self, counter: Tally | None, command: Count) -> Tally:
        counter = counter or Tally(id=command.counter_id)
        await asyncio.sleep(0.001)  # others get in between, if anything lets them
        self.raise_event(Counted(counter_id=command.counter_id, number=self.context.sequence))
        return replace(counter, count=counter.count + 1)


class NumbersView(View[Numbers], lifecycle="async"):
    @projects
    async def counted(self, event: Counted, row: Numbers | None) -> Numbers:
        row = row or Numbers(id=event.counter_id)
        return replace(row, numbers=(*row.numbers, event.number))


def counting(queue):
    return lambda bus: (
        bus.send.command(Count, queue=queue)
        .raise_.event(Counted, topic="counts")
        .listen.to.command_queue(queue)
        .subscribe.to.topic("counts")
    )


def counter_app(meter):
    return App([CounterSaga, NumbersView], name="counter", observer=meter)


async def count_fifty(app, meter):
    async with app:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(50):
                tasks.create_task(app.send(Count(counter_id="c-1")))
        await app.drained(timeout=60)

        one_to_fifty = list(range(1, 51))
        assert (await app.get(Tally, "c-1")).count == 50
        assert await positions(app, "Counter", "c-1") == one_to_fifty
        assert sorted((await app.get(Numbers, "c-1")).numbers) == one_to_fifty
        assert sorted(meter.sequences) == one_to_fifty


async def test_fifty_concurrent_commands_in_process_are_numbered_without_a_gap(meter):
    await count_fifty(counter_app(meter), meter)


@pytest.mark.parametrize("queue", ["counts.fifo", "counts"])
async def test_fifty_concurrent_commands_through_sqs_are_numbered_without_a_gap(
    backend, meter, queue
):
    transport = backend.transport(counting(queue), max_concurrent_calls=50)
    await count_fifty(counter_app(meter).use(transport), meter)
