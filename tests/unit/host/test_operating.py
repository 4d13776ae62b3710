"""An App that is open for people to look, to repair and to send, and does no work."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from datetime import timedelta

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
from sourceflow.bus.dead_letter import DeadLetterFilter
from sourceflow.errors import (
    AwsConfigurationError,
    NotRunningError,
    SendManyError,
    StoreConfigurationError,
    WiringError,
)
from sourceflow.stores.memory import MemoryStores
from sourceflow.stores.sql import SqlStores
from sourceflow.testing import LocalAws, ManualClock
from sourceflow.transports.aws import AwsOptions, AwsTransport


class Pack(Command):
    parcel_id: Key[str]
    weight: int = 1


class Ship(Command):
    parcel_id: Key[str]


class Packed(Event):
    parcel_id: Key[str]
    weight: int


class Parcel(Entity):
    id: Key[str]
    weight: int
    shipped: bool = False


class Weight(ViewModel):
    id: Key[str]
    weight: int


class ParcelSaga(Saga[Parcel]):
    @handles
    def pack(self, command: Pack) -> Parcel:
        self.raise_event(Packed(parcel_id=command.parcel_id, weight=command.weight))
        return Parcel(id=command.parcel_id, weight=command.weight)

    @handles
    def ship(self, parcel: Parcel, _command: Ship) -> Parcel:
        return replace(parcel, shipped=True)


class Weights(View[Weight]):
    @projects
    def packed(self, event: Packed) -> Weight:
        return Weight(id=event.parcel_id, weight=event.weight)


class Dock:
    """Whether the dock is closed: then nothing can be announced there."""

    closed = False


class Parcels(Aggregate[Parcel]):
    def __init__(self, dock: Dock) -> None:
        self.dock = dock

    @subscribes
    async def packed(self, event: Packed) -> None:
        if self.dock.closed:
            raise RuntimeError("the dock is closed")
        await self.send(Ship(parcel_id=event.parcel_id))


@pytest.fixture
def dock():
    return Dock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "parcels.db"


@pytest.fixture
def app_on(path, dock):
    """Makes an App on the same file, with a transport of its own."""

    def app_on(transport=None, stores=None, components=(ParcelSaga, Weights, Parcels), clock=None):
        app = App(
            components,
            name="post",
            stores=stores or SqlStores(f"sqlite:///{path}"),
            services=[dock],
            clock=clock,
        )
        return app if transport is None else app.use(transport)

    return app_on


@pytest.fixture
async def worked(app_on, dock):
    """What an App has left that ran before: a parcel that is packed, and a dead letter."""
    dock.closed = True
    clock = ManualClock()
    async with app_on(clock=clock) as app:
        await app.send(Pack(parcel_id="p-1", weight=7))
        while not await app.dead_letters.count(DeadLetterFilter()):
            await clock.advance(timedelta(seconds=1))
        (letter,) = await app.dead_letters.query(DeadLetterFilter())
    dock.closed = False
    return letter


async def test_a_transport_is_opened_and_not_started(wire, app_on):
    transport = wire()
    async with app_on(transport, MemoryStores()).operating():
        assert transport.context.operating
    assert transport.steps == ["open", "aclose"]


async def test_an_app_that_works_says_so_to_its_transport(wire, app_on):
    transport = wire()
    async with app_on(transport, MemoryStores()):
        assert not transport.context.operating
    assert transport.steps == ["open", "start", "stop", "aclose"]


@pytest.mark.usefixtures("worked")
async def test_a_routed_command_goes_to_its_queue(wire, app_on):
    transport = wire(commands={Pack: "packing.fifo"})
    async with app_on(transport).operating() as app:
        await app.send(Pack(parcel_id="p-9"), message_id="m-9")

    (sent,) = transport.sent
    assert (sent.envelope.id, sent.destination.name) == ("m-9", "packing.fifo")


@pytest.mark.usefixtures("worked")
async def test_a_command_without_a_route_is_left_to_an_instance_that_runs(app_on):
    async with app_on().operating() as app:
        await app.send(Pack(parcel_id="p-2"), message_id="m-2")
        await app.send_many([Pack(parcel_id="p-3")])
        assert len(await app.scheduled()) == 2
        assert await app.find(Parcel, "p-2") is None

    async with app_on() as app:
        await app.drained()
        assert (await app.get(Parcel, "p-2")).shipped
        assert (await app.get(Parcel, "p-3")).shipped


async def test_without_a_route_nor_a_database_nobody_would_handle_a_command(app_on):
    async with app_on(stores=MemoryStores()).operating() as app:
        with pytest.raises(NotRunningError, match="Pack has no route, nothing is handled here"):
            await app.send(Pack(parcel_id="p-1"))
        with pytest.raises(SendManyError):
            await app.send_many([Pack(parcel_id="p-1")])


@pytest.mark.usefixtures("worked")
async def test_what_is_due_or_left_in_the_outbox_stays_there(app_on):
    clock = ManualClock()
    async with app_on(clock=clock).operating() as app:
        await app.send(Ship(parcel_id="p-1"), delay=timedelta(seconds=1))
        await clock.advance(timedelta(seconds=10))
        assert [each.type_name for each in await app.scheduled()] == ["Ship"]
        assert not (await app.get(Parcel, "p-1")).shipped


async def test_a_letter_is_redriven_by_an_instance_that_runs(app_on, worked):
    async with app_on().operating() as app:
        await app.redrive(worked.id)
        assert await app._running.stores.outbox.depth() == 1
        assert not (await app.get(Parcel, "p-1")).shipped

    async with app_on() as app:
        await app.drained()
        assert (await app.get(Parcel, "p-1")).shipped


@pytest.mark.usefixtures("worked")
async def test_the_past_can_be_read_and_run_again(app_on):
    async with app_on().operating() as app:
        assert [each.position async for each in app.history(Parcel, "p-1")] == [1]
        assert (await app.at(Parcel, "p-1", sequence=1)).weight == 7
        assert (await app.replay(Parcel, "p-1")).commands == 1
        assert (await app.rebuild(Weights)).events == 1
        assert (await app.get(Weight, "p-1")).weight == 7


@pytest.mark.usefixtures("worked")
async def test_rows_of_a_view_that_never_ran_are_built(app_on):
    class Heavy(ViewModel, indexes=("weight",)):
        id: Key[str]
        weight: int

    class Heavies(View[Heavy]):
        @projects
        def packed(self, event: Packed) -> Heavy:
            return Heavy(id=event.parcel_id, weight=event.weight)

    async with app_on(components=(ParcelSaga, Heavies)).operating() as app:
        await app.rebuild(Heavies)
        assert [row.id for row in await app.query(Heavy, where={"weight": 7})] == ["p-1"]


async def test_no_file_and_no_table_is_made(app_on, path):
    with pytest.raises(StoreConfigurationError):
        async with app_on().operating():
            pass
    assert not path.exists()

    path.touch()
    with pytest.raises(StoreConfigurationError, match="db upgrade"):
        async with app_on().operating():
            pass
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM sqlite_schema").fetchall() == []


async def test_no_queue_and_no_topic_is_made(app_on):
    async with LocalAws() as aws:
        transport = AwsTransport(
            AwsOptions(region="us-east-1", endpoint_url=aws.endpoint_url),
            lambda bus: bus.send.command(Pack, queue="packing.fifo"),
            credentials=aws.static_credentials(),
        )
        with pytest.raises(AwsConfigurationError, match=r"packing\.fifo"):
            async with app_on(transport, MemoryStores()).operating():
                pass
        assert {name for name in aws.calls if name.startswith(("Create", "Set"))} == set()


@pytest.mark.usefixtures("worked")
async def test_it_is_closed_afterwards_however_that_went_and_may_run_then(app_on):
    app = app_on()
    with pytest.raises(ZeroDivisionError):
        async with app.operating():
            raise ZeroDivisionError
    with pytest.raises(NotRunningError):
        await app.find(Parcel, "p-1")
    async with app:
        assert (await app.get(Parcel, "p-1")).weight == 7


async def test_an_app_is_opened_once(app_on):
    app = app_on(stores=MemoryStores())
    async with app.operating():
        with pytest.raises(RuntimeError, match="is running"):
            await app.__aenter__()
    async with app:
        with pytest.raises(RuntimeError, match="is running"):
            await app.operating().__aenter__()


async def test_faults_keep_it_closed_and_warnings_are_for_those_who_start(app_on, wire, caplog):
    with pytest.raises(WiringError):
        async with app_on(stores=MemoryStores(), components=(Weight,)).operating():
            pass
    caplog.set_level(logging.WARNING)
    async with app_on(wire(commands={Pack: "standard"}), MemoryStores()).operating() as app:
        assert app.check()
    assert caplog.records == []
