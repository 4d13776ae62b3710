"""History run again: what is swapped in, what is left alone, and that nothing leaves."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from msgspec.structs import replace

from sourceflow import (
    DELETE,
    Aggregate,
    App,
    Command,
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
from sourceflow.bus.changes import Changes, Stream, StreamChange
from sourceflow.errors import ConflictError, ReplayError
from sourceflow.messages import Envelope
from sourceflow.stores.memory import MemoryStores
from sourceflow.stores.memory.event_log import MemoryEventLog
from sourceflow.testing.clock import ManualClock


class Pay(Command):
    id: Key[str]
    amount: Decimal


class Close(Command):
    id: Key[str]


class Tell(Command):
    id: Key[str]


class Paid(Event):
    id: Key[str]
    amount: Decimal
    country: str = "Chile"


class Noted(Event):
    id: Key[str]
    about: str


class Order(Entity):
    id: Key[str]
    paid: Decimal = Decimal(0)


class Summary(ViewModel):
    id: Key[str]
    paid: Decimal
    times: int = 1


class Country(ViewModel):
    name: Key[str]
    paid: Decimal


class Notes(ViewModel):
    id: Key[str]
    count: int


class Rules:
    """How handlers behave now; a test changes them between the first run and the replay."""

    def __init__(self):
        self.factor = 1
        self.replays = []
        self.ids = []
        self.told = 0
        self.project = None
        self.pause = None


class Orders(Saga[Order]):
    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    @handles
    async def pay(self, order: Order | None, command: Pay) -> Order:
        self.rules.replays.append(self.context.is_replay)
        if self.rules.pause is not None:
            await self.rules.pause()
        self.rules.ids.append(await self.send(Tell(id=command.id), message_id=f"t-{command.id}"))
        amount = command.amount * self.rules.factor
        if amount < 0:
            raise ValueError("a debt")
        self.raise_event(Paid(id=command.id, amount=amount))
        order = order or Order(id=command.id)
        return replace(order, paid=order.paid + amount)

    @handles
    def close(self, command: Close):
        return DELETE


class Tellers(Saga[None]):
    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    @handles
    def tell(self, command: Tell) -> None:
        self.rules.told += 1


class Summaries(View[Summary]):
    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    @projects
    async def paid(self, row: Summary | None, event: Paid) -> Summary:
        if self.rules.project is not None:
            await self.rules.project(event)
        if row is None:
            return Summary(id=event.id, paid=event.amount)
        return replace(row, paid=row.paid + event.amount, times=row.times + 1)


class Countries(View[Country]):
    @projects(key=lambda event: event.country)
    def paid(self, row: Country | None, event: Paid) -> Country:
        return Country(name=event.country, paid=event.amount + (row.paid if row else 0))


class Followers(Aggregate[Order]):
    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    @subscribes
    def paid(self, event: Paid) -> None:
        self.rules.told += 1


STREAM = Stream("Order", "o-1")


@pytest.fixture
def rules():
    return Rules()


@pytest.fixture
async def bench(start, rules, nowhere):
    transport = nowhere(events={Paid: "orders"})
    bench = await start(
        Orders, Tellers, Summaries, Countries, Followers, services=[rules], transport=transport
    )
    for amount in (1, 2):
        await bench.app.send(Pay(id="o-1", amount=Decimal(amount)))
    await bench.relay.idle()
    rules.replays.clear()
    return bench


async def everything(bench):
    return (
        await bench.app.find(Order, "o-1"),
        await bench.app.query(Summary),
        await bench.app.query(Country),
        await bench.log(STREAM),
        await bench.events(),
        await bench.stores.outbox.unsent(),
        len(bench.transport.sent),
        len(bench.locks),
    )


async def test_a_replay_runs_the_commands_again_and_changes_nothing_where_nothing_has_changed(
    bench, rules
):
    before, told = await everything(bench), rules.told
    replayed = await bench.app.replay(Order, "o-1")
    await bench.relay.idle()
    assert (replayed.commands, replayed.rebuilt) == (2, ("Summary",))
    assert replayed.left_alone == ("Country",)
    assert rules.replays == [True, True]
    assert await everything(bench) == before
    assert rules.told == told


async def test_a_replay_swaps_in_what_the_handlers_make_of_the_commands_now(bench, rules):
    rules.factor = 10
    await bench.app.replay(Order, "o-1")
    assert (await bench.app.get(Order, "o-1")).paid == 30
    assert await bench.app.get(Summary, "o-1") == Summary(id="o-1", paid=Decimal(30), times=2)
    assert (await bench.app.get(Country, "Chile")).paid == 3


async def test_a_send_during_a_replay_returns_an_id_and_does_nothing(bench, rules):
    rules.ids.clear()
    await bench.app.replay(Order, "o-1")
    assert rules.ids == ["t-o-1", "t-o-1"]
    assert await bench.stores.outbox.depth() == 0


async def test_a_stream_that_never_was_has_nothing_to_replay(bench):
    assert (await bench.app.replay(Order, "nobody")).commands == 0
    assert await bench.app.find(Order, "nobody") is None


async def test_a_deleted_entity_stays_deleted(bench):
    await bench.app.send(Close(id="o-1"))
    assert (await bench.app.replay(Order, "o-1")).commands == 3
    assert await bench.app.find(Order, "o-1") is None
    assert [each.position for each in await bench.log(STREAM)] == [1, 2, 3]


async def test_a_command_that_fails_now_stops_it_with_its_position_and_replaces_nothing(
    bench, rules
):
    await bench.app.send(Pay(id="o-1", amount=Decimal(3)))
    await bench.relay.idle()
    before = await everything(bench)
    rules.factor = -1
    with pytest.raises(ReplayError, match=r"Orders\.pay raised ValueError: a debt") as raised:
        await bench.app.replay(Order, "o-1")
    assert (raised.value.position, raised.value.type_name) == (1, "Pay")
    rules.factor = 1
    assert await everything(bench) == before


async def test_a_projection_that_fails_now_stops_it_and_replaces_nothing(bench, rules):
    before = await everything(bench)

    async def fail(event):
        if event.amount == 2:
            raise ValueError("no")

    rules.project = fail
    for again in (bench.app.replay(Order, "o-1"), bench.app.rebuild(Summaries)):
        with pytest.raises(ReplayError, match=r"Summaries\.paid raised ValueError") as raised:
            await again
        assert (raised.value.position, raised.value.type_name) == (2, "Paid")
    assert await everything(bench) == before


async def test_a_command_that_nobody_handles_any_more_stops_it(start, rules, nowhere):
    stores = MemoryStores()
    first = await start(Orders, Tellers, services=[rules], stores=stores)
    await first.app.send(Pay(id="o-1", amount=Decimal(1)))
    await first.relay.idle()

    class Closers(Saga[Order]):
        @handles
        def close(self, command: Close) -> None:
            pass

    transport = nowhere(commands={Pay: "payments"})
    later = await start(Closers, stores=stores, transport=transport)
    with pytest.raises(ReplayError, match="no saga handles it any more") as raised:
        await later.app.replay(Order, "o-1")
    assert (raised.value.position, raised.value.type_name) == (1, "Pay")


async def test_commands_of_the_entity_wait_while_it_is_replayed(bench, rules):
    gate = asyncio.Event()
    rules.pause = gate.wait
    replaying = asyncio.create_task(bench.app.replay(Order, "o-1"))
    await bench.settle()
    paying = asyncio.create_task(bench.app.send(Pay(id="o-1", amount=Decimal(4))))
    await bench.settle()
    assert rules.replays == [True]
    gate.set()
    await replaying
    await paying
    assert (await bench.app.get(Order, "o-1")).paid == 7


async def move(bench, number):
    """Another instance commits a command: the head moves on, whatever locks are held here."""
    async with bench.stores.begin() as uow:
        await uow.commit(
            Changes(
                stream=StreamChange(
                    stream=STREAM,
                    entity_type=Order,
                    expected=number,
                    entity=Order(id="o-1", paid=Decimal(99)),
                    command=bench.envelope(Close(id="o-1")),
                )
            )
        )


async def test_a_head_that_moved_is_not_swapped_and_the_replay_starts_over(bench, rules):
    moved = []

    async def interfere():
        if not moved:
            moved.append(True)
            await move(bench, 2)

    rules.pause = interfere
    replaying = asyncio.create_task(bench.app.replay(Order, "o-1"))
    await bench.wait(seconds=1)
    assert (await replaying).commands == 3
    assert await bench.app.find(Order, "o-1") is None


async def test_a_stream_that_never_stands_still_is_not_swapped(bench, rules):
    number = 2

    async def interfere():
        nonlocal number
        if len(rules.replays) % 2 == 1:
            await move(bench, number)
            number += 1

    rules.pause = interfere
    replaying = asyncio.create_task(bench.app.replay(Order, "o-1"))
    await bench.wait(seconds=5)
    with pytest.raises(ConflictError):
        await replaying
    assert (await bench.app.get(Order, "o-1")).paid == 99
    assert len(bench.locks) == 0


@pytest.mark.parametrize("rounds", range(8))
async def test_a_cancelled_replay_leaves_no_lock_and_everything_or_nothing(bench, rules, rounds):
    async def pause():
        await asyncio.sleep(0)

    before, rules.pause, rules.factor = await everything(bench), pause, 10
    replaying = asyncio.create_task(bench.app.replay(Order, "o-1"))
    for _ in range(rounds):
        await asyncio.sleep(0)
    replaying.cancel()
    await asyncio.wait([replaying])
    after = await everything(bench)
    assert after == before or (after[0].paid, after[1][0].paid) == (30, 30)
    assert len(bench.locks) == 0


async def test_events_of_a_replay_have_the_time_of_their_command(start, rules):
    times = []

    class Times(View[Summary]):
        @projects
        def paid(self, event: Paid) -> Summary:
            times.append((self.context.time, self.context.is_replay, self.context.sequence))
            return Summary(id=event.id, paid=event.amount)

    bench = await start(Orders, Tellers, Times, services=[rules])
    await bench.app.send(Pay(id="o-1", amount=Decimal(1)))
    first = bench.clock.now()
    await bench.wait(hours=1)
    await bench.app.replay(Order, "o-1")
    assert times == [(first, False, 1), (first, True, 1)]


async def test_a_view_fed_by_events_that_arrived_under_the_same_key_is_left_alone(bench):
    await bench.engine.events.deliver(arrived(), arrived=True)
    replayed = await bench.app.replay(Order, "o-1")
    assert replayed.left_alone == ("Country", "Summary")
    assert (await bench.app.get(Summary, "o-1")).paid == 10


def arrived(message_id="e-1", key="o-1"):
    return Envelope(
        message=Paid(id=key, amount=Decimal(7)),
        id=message_id,
        source="/crm",
        time=ManualClock().now(),
        correlation_id=message_id,
    )


async def test_a_view_whose_events_are_about_something_else_is_left_alone(start):
    class Noting(Saga[Order]):
        @handles
        def close(self, command: Close) -> Order:
            self.raise_event(Noted(id="elsewhere", about=command.id))
            return Order(id=command.id)

    class NotesView(View[Notes]):
        @projects
        def noted(self, row: Notes | None, event: Noted) -> Notes:
            return Notes(id=event.id, count=1 + (row.count if row else 0))

    bench = await start(Noting, NotesView)
    await bench.app.send(Close(id="o-1"))
    replayed = await bench.app.replay(Order, "o-1")
    assert (replayed.rebuilt, replayed.left_alone) == ((), ("Notes",))
    assert (await bench.app.get(Notes, "elsewhere")).count == 1


class SlowSummaries(View[Summary], lifecycle="async"):
    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    @projects
    async def paid(self, row: Summary | None, event: Paid) -> Summary:
        if not self.context.is_replay and self.rules.project is not None:
            await self.rules.project(event)
        if row is None:
            return Summary(id=event.id, paid=event.amount)
        return replace(row, paid=row.paid + event.amount, times=row.times + 1)


@pytest.mark.parametrize(
    "again",
    [lambda app: app.replay(Order, "o-1"), lambda app: app.rebuild(SlowSummaries)],
    ids=["replay", "rebuild"],
)
async def test_an_event_that_is_still_on_its_way_is_not_projected_twice(start, rules, again):
    gate = asyncio.Event()

    async def wait(event):
        await gate.wait()

    rules.project = wait
    bench = await start(Orders, Tellers, SlowSummaries, services=[rules])
    for _ in range(2):
        await bench.app.send(Pay(id="o-1", amount=Decimal(1)))
    await bench.settle()
    await again(bench.app)
    assert await bench.app.get(Summary, "o-1") == Summary(id="o-1", paid=Decimal(2), times=2)
    gate.set()
    await bench.wait(seconds=10)
    assert bench.relay.waiting == 0
    assert await bench.app.get(Summary, "o-1") == Summary(id="o-1", paid=Decimal(2), times=2)


async def test_a_rebuild_projects_own_events_and_arrived_ones_into_fresh_rows(bench, rules):
    await bench.engine.events.deliver(arrived(key="o-9"), arrived=True)
    handled, told = list(rules.replays), rules.told
    await spoil(bench)
    rebuilt = await bench.app.rebuild(Summaries)
    assert (rebuilt.events, rebuilt.rows) == (3, 2)
    assert [(row.id, row.paid) for row in await bench.app.query(Summary)] == [
        ("o-1", 3),
        ("o-9", 7),
    ]
    assert (rules.replays, rules.told) == (handled, told)
    assert await bench.stores.outbox.depth() == 0


async def spoil(bench):
    """Rows as a faulty view has left them."""
    shadow = await bench.stores.shadow(Summary, resume=False)
    rows = {key: Summary(id=key, paid=Decimal(-1)) for key in ("o-1", "o-8")}
    await shadow.save(rows, position=await bench.stores.events.position())

    async def nothing_is_left(page):
        assert not page
        return {}

    assert await shadow.swap(nothing_is_left, types=["Paid"], claims=()) == 2


async def test_a_rebuild_takes_in_what_is_committed_while_it_runs(bench, rules):
    gate, waiting = asyncio.Event(), []

    async def wait_once(event):
        if not waiting:
            waiting.append(event)
            await gate.wait()

    rules.project = wait_once
    rebuilding = asyncio.create_task(bench.app.rebuild(Summaries))
    await bench.settle()
    await bench.app.send(Pay(id="o-1", amount=Decimal(4)))
    gate.set()
    assert (await rebuilding).events == 3
    assert await bench.app.get(Summary, "o-1") == Summary(id="o-1", paid=Decimal(7), times=3)


async def test_a_rebuild_tells_how_far_it_has_come(bench, monkeypatch):
    monkeypatch.setattr("sourceflow.bus.rebuild.PAGE", 1)
    told = []
    await bench.app.rebuild(Summaries, on_progress=told.append)
    assert [(each.events, each.end) for each in told] == [(1, 2), (2, 2)]
    assert [each.position for each in told] == [1, 2]


async def test_a_rebuild_counts_events_whose_positions_are_not_in_the_order_of_the_log(
    bench, monkeypatch
):
    monkeypatch.setattr("sourceflow.bus.rebuild.PAGE", 1)
    await bench.app.send(Pay(id="o-1", amount=Decimal(4)))
    read = MemoryEventLog.read

    async def in_the_order_of_transactions(log, **options):
        found = [each async for each in read(log, **options)]
        for each in (*reversed(found[:2]), *found[2:]):
            yield each

    monkeypatch.setattr(MemoryEventLog, "read", in_the_order_of_transactions)
    assert (await bench.app.rebuild(Summaries)).events == 3


async def test_a_rebuild_that_was_interrupted_goes_on_where_it_was(bench, monkeypatch, rules):
    monkeypatch.setattr("sourceflow.bus.rebuild.PAGE", 1)

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await bench.app.rebuild(Summaries, on_progress=stop)
    rebuilt = await bench.app.rebuild(Summaries, resume=True)
    assert (rebuilt.events, rebuilt.rows) == (1, 1)
    assert await bench.app.get(Summary, "o-1") == Summary(id="o-1", paid=Decimal(3), times=2)


async def test_two_rebuilds_at_once_do_not_mix(bench, rules):
    gate = asyncio.Event()

    async def wait(event):
        await gate.wait()

    rules.project = wait
    first = asyncio.create_task(bench.app.rebuild(Summaries))
    await bench.settle()
    rules.project = None
    assert (await bench.app.rebuild(Summaries)).rows == 1
    gate.set()
    with pytest.raises(ConflictError, match="another rebuild of Summary"):
        await first


async def test_a_rebuild_of_a_view_without_events_leaves_no_rows(start, rules):
    bench = await start(Orders, Tellers, Summaries, services=[rules])
    rebuilt = await bench.app.rebuild(Summaries)
    assert (rebuilt.events, rebuilt.rows) == (0, 0)


async def test_a_rebuild_projects_each_event_by_all_views_of_the_view_model_that_take_it(start):
    class Noting(Saga[Order]):
        @handles
        def close(self, command: Close) -> Order:
            self.raise_event(Noted(id=command.id, about="closing"))
            self.raise_event(Paid(id=command.id, amount=Decimal(1)))
            return Order(id=command.id)

    class NotesView(View[Notes]):
        @projects
        def noted(self, row: Notes | None, event: Noted) -> Notes:
            return Notes(id=event.id, count=1 + (row.count if row else 0))

    class PaidNotes(View[Notes]):
        @projects
        def paid(self, row: Notes | None, event: Paid) -> Notes:
            return Notes(id=event.id, count=10 + (row.count if row else 0))

    bench = await start(Noting, NotesView, PaidNotes)
    await bench.app.send(Close(id="o-1"))
    assert (await bench.app.rebuild(NotesView)).events == 2
    assert (await bench.app.get(Notes, "o-1")).count == 11


class Chain(Command):
    id: Key[str]


class Link(Command):
    id: Key[str]


class Bead(Entity):
    id: Key[str]


class Beads(Saga[Bead]):
    @handles
    async def chain(self, bead: Bead | None, command: Chain) -> Bead:
        await self.send(Link(id=command.id))
        return Bead(id=command.id)

    @handles
    def link(self, bead: Bead, command: Link) -> Bead:
        return bead


class Dispatches(Middleware):
    def __init__(self):
        self.seen = []

    async def dispatch_command(self, message, go_on, /):
        self.seen.append(message.type_name)
        await go_on(message)


async def test_what_a_handler_sends_in_a_replay_is_not_even_dispatched():
    dispatches = Dispatches()
    async with App([Beads], name="beads", middleware=[dispatches]) as app:
        await app.send(Chain(id="1"))
        await app.drained()
        assert dispatches.seen == ["Chain", "Link"]
        replayed = await app.replay(Bead, "1")
        await app.drained()

    assert replayed.commands == 2
    assert dispatches.seen == ["Chain", "Link"]
