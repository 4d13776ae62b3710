"""Writers at the same time: of one process, and of several."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from sourceflow import App, Command, Entity, Event, Key, Saga, View, ViewModel, handles, projects
from sourceflow.bus.changes import Stream
from sourceflow.clock import SystemClock
from sourceflow.errors import ConflictError, DuplicateError
from sourceflow.testing.conformance.stores.stores_tests import StoresTests

if TYPE_CHECKING:
    from sourceflow.testing.conformance.stores.shop import Shop

AT_ONCE = 50


PATIENCE = 30


class Work(Command):
    id: Key[str]
    number: int = 0
    takes: float = 0.0


class Worked(Event):
    id: Key[str]
    number: int


class Piece(Entity):
    id: Key[str]
    numbers: tuple[int, ...] = ()


class Output(ViewModel):
    id: Key[str]
    count: int = 0


class Shift:
    """Where handlers meet.

    Attributes:
        begun: How many handlers have begun.
    """

    def __init__(self, clock, gate=None):
        self._clock = clock
        self._gate = gate
        self.begun = 0
        self._changed = asyncio.Condition()

    async def work(self, seconds):
        """Take so many seconds of the clock, behind the gate if there is one."""
        async with self._changed:
            self.begun += 1
            self._changed.notify_all()
        if self._gate is not None:
            await self._gate.wait()
        if seconds:
            await self._clock.sleep(seconds)

    async def until_begun(self, count):
        """Wait until so many handlers have begun."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.begun >= count)


class Pieces(Saga[Piece]):
    def __init__(self, shift: Shift) -> None:
        self._shift = shift

    @handles
    async def work(self, piece: Piece | None, command: Work) -> Piece:
        await self._shift.work(command.takes)
        self.raise_event(Worked(id=command.id, number=command.number))
        numbers = () if piece is None else piece.numbers
        return Piece(id=command.id, numbers=(*numbers, command.number))


class Outputs(View[Output]):
    @projects
    def worked(self, event: Worked, row: Output | None) -> Output:
        return Output(id=event.id, count=1 + (0 if row is None else row.count))


@asynccontextmanager
async def instance(backend, clock, shift=None):
    """Run one instance of an App on the data."""
    stores = backend.new_stores()
    services = [shift or Shift(clock)]
    async with App(
        [Pieces, Outputs], name="works", stores=stores, services=services, clock=clock
    ) as app:
        yield app, stores


async def log_of(stores, key):
    return [
        (each.position, each.envelope.message.number)
        async for each in stores.commands.read(Stream("Piece", key))
    ]


async def write_until_it_is_in(shop, amount):
    """Commit a command at the end of a stream, however many are quicker."""
    while True:
        head = await shop.head()
        command = shop.pay(amount=str(amount), message_id=f"m-{amount}")
        paid = Decimal(0) if head.entity is None else head.entity.paid
        entity = shop.Order(id="o-1", paid=paid + amount)
        try:
            await shop.commit(shop.handled(head.number, command=command, entity=entity))
        except ConflictError:
            continue
        return


class ConcurrentWritersConformance(StoresTests):
    """Writers at the same time: of one process, and of several."""

    async def test_50_writers_without_a_lock_number_their_commands_1_to_50(
        self, shop: Shop
    ) -> None:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            for amount in range(AT_ONCE):
                tasks.create_task(write_until_it_is_in(shop, amount))

        log = await shop.commands()
        assert [each.position for each in log] == list(range(1, AT_ONCE + 1))
        assert {each.envelope.message.amount for each in log} == set(range(AT_ONCE))
        head = await shop.head()
        assert head.entity is not None
        assert (head.number, head.entity.paid) == (AT_ONCE, sum(range(AT_ONCE)))

    async def test_of_many_writers_of_one_command_one_gets_in(self, shop: Shop) -> None:
        command = shop.pay()
        outcomes = await asyncio.gather(
            *(shop.commit(shop.handled(0, command=command)) for _ in range(10)),
            return_exceptions=True,
        )
        refused = [each for each in outcomes if isinstance(each, Exception)]
        assert len(refused) == 9
        assert {type(each) for each in refused} <= {DuplicateError, ConflictError}
        assert len(await shop.commands()) == 1

    async def test_50_commands_on_one_entity_are_numbered_1_to_50(self, backend, clock) -> None:
        async with instance(backend, clock) as (app, stores):
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
                for number in range(AT_ONCE):
                    tasks.create_task(app.send(Work(id="a", number=number)))
            log = await log_of(stores, "a")
            piece = await app.get(Piece, "a")
            output = await app.get(Output, "a")

        assert [position for position, _ in log] == list(range(1, AT_ONCE + 1))
        assert piece.numbers == tuple(number for _, number in log)
        assert output.count == AT_ONCE

    async def test_handlers_of_50_entities_run_side_by_side_and_hold_up_nobody(
        self, backend, clock
    ) -> None:
        shift = Shift(clock)
        async with instance(backend, clock, shift) as (app, stores):
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
                for number in range(AT_ONCE):
                    tasks.create_task(app.send(Work(id=f"p-{number}", takes=1.0)))
                await shift.until_begun(AT_ONCE)  # all of them at the same moment of the clock
                await app.send(Work(id="quick"))
                await clock.advance(timedelta(seconds=1))
            assert len(await app.query(Output)) == AT_ONCE + 1
            assert await log_of(stores, "p-0") == [(1, 0)]

    async def test_two_instances_with_one_message_have_one_effect(self, backend, clock) -> None:
        gate = asyncio.Event()
        shifts = [Shift(clock, gate) for _ in range(2)]
        async with (
            instance(backend, clock, shifts[0]) as (one, stores),
            instance(backend, clock, shifts[1]) as (two, _),
        ):
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
                for app in (one, two):
                    tasks.create_task(app.send(Work(id="a"), message_id="once"))
                for shift in shifts:
                    await shift.until_begun(1)  # both have read that it is new
                gate.set()
            assert await log_of(stores, "a") == [(1, 0)]
            assert (await one.get(Piece, "a")).numbers == (0,)
            assert (await two.get(Output, "a")).count == 1
            assert len([each async for each in stores.events.read()]) == 1

    async def test_50_commands_by_two_instances_are_numbered_1_to_50(self, backend) -> None:
        clock = SystemClock()  # who has lost a race waits a little

        async def send(app, number):
            while True:
                try:
                    await app.send(Work(id="a", number=number), message_id=f"w-{number}")
                except ConflictError:  # too many races in a row were lost: it is the caller's turn
                    continue
                return

        async with instance(backend, clock) as (one, stores), instance(backend, clock) as (two, _):
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
                for number in range(AT_ONCE):
                    tasks.create_task(send((one, two)[number % 2], number))
            log = await log_of(stores, "a")
            assert [position for position, _ in log] == list(range(1, AT_ONCE + 1))
            assert (await one.get(Piece, "a")).numbers == tuple(number for _, number in log)
            assert (await one.get(Output, "a")).count == AT_ONCE
