"""``self.connection()``: a table of the user's own, in the transaction of the handler."""

from __future__ import annotations

import asyncio
from contextvars import Context
from datetime import UTC, datetime

import pytest

from sourceflow import (
    Aggregate,
    App,
    Command,
    Connection,
    Entity,
    Event,
    Key,
    Middleware,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
    subscribes,
)
from sourceflow.errors import (
    ConstraintError,
    Discard,
    HandlerEndedError,
    NoConnectionError,
    ReplayError,
    StatementError,
)
from sourceflow.messages import Envelope


class Pay(Command):
    order_id: Key[str]
    amount: int = 1


class Ship(Command):
    order_id: Key[str]


class Paid(Event):
    order_id: Key[str]
    amount: int = 1


class Shipped(Event):
    order_id: Key[str]


class Order(Entity):
    id: Key[str]
    paid: int = 0


class Payment(ViewModel):
    id: Key[str]


class Play:
    """What the handlers of a test do, each by its name."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.parts = {}

    async def act(self, part, component, message):
        if part in self.parts:
            await self.parts[part](component, message)

    async def enter(self, connection: Connection, key):
        await connection.execute(f"INSERT INTO {self.ledger} (id) VALUES (:key)", {"key": key})

    async def enter_in(self, component, key):
        await self.enter(await component.connection(), key)


class Orders(Saga[Order]):
    def __init__(self, play: Play) -> None:
        self.play = play

    @handles
    async def pay(self, order: Order | None, command: Pay) -> Order:
        await self.play.act("pay", self, command)
        self.raise_event(Paid(order_id=command.order_id, amount=command.amount))
        paid = 0 if order is None else order.paid
        return Order(id=command.order_id, paid=paid + command.amount)

    @handles
    async def ship(self, command: Ship) -> None:
        await self.play.act("ship", self, command)


class Desk(Aggregate[Order]):
    def __init__(self, play: Play) -> None:
        self.play = play

    @subscribes
    async def first(self, event: Shipped) -> None:
        await self.play.act("first", self, event)

    @subscribes
    async def second(self, event: Shipped) -> None:
        await self.play.act("second", self, event)

    @subscribes
    async def third(self, event: Shipped) -> None:
        await self.play.act("third", self, event)


class Payments(View[Payment]):
    def __init__(self, play: Play) -> None:
        self.play = play

    @projects(key=lambda event: [f"{event.order_id}/{number}" for number in range(event.amount)])
    async def paid(self, payment: Payment | None, event: Paid) -> Payment | None:
        await self.play.act("paid", self, event)


class Bench:
    def __init__(self, database):
        self.database = database
        self.play = Play(database.name("ledger"))
        self.plays = self.play.parts

    def app(self, *, middleware=(), **options):
        return App(
            [Orders, Desk, Payments],
            name="shop",
            stores=self.database.stores(**options),
            services=[self.play],
            middleware=middleware,
        )

    async def ledger(self):
        rows = await self.database.run(f"SELECT id FROM {self.play.ledger} ORDER BY id")
        return [key for (key,) in rows]

    def enters(self, key=None):
        """A part that writes into the ledger."""

        async def part(component, message):
            await self.play.enter_in(component, key or message.order_id)

        return part

    def enters_and_raises(self, error, key="never"):
        async def part(component, _):
            await self.play.enter_in(component, key)
            raise error

        return part

    def enters_twice_and_goes_on(self, key="never"):
        async def part(component, _):
            await self.play.enter_in(component, key)
            with pytest.raises(ConstraintError):
                await self.play.enter_in(component, key)

        return part


@pytest.fixture
async def bench(database):
    bench = Bench(database)
    if database.schema is not None:
        await database.run(f"CREATE SCHEMA {database.schema}")
    await database.run(f"CREATE TABLE {bench.play.ledger} (id varchar(50) PRIMARY KEY)")
    return bench


def shipped(message_id="m-1"):
    return Envelope(
        message=Shipped(order_id="o-1"),
        id=message_id,
        source="/elsewhere",
        time=datetime(2026, 5, 1, tzinfo=UTC),
        correlation_id=message_id,
    )


async def deliver(app, event):
    return await app._running.events.deliver(event, arrived=True)


async def test_a_table_of_the_users_own_changes_with_everything_else(bench):
    bench.plays["pay"] = bench.enters()

    async with bench.app() as app:
        await app.send(Pay(order_id="o-1"))
        assert await app.find(Order, "o-1") == Order(id="o-1", paid=1)

    assert await bench.ledger() == ["o-1"]


async def test_a_handler_reads_what_it_has_written(bench):
    async def pay(saga, command):
        connection = await saga.connection()
        await bench.play.enter(connection, "a")
        seen.append(await connection.execute(f"SELECT id FROM {bench.play.ledger}"))
        seen.append(await saga.find(Order, command.order_id))
        seen.append(await saga.query(Payment))

    seen = []
    bench.plays["pay"] = pay
    async with bench.app() as app:
        await app.send(Pay(order_id="o-1"))

    assert seen == [[("a",)], None, []]


async def test_a_failing_handler_leaves_nothing_of_its_own(bench):
    bench.plays["pay"] = bench.enters_and_raises(OSError("mine"))

    async with bench.app() as app:
        with pytest.raises(OSError, match="mine"):
            await app.send(Pay(order_id="o-1"))
        assert await app.find(Order, "o-1") is None

    assert await bench.ledger() == []


async def test_a_lost_race_is_undone_and_run_again(bench):
    async def pay(saga, command):
        runs.append(command.amount)
        if len(runs) == 1:  # another instance is quicker
            quicker = other.send(Pay(order_id="o-1", amount=10))
            await asyncio.create_task(quicker, context=Context())
        await bench.play.enter_in(saga, f"{command.amount}")

    runs = []
    bench.plays["pay"] = pay
    async with bench.app() as other, bench.app() as app:
        await app.send(Pay(order_id="o-1", amount=1))
        assert await app.find(Order, "o-1") == Order(id="o-1", paid=11)

    assert runs == [1, 10, 1]
    assert await bench.ledger() == ["1", "10"]


async def test_of_three_subscribers_only_the_failing_one_leaves_nothing(bench):
    bench.plays["first"] = bench.enters("first")
    bench.plays["second"] = bench.enters_and_raises(ValueError("mine"))
    bench.plays["third"] = bench.enters("third")

    async with bench.app() as app:
        delivered = await deliver(app, shipped())
        assert [name for name, _ in delivered.failed] == ["Desk.second"]
        assert await bench.ledger() == ["first", "third"]

        bench.plays["second"] = bench.enters("second")
        delivered = await deliver(app, shipped())
        assert delivered.projected == ["Desk.second"]

    assert await bench.ledger() == ["first", "second", "third"]


@pytest.mark.parametrize("failing", ["first", "second", "third"])
async def test_a_subscriber_that_swallows_its_failed_statement_has_failed(bench, failing):
    for part in ("first", "second", "third"):
        bench.plays[part] = bench.enters(part)
    bench.plays[failing] = bench.enters_twice_and_goes_on()

    async with bench.app() as app:
        delivered = await deliver(app, shipped())

    ((name, error),) = delivered.failed
    assert name == f"Desk.{failing}"
    assert isinstance(error, ConstraintError)
    assert await bench.ledger() == sorted({"first", "second", "third"} - {failing})


async def test_a_subscriber_that_discards_its_event_leaves_nothing(bench):
    bench.plays["first"] = bench.enters("first")
    bench.plays["second"] = bench.enters_and_raises(Discard("not mine"))

    async with bench.app() as app:
        delivered = await deliver(app, shipped())
        assert delivered.failed == []
        assert not (await deliver(app, shipped())).fresh

    assert await bench.ledger() == ["first"]


async def test_a_saga_that_swallows_its_failed_statement_has_failed(bench):
    bench.plays["pay"] = bench.enters_twice_and_goes_on()

    async with bench.app() as app:
        with pytest.raises(ConstraintError):
            await app.send(Pay(order_id="o-1"))
        assert await app.find(Order, "o-1") is None

    assert await bench.ledger() == []


async def test_a_handler_may_turn_a_failed_statement_into_its_own_error(bench):
    async def pay(saga, _):
        await bench.play.enter_in(saga, "a")
        try:
            await bench.play.enter_in(saga, "a")
        except ConstraintError:
            raise LookupError("a is there") from None

    bench.plays["pay"] = pay
    async with bench.app() as app:
        with pytest.raises(LookupError, match="a is there"):
            await app.send(Pay(order_id="o-1"))


async def test_an_inline_view_writes_with_the_command(bench):
    numbers = iter("abc")

    async def paid(view, _):
        await bench.play.enter_in(view, f"view {next(numbers)}")

    bench.plays["pay"] = bench.enters()
    bench.plays["paid"] = paid
    async with bench.app() as app:
        await app.send(Pay(order_id="o-1", amount=3))  # a projection of three rows

    assert await bench.ledger() == ["o-1", "view a", "view b", "view c"]


async def test_a_failing_inline_view_takes_everything_back(bench):
    bench.plays["pay"] = bench.enters()
    bench.plays["paid"] = bench.enters_and_raises(OSError("mine"))

    async with bench.app() as app:
        with pytest.raises(OSError, match="mine"):
            await app.send(Pay(order_id="o-1"))

    assert await bench.ledger() == []


class Twice(Middleware):
    async def handle_command(self, message, next):  # noqa: A002
        await next(message)
        await next(message)

    async def handle_event(self, message, next):  # noqa: A002
        await next(message)
        await next(message)


async def test_a_handler_that_a_hook_runs_twice_writes_once(bench):
    bench.plays["pay"] = bench.enters()
    bench.plays["paid"] = bench.enters("view")
    bench.plays["second"] = bench.enters("second")

    async with bench.app(middleware=[Twice()]) as app:
        await app.send(Pay(order_id="o-1"))
        await deliver(app, shipped())

    assert await bench.ledger() == ["o-1", "second", "view"]


class Lenient(Middleware):
    async def handle_command(self, message, next):  # noqa: A002
        try:
            await next(message)
        except OSError:
            return

    handle_event = handle_command


async def test_a_failure_that_a_hook_catches_leaves_nothing(bench):
    bench.plays["pay"] = bench.enters()
    bench.plays["ship"] = bench.enters_and_raises(OSError("mine"))
    bench.plays["paid"] = bench.enters_and_raises(OSError("mine"))

    async with bench.app(middleware=[Lenient()]) as app:
        await app.send(Ship(order_id="o-1"))
        assert await bench.ledger() == []
        await app.send(Pay(order_id="o-1"))

    assert await bench.ledger() == ["o-1"]


async def test_after_its_handler_a_connection_refuses(bench):
    async def pay(saga, _):
        kept.append(saga)
        kept.append(await saga.connection())

    kept = []
    bench.plays["pay"] = pay
    async with bench.app() as app:
        await app.send(Pay(order_id="o-1"))
        saga, connection = kept
        with pytest.raises(
            HandlerEndedError, match="a statement of its own came after its handler"
        ):
            await connection.execute("SELECT 1")
        with pytest.raises(HandlerEndedError, match=r"self.connection\(\) came after"):
            await saga.connection()


async def test_history_that_is_run_again_has_no_connection(bench):
    bench.plays["pay"] = bench.enters()
    async with bench.app() as app:
        await app.send(Pay(order_id="o-1"))
        with pytest.raises(ReplayError, match="is_replay") as stopped:
            await app.replay(Order, "o-1")
        assert isinstance(stopped.value.__cause__, NoConnectionError)

        bench.plays["paid"] = bench.enters("view")
        with pytest.raises(ReplayError, match="is_replay"):
            await app.rebuild(Payments)

    assert await bench.ledger() == ["o-1"]


async def test_a_handler_that_looks_at_is_replay_can_be_run_again(bench):
    async def pay(saga, command):
        if not saga.context.is_replay:
            await bench.play.enter_in(saga, command.order_id)

    bench.plays["pay"] = pay
    async with bench.app() as app:
        await app.send(Pay(order_id="o-1"))
        assert (await app.replay(Order, "o-1")).commands == 1

    assert await bench.ledger() == ["o-1"]


async def test_what_a_handler_causes_is_handled_after_its_commit(bench):
    async def pay(saga, _):
        await saga.send(Ship(order_id="o-1"))
        await bench.play.enter_in(saga, "pay")

    async def ship(saga, _):
        rows = await (await saga.connection()).execute(f"SELECT id FROM {bench.play.ledger}")
        seen.append(rows)

    seen = []
    bench.plays |= {"pay": pay, "ship": ship}
    async with bench.app() as app:
        await app.send(Pay(order_id="o-1"))
        await app.drained(timeout=30)

    assert seen == [[("pay",)]]


async def test_at_the_edge_there_is_no_connection(bench):
    async with bench.app() as app:
        with pytest.raises(NoConnectionError, match="belongs to handlers"):
            await app.aggregate(Desk).connection()


async def test_a_statement_that_cannot_be_run_names_its_fault(bench):
    async def pay(saga, _):
        await (await saga.connection()).execute("INSERT INTO nowhere VALUES (1)")

    bench.plays["pay"] = pay
    async with bench.app() as app:
        with pytest.raises(StatementError, match="nowhere") as failed:
            await app.send(Pay(order_id="o-1"))

    assert not isinstance(failed.value, ConstraintError)


async def test_50_handlers_with_two_connections_all_read_and_write(bench):
    async def pay(saga, command):
        await saga.find(Order, "o-1")
        await bench.play.enter_in(saga, command.order_id)
        running.append(command.order_id)
        await saga.find(Order, command.order_id)
        await saga.find(Payment, "o-1")
        await saga.query(Payment, limit=1)

    running = []
    keys = [f"o-{number:02}" for number in range(50)]
    bench.plays["pay"] = pay
    bench.plays["paid"] = lambda view, event: bench.play.enter_in(view, f"view {event.order_id}")
    async with asyncio.timeout(100), bench.app(pool_size=2) as app:
        await asyncio.gather(*(app.send(Pay(order_id=key)) for key in keys))

    assert await bench.ledger() == [*keys, *(f"view {key}" for key in keys)]
