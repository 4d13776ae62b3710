"""Version 2 of a service on what version 1 has written, in each store and over a queue."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

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
    upcasts,
)
from sourceflow.bus.changes import Changes, Destination, OutboxRow, Stream
from sourceflow.bus.dead_letter import DeadLetterFilter
from sourceflow.bus.ports import StoresContext
from sourceflow.clock import SystemClock
from sourceflow.errors import MalformedError, ReplayError
from sourceflow.messages import Codec, Envelope, Registry
from sourceflow.stores.sql.stores import SqlStores


def first_version():
    class Pay(Command):
        order_id: Key[str]
        amount: Decimal

    class Paid(Event):
        order_id: Key[str]
        amount: Decimal

    class Order(Entity):
        id: Key[str]
        paid: Decimal = Decimal(0)

    class Summary(ViewModel):
        id: Key[str]
        paid: Decimal

    class Orders(Saga[Order]):
        @handles
        def pay(self, order: Order | None, command: Pay) -> Order:
            order = order or Order(id=command.order_id)
            self.raise_event(Paid(order_id=command.order_id, amount=command.amount))
            return replace(order, paid=order.paid + command.amount)

    class Summaries(View[Summary]):
        @projects
        def paid(self, row: Summary | None, event: Paid) -> Summary:
            return Summary(id=event.order_id, paid=event.amount + (row.paid if row else 0))

    return SimpleNamespace(**locals())


def second_version():
    """A pay has a currency, the event has another name too, and so have entity and row."""

    class Pay(Command, version=2):
        order_id: Key[str]
        amount: Decimal
        currency: str

    class PaymentMade(Event, version=2, aliases=("Paid",)):
        order_id: Key[str]
        amount: Decimal
        currency: str

    class Order(Entity):
        id: Key[str]
        balance: dict[str, Decimal]

    class Summary(ViewModel):
        id: Key[str]
        balance: dict[str, Decimal]

    class Orders(Saga[Order]):
        @handles
        def pay(self, order: Order | None, command: Pay) -> Order:
            order = order or Order(id=command.order_id, balance={})
            made = PaymentMade(
                order_id=command.order_id, amount=command.amount, currency=command.currency
            )
            self.raise_event(made)
            paid = order.balance.get(command.currency, Decimal(0)) + command.amount
            return replace(order, balance={**order.balance, command.currency: paid})

    class Summaries(View[Summary]):
        @projects
        def paid(self, row: Summary | None, event: PaymentMade) -> Summary:
            balance = row.balance if row else {}
            paid = balance.get(event.currency, Decimal(0)) + event.amount
            return Summary(id=event.order_id, balance={**balance, event.currency: paid})

    @upcasts(Pay, from_version=1)
    def pay_in_euro(data: dict) -> dict:
        return {**data, "currency": "EUR"}

    @upcasts(PaymentMade, from_version=1)
    def paid_in_euro(data: dict) -> dict:
        return {**data, "currency": "EUR"}

    return SimpleNamespace(**locals())


@pytest.fixture
def old():
    return first_version()


@pytest.fixture
def new():
    return second_version()


@pytest.fixture
async def written(old, stores):
    async with App([old.Orders, old.Summaries], name="orders", stores=stores()) as app:
        for amount in ("1.10", "2"):
            await app.send(old.Pay(order_id="o-1", amount=Decimal(amount)))
        await app.drained()
    return stores


async def test_the_next_version_replays_and_rebuilds_what_the_first_has_written(written, new):
    parts = [new.Orders, new.Summaries, new.pay_in_euro, new.paid_in_euro]
    async with App(parts, name="orders", stores=written()) as app:
        assert (await app.replay(new.Order, "o-1")).commands == 2
        rebuilt = await app.rebuild(new.Summaries)
        assert (rebuilt.events, rebuilt.rows) == (2, 1)
        wanted = {"EUR": Decimal("3.10")}
        assert (await app.get(new.Order, "o-1")).balance == wanted
        assert (await app.get(new.Summary, "o-1")).balance == wanted
        await app.send(new.Pay(order_id="o-1", amount=Decimal(5), currency="CLP"))
        assert (await app.get(new.Order, "o-1")).balance == {**wanted, "CLP": Decimal(5)}


async def test_the_next_version_looks_back_at_what_the_first_has_written(written, new):
    async with App([new.Orders, new.pay_in_euro], name="orders", stores=written()) as app:
        history = [each async for each in app.history(new.Order, "o-1")]
        assert [each.envelope.message for each in history] == [
            new.Pay(order_id="o-1", amount=Decimal("1.10"), currency="EUR"),
            new.Pay(order_id="o-1", amount=Decimal(2), currency="EUR"),
        ]
        first = new.Order(id="o-1", balance={"EUR": Decimal("1.10")})
        assert await app.at(new.Order, "o-1", sequence=1) == first
        assert await app.at(new.Order, "o-1", time=history[0].handled_at) == first
        assert await app.at(new.Order, "o-1", sequence=0) is None


async def read(history):
    return [each async for each in history]


async def test_what_no_longer_fits_is_named_and_nothing_is_half_done(written, old, new):
    async with App([new.Orders, new.Summaries], name="orders", stores=written()) as app:
        for again in (
            app.replay(new.Order, "o-1"),
            app.rebuild(new.Summaries),
            app.at(new.Order, "o-1", sequence=1),
            read(app.history(new.Order, "o-1")),
        ):
            with pytest.raises(ReplayError) as raised:
                await again
            error = raised.value
            assert (error.position, error.version, error.field) == (1, 1, "currency")
            assert error.type_name in {"Pay", "Paid"}
        with pytest.raises(MalformedError, match=r"Order does not fit: .*`balance`"):
            await app.send(new.Pay(order_id="o-1", amount=Decimal(1), currency="EUR"))
    async with App([old.Orders, old.Summaries], name="orders", stores=written()) as app:
        assert await app.get(old.Order, "o-1") == old.Order(id="o-1", paid=Decimal("3.10"))
        assert await app.get(old.Summary, "o-1") == old.Summary(id="o-1", paid=Decimal("3.10"))
        assert (await app.replay(old.Order, "o-1")).commands == 2


async def test_the_next_version_handles_what_the_first_has_sent(on_local_aws, old, new):
    async with App([old.Pay], name="shop").use(
        on_local_aws.transport(lambda bus: bus.send.command(old.Pay, queue="payments.fifo"))
    ) as app:
        await app.send(old.Pay(order_id="o-1", amount=Decimal("1.10")))
    async with App([new.Orders, new.pay_in_euro], name="orders").use(
        on_local_aws.transport(lambda bus: bus.listen.to.command_queue("payments.fifo"))
    ) as app:
        await app.drained()
        assert (await app.get(new.Order, "o-1")).balance == {"EUR": Decimal("1.10")}


async def test_what_an_upcaster_fails_on_is_a_dead_letter_that_names_it(on_local_aws, old, new):
    @upcasts(new.Pay, from_version=1)
    def spoiled(data: dict) -> dict:
        return {**data, "currency": data["order_id"]["currency"]}

    def configure(bus):
        return bus.send.command(old.Pay, queue="payments.fifo")

    async with App([old.Pay], name="shop").use(on_local_aws.transport(configure)) as app:
        await app.send(old.Pay(order_id="o-1", amount=Decimal(1)), message_id="m-1")
    async with App([new.Orders, spoiled], name="orders").use(
        on_local_aws.transport(lambda bus: bus.listen.to.command_queue("payments.fifo"))
    ) as app:
        await app.drained()
        (letter,) = await app.dead_letters.query(DeadLetterFilter())
        assert (letter.message_id, letter.reason, letter.attempts) == ("m-1", "Malformed", 1)
        assert "spoiled raised TypeError in line" in letter.error
        assert "o-1" not in letter.error


async def test_the_next_version_sends_what_the_first_has_left_in_its_outbox(tmp_path, old, new):
    url = f"sqlite:///{tmp_path / 'orders.db'}"
    received = []

    class Listeners(Aggregate[new.Order]):
        @subscribes(name="listener")
        def paid(self, event: new.PaymentMade) -> None:
            received.append(event)

    stores = SqlStores(url)
    await stores.open(StoresContext("orders", Codec(Registry([old.Paid])), SystemClock()))
    paid = Envelope(
        message=old.Paid(order_id="o-1", amount=Decimal(1)),
        id="e-1",
        source="/orders",
        time=SystemClock().now(),
        correlation_id="e-1",
    )
    row = OutboxRow(paid, Destination("subscriber", "listener"), Stream("Order", "o-1"))
    async with stores.begin() as uow:
        await uow.commit(Changes(outbox=[row]))
    await stores.aclose()
    async with App(
        [new.Orders, Listeners, new.paid_in_euro], name="orders", stores=SqlStores(url)
    ) as app:
        await app.drained()
        assert received == [new.PaymentMade(order_id="o-1", amount=Decimal(1), currency="EUR")]
