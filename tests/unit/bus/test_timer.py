"""Scheduled sends in a running App, in a time of their own."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from sourceflow import (
    Aggregate,
    Command,
    Entity,
    Event,
    Key,
    Middleware,
    Reject,
    Saga,
    handles,
    subscribes,
)
from sourceflow.bus import timer
from sourceflow.errors import (
    DependencyError,
    HandlerEndedError,
    InvalidMessageError,
    MessageTooLargeError,
    NoHandlerError,
    UseSelfSendError,
)
from sourceflow.stores.memory import MemoryStores

MINUTE = timedelta(minutes=1)


class Place(Command):
    order_id: Key[str]
    then: str = ""


class Expire(Command):
    order_id: Key[str]


class Settle(Command):
    order_id: Key[str]


class Tick(Command):
    order_id: Key[str]


class Pack(Command):
    order_id: Key[str]


class Ship(Command):
    order_id: Key[str]


class Placed(Event):
    order_id: Key[str]


class Order(Entity):
    id: Key[str]
    notes: tuple[str, ...] = ()
    times: tuple[datetime, ...] = ()


class Orders(Saga[Order]):
    @handles(creates=True)
    async def place(self, command: Place) -> Order:
        expire = Expire(order_id=command.order_id)
        key = command.order_id
        match command.then:
            case "expires":
                await self.send(expire, message_id=f"expire-{key}", delay=MINUTE)
            case "fails":
                await self.send(expire, delay=MINUTE)
                raise Reject("not this one")
            case "changes its mind":
                message_id = await self.send(expire, delay=MINUTE)
                assert await self.cancel_send(message_id)
                assert not await self.cancel_send(message_id)
        self.raise_event(Placed(order_id=key))
        return Order(id=key)

    @handles
    async def expire(self, order: Order, command: Expire) -> Order:
        return replace(
            order, notes=(*order.notes, "expired"), times=(*order.times, self.context.time)
        )

    @handles
    async def settle(self, order: Order, command: Settle) -> Order:
        cancelled = await self.cancel_send(f"expire-{command.order_id}")
        return replace(order, notes=(*order.notes, f"settled {cancelled}"))

    @handles
    async def tick(self, order: Order, command: Tick) -> Order:
        await self.send(Tick(order_id=command.order_id), delay=MINUTE)
        return replace(order, notes=(*order.notes, "tick"))


class Packing(Saga[Order]):
    @handles(creates=True)
    async def pack(self, command: Pack) -> Order:
        await self.send(Ship(order_id=command.order_id), at=self.context.time + MINUTE)
        return Order(id=command.order_id)


class Desk(Aggregate[Order]):
    async def place_later(self, order_id: str, delay: timedelta) -> str:
        return await self.send(Place(order_id=order_id), delay=delay)

    async def take_back(self, message_id: str) -> bool:
        return await self.cancel_send(message_id)


class Reminders(Aggregate[Order]):
    @subscribes
    async def placed(self, event: Placed) -> None:
        await self.send(Settle(order_id=event.order_id), delay=2 * MINUTE)


async def notes(bench, key="o-1"):
    order = await bench.app.find(Order, key)
    return None if order is None else order.notes


async def ids(bench):
    return [each.message_id for each in await bench.app.scheduled()]


async def test_a_command_is_handled_when_it_is_due_and_not_before(start):
    bench = await start(Orders)
    message_id = await bench.app.send(Place(order_id="o-1"), delay=MINUTE)
    assert await ids(bench) == [message_id]
    await bench.wait(seconds=59)
    assert await notes(bench) is None
    await bench.wait(seconds=1)
    assert await notes(bench) == ()
    assert await ids(bench) == []


async def test_a_command_is_sent_at_a_time(start):
    bench = await start(Orders)
    await bench.app.send(Place(order_id="o-1"), at=bench.clock.now() + MINUTE)
    await bench.wait(seconds=60)
    assert await notes(bench) == ()


@pytest.mark.parametrize(
    "when", [{"delay": timedelta(0)}, {"at": datetime.fromisoformat("2020-01-01T00Z")}]
)
async def test_what_is_due_already_is_sent_at_once(start, when):
    bench = await start(Orders)
    await bench.app.send(Place(order_id="o-1"), **when)
    assert await notes(bench) == ()


async def test_for_its_handler_a_command_was_sent_when_it_was_due(start):
    bench = await start(Orders)
    await bench.app.send(Place(order_id="o-1", then="expires"))
    due = bench.clock.now() + MINUTE
    await bench.wait(hours=1)
    assert (await bench.app.get(Order, "o-1")).times == (due,)


async def test_a_handler_schedules_with_its_unit_of_work(start):
    bench = await start(Orders)
    await bench.app.send(Place(order_id="o-1", then="expires"))
    assert await ids(bench) == ["expire-o-1"]
    await bench.wait(seconds=60)
    assert await notes(bench) == ("expired",)


async def test_a_handler_that_fails_has_scheduled_nothing(start):
    bench = await start(Orders)
    with pytest.raises(Exception, match="not this one"):
        await bench.app.send(Place(order_id="o-1", then="fails"))
    assert await ids(bench) == []


async def test_a_subscriber_schedules_with_its_unit_of_work(start):
    bench = await start(Orders, Reminders)
    await bench.app.send(Place(order_id="o-1"))
    await bench.wait(seconds=119)
    assert await notes(bench) == ()
    await bench.wait(seconds=1)
    assert await notes(bench) == ("settled False",)


async def test_a_routed_command_leaves_when_it_is_due(start, nowhere):
    transport = nowhere(commands={Ship: "ship.fifo"})
    bench = await start(Packing, transport=transport)
    await bench.app.send(Ship(order_id="o-1"), delay=MINUTE)
    await bench.app.send(Pack(order_id="o-2"))
    assert transport.sent == []
    await bench.wait(seconds=60)
    assert [each.envelope.message for each in transport.sent] == [
        Ship(order_id="o-1"),
        Ship(order_id="o-2"),
    ]


async def test_commands_leave_in_the_order_they_are_due(start, nowhere):
    transport = nowhere(commands={Ship: "ship.fifo"})
    bench = await start(transport=transport)
    for seconds in (30, 10, 20):
        delay = timedelta(seconds=seconds)
        await bench.app.send(Ship(order_id="o-1"), message_id=f"m-{seconds}", delay=delay)
    await bench.wait(seconds=10)
    assert [each.envelope.id for each in transport.sent] == ["m-10"]
    await bench.wait(seconds=20)
    assert [each.envelope.id for each in transport.sent] == ["m-10", "m-20", "m-30"]


async def test_more_than_a_batch_that_is_due_leaves_in_order(start, nowhere, monkeypatch):
    monkeypatch.setattr(timer, "BATCH", 2)
    transport = nowhere(commands={Ship: "ship.fifo"})
    bench = await start(transport=transport)
    for number in range(5):
        await bench.app.send(Ship(order_id="o-1"), message_id=f"m-{number}", delay=MINUTE)
    await bench.wait(seconds=60)
    assert [each.envelope.id for each in transport.sent] == [f"m-{number}" for number in range(5)]


async def test_a_command_is_taken_back_until_it_is_due(start):
    bench = await start(Orders, Desk)
    desk = bench.app.aggregate(Desk)
    kept = await desk.place_later("o-1", MINUTE)
    taken_back = await desk.place_later("o-2", MINUTE)
    assert await desk.take_back(taken_back)
    assert not await bench.app.cancel(taken_back)
    await bench.wait(seconds=60)
    assert await notes(bench, "o-1") == ()
    assert await notes(bench, "o-2") is None
    assert not await bench.app.cancel(kept)


async def test_a_handler_takes_back_what_another_one_has_scheduled(start):
    bench = await start(Orders)
    await bench.app.send(Place(order_id="o-1", then="expires"))
    await bench.app.send(Settle(order_id="o-1"))
    await bench.wait(hours=1)
    assert await notes(bench) == ("settled True",)


async def test_a_handler_takes_back_what_it_has_scheduled_itself(start):
    bench = await start(Orders)
    await bench.app.send(Place(order_id="o-1", then="changes its mind"))
    assert await ids(bench) == []


async def test_a_handler_that_takes_back_what_is_sent_meanwhile_runs_again_and_learns_of_it(start):
    bench = await start(Orders)
    await bench.app.send(Place(order_id="o-1", then="expires"))
    settled = bench.stores.schedule

    class Hesitant:
        """Shows the schedule as it was before the last look at it."""

        asked = 0

        async def waits(self, message_id):
            found = await settled.waits(message_id)
            if not self.asked:
                await settled.cancel(message_id)
            self.asked += 1
            return found

    class Stores:
        schedule = Hesitant()

        def __getattr__(self, name):
            return getattr(bench.stores, name)

    bench.engine.commands._backstage = bench.engine.commands._backstage._replace(stores=Stores())
    sending = asyncio.create_task(bench.app.send(Settle(order_id="o-1")))
    await bench.wait(seconds=1)
    await sending
    assert await notes(bench) == ("settled False",)
    assert Stores.schedule.asked == 2


async def test_sending_with_the_id_of_one_that_waits_moves_it(start):
    bench = await start(Orders)
    for minutes in (1, 3):
        await bench.app.send(Place(order_id="o-1"), message_id="m-1", delay=minutes * MINUTE)
    await bench.wait(minutes=2)
    assert await notes(bench) is None
    await bench.wait(minutes=1)
    assert await notes(bench) == ()


async def test_the_timer_wakes_for_one_that_is_due_before_the_next(start):
    bench = await start(Orders)
    await bench.app.send(Place(order_id="o-1"), delay=60 * MINUTE)
    await bench.wait(minutes=1)
    await bench.app.send(Place(order_id="o-2"), delay=MINUTE)
    await bench.wait(minutes=1)
    assert await notes(bench, "o-2") == ()
    assert await notes(bench, "o-1") is None


async def test_a_command_may_schedule_its_successor_for_ever(start):
    bench = await start(Orders)
    await bench.app.send(Place(order_id="o-1"))
    await bench.app.send(Tick(order_id="o-1"))
    await bench.wait(minutes=70)
    assert len(await notes(bench)) == 71


async def test_a_replay_schedules_nothing_and_takes_nothing_back(start):
    bench = await start(Orders)
    await bench.app.send(Place(order_id="o-1", then="expires"))
    await bench.app.send(Settle(order_id="o-1"))
    assert await notes(bench) == ("settled True",)
    await bench.app.replay(Order, "o-1")
    assert await ids(bench) == []
    await bench.app.send(Expire(order_id="o-1"), message_id="expire-o-1", delay=MINUTE)
    await bench.app.replay(Order, "o-1")
    assert await ids(bench) == ["expire-o-1"]
    assert await notes(bench) == ("settled False",)


async def test_what_is_scheduled_passes_the_hooks_and_may_be_stopped(start):
    class Stop(Middleware):
        async def dispatch_command(self, message, go_on):
            if message.key == "o-1":
                await go_on(message.with_headers({"seen": "yes"}))

    heard = []

    class Listens(Middleware):
        async def handle_command(self, message, go_on):
            heard.append((message.key, message.headers))
            await go_on(message)

    bench = await start(Orders, middleware=[Stop(), Listens()])
    await bench.app.send(Place(order_id="o-1"), delay=MINUTE)
    await bench.app.send(Place(order_id="o-2"), delay=MINUTE)
    await bench.wait(minutes=1)
    assert heard == [("o-1", {"seen": "yes"})]


@pytest.mark.parametrize(
    "when",
    [
        {"delay": timedelta(seconds=-1)},
        {"at": datetime(2030, 1, 1)},  # noqa: DTZ001 - a time without a zone is the fault
        {"delay": MINUTE, "at": datetime.fromisoformat("2030-01-01T00Z")},
    ],
)
async def test_what_says_no_time_is_refused(start, when):
    bench = await start(Orders)
    with pytest.raises(ValueError, match=r"zone|zero|both"):
        await bench.app.send(Place(order_id="o-1"), **when)
    assert await notes(bench) is None


async def test_what_could_never_be_sent_is_refused_when_it_is_scheduled(start, nowhere):
    transport = nowhere(commands={Ship: "ship.fifo"})
    transport.refuse = MessageTooLargeError(size=2, limit=1, destination="ship.fifo")
    bench = await start(transport=transport)
    with pytest.raises(MessageTooLargeError):
        await bench.app.send(Ship(order_id="o-1"), delay=MINUTE)
    with pytest.raises(NoHandlerError):
        await bench.app.send(Place(order_id="o-1"), delay=MINUTE)
    with pytest.raises(InvalidMessageError):
        await bench.app.send(Ship(order_id="o-1"), message_id="a b", delay=MINUTE)
    assert await ids(bench) == []


async def test_what_nobody_handles_any_more_when_it_is_due_is_a_dead_letter(start):
    stores = MemoryStores()
    first = await start(Orders, stores=stores)
    await first.app.send(Place(order_id="o-1"), delay=MINUTE)
    bench = await start(stores=stores)
    await bench.wait(minutes=10)
    assert bench.ears.of("dead_lettered") == [("Place", "local:command:")]


async def test_an_app_takes_up_what_an_earlier_one_has_scheduled_in_the_same_stores(start):
    stores = MemoryStores()
    first = await start(Orders, stores=stores)
    await first.app.send(Place(order_id="o-1"), delay=MINUTE)
    bench = await start(Orders, stores=stores)
    await bench.wait(minutes=1)
    assert await notes(bench) == ()


async def test_the_app_is_not_used_inside_a_handler(start):
    class Wrong(Saga[Order]):
        @handles(creates=True)
        async def place(self, command: Place) -> None:
            await app.cancel("m-1")

    bench = await start(Wrong)
    app = bench.app
    with pytest.raises(UseSelfSendError, match=r"use self\.cancel_send"):
        await app.send(Place(order_id="o-1"))


async def test_a_task_that_a_handler_left_behind_takes_nothing_back(start):
    left = []

    class Careless(Saga[Order]):
        @handles(creates=True)
        async def place(self, command: Place) -> None:
            left.append(self)

    bench = await start(Careless)
    await bench.app.send(Place(order_id="o-1"))
    with pytest.raises(HandlerEndedError):
        await left[0].cancel_send("m-1")
    with pytest.raises(HandlerEndedError):
        await left[0].send(Place(order_id="o-1"), delay=MINUTE)


async def test_what_waits_is_listed_page_by_page(start):
    bench = await start(Orders)
    for minutes in (3, 1, 2):
        message_id = f"m-{minutes}"
        await bench.app.send(
            Place(order_id=f"o-{minutes}"), message_id=message_id, delay=minutes * MINUTE
        )
    (first,) = await bench.app.scheduled(limit=1)
    assert first[:4] == ("m-1", "Place", "o-1", bench.clock.now() + MINUTE)
    assert [each.key for each in await bench.app.scheduled(after=first)] == ["o-2", "o-3"]
    with pytest.raises(ValueError, match="0 or more"):
        await bench.app.scheduled(limit=-1)


async def test_drained_does_not_wait_for_what_is_not_due(start):
    bench = await start(Orders)
    await bench.app.send(Place(order_id="o-1"), delay=MINUTE)
    draining = asyncio.create_task(bench.app.drained(timeout=30))
    await bench.wait(seconds=1)
    await draining


async def test_drained_waits_for_what_is_due(start):
    bench = await start(Orders)
    away = Away(bench)
    await bench.app.send(Place(order_id="o-1"), delay=MINUTE)
    await bench.wait(minutes=1)
    draining = asyncio.create_task(bench.app.drained(timeout=1))
    await bench.wait(seconds=2)
    with pytest.raises(TimeoutError, match="scheduled commands that are due"):
        await draining
    away.back()
    draining = asyncio.create_task(bench.app.drained(timeout=60))
    await bench.wait(seconds=61)
    await draining
    assert await notes(bench) == ()


class Away:
    """A schedule that does not answer while it is away."""

    def __init__(self, bench, method="fire"):
        self._schedule = bench.stores._open.schedule
        self._method = method
        self.asked = 0
        self.is_away = True
        bench.engine.timer._stores = self
        self.durable = bench.stores.durable

    def back(self):
        self.is_away = False

    @property
    def schedule(self):
        return self

    def __getattr__(self, name):
        ask = getattr(self._schedule, name)
        if name != self._method:
            return ask

        async def answer(*arguments, **options):
            self.asked += 1
            if self.is_away:
                raise DependencyError("away")
            return await ask(*arguments, **options)

        return answer


@pytest.mark.parametrize("method", ["first", "fire"])
async def test_the_timer_outlives_stores_that_do_not_answer(start, method, caplog):
    bench = await start(Orders)
    away = Away(bench, method)
    await bench.app.send(Place(order_id="o-1"), delay=MINUTE)
    await bench.wait(minutes=11)
    assert 20 < away.asked < 200
    assert "does not answer" in caplog.text
    away.back()
    await bench.wait(seconds=20)
    assert await notes(bench) == ()


class Slow:
    """A schedule that answers late what it has read early."""

    durable = False

    def __init__(self, bench):
        self._schedule = bench.stores._open.schedule
        self.fire = self._schedule.fire
        self.looking, self.go_on = asyncio.Event(), asyncio.Event()
        bench.engine.timer._stores = self

    @property
    def schedule(self):
        return self

    async def first(self):
        found = await self._schedule.first()
        self.looking.set()
        await self.go_on.wait()
        return found


async def test_what_is_scheduled_while_the_timer_looks_is_not_forgotten(start):
    bench = await start(Orders)
    slow = Slow(bench)
    await bench.app.send(Place(order_id="o-1"), delay=60 * MINUTE)
    await slow.looking.wait()
    await bench.app.send(Place(order_id="o-2"), delay=MINUTE)
    slow.go_on.set()
    await bench.wait(seconds=59)
    assert not bench.engine.timer.is_late
    await bench.wait(seconds=1)
    assert await notes(bench, "o-2") == ()


async def test_what_is_scheduled_while_the_first_is_taken_back_is_not_forgotten(start):
    bench = await start(Orders)
    slow = Slow(bench)
    first = await bench.app.send(Place(order_id="o-1"), delay=MINUTE)
    await bench.app.cancel(first)
    await slow.looking.wait()
    await bench.app.send(Place(order_id="o-2"), delay=2 * MINUTE)
    slow.go_on.set()
    await bench.wait(minutes=2)
    assert await notes(bench, "o-2") == ()


class Others:
    """A schedule of which other instances move what is due first."""

    durable = True

    def __init__(self, bench):
        self._schedule = bench.stores._open.schedule
        self.theirs = True
        self.asked = 0
        bench.engine.timer._stores = self

    @property
    def schedule(self):
        return self

    async def first(self, *, after=None):
        self.asked += 1
        return await self._schedule.first(after=after)

    async def fire(self, now, route, *, limit):
        return await self._schedule.fire(now, route, limit=0 if self.theirs else limit)


async def test_what_another_instance_is_moving_is_left_to_it_until_the_next_look(start):
    bench = await start(Orders)
    others = Others(bench)
    await bench.app.send(Place(order_id="o-1"), delay=MINUTE)
    await bench.wait(minutes=1)
    others.asked = 0
    await bench.wait(seconds=9)
    assert others.asked == 2
    others.theirs = False
    await bench.wait(seconds=1)
    assert await notes(bench) == ()


async def test_what_another_instance_has_scheduled_is_seen_within_five_seconds(start):
    bench = await start(Orders)
    Others(bench).theirs = False
    await bench.app.send(Place(order_id="o-1"), delay=60 * MINUTE)
    await bench.wait(seconds=1)
    command = bench.engine.router.command(
        Place(order_id="o-2"), due=bench.clock.now() + timedelta(seconds=3)
    )
    row = bench.engine.router.command_row(command, ("", "o-2"))
    bench.stores._open.schedule.change({command.id: row})
    await bench.wait(seconds=5)
    assert await notes(bench, "o-2") == ()


async def test_a_batch_that_has_begun_is_handed_to_the_relay_although_the_timer_is_cancelled(start):
    bench = await start(Orders)
    begun, go_on = asyncio.Event(), asyncio.Event()
    schedule = bench.stores._open.schedule

    class Slow:
        durable = False

        @property
        def schedule(self):
            return self

        async def first(self, *, after=None):
            return await schedule.first(after=after)

        async def fire(self, now, route, *, limit):
            fired = await schedule.fire(now, route, limit=limit)
            begun.set()
            await go_on.wait()
            return fired

    bench.engine.timer._stores = Slow()
    await bench.app.send(Place(order_id="o-1"), delay=MINUTE)
    await bench.wait(minutes=1)
    await begun.wait()
    (task,) = (each for each in asyncio.all_tasks() if each.get_name() == "sourceflow timer")
    task.cancel()
    await bench.settle()
    assert not task.done()
    go_on.set()
    await bench.settle()
    assert task.cancelled()
    assert await notes(bench) == ()
