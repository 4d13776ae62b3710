"""A service for the tests of the command line: it is copied into a folder and named there."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from msgspec.structs import replace

from sourceflow import (
    CARD,
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
    handles,
    projects,
    subscribes,
)
from sourceflow.stores.sql import SqlStores
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.bus import Bus


class Pack(Command):
    parcel_id: Key[str]
    weight: int = 1
    card: Annotated[str, Sensitive(CARD)] = ""
    seconds: float = 0


class Stamp(Command):
    parcel_id: Key[str]


class Packed(Event):
    parcel_id: Key[str]
    weight: int


class Parcel(Entity):
    id: Key[str]
    weight: int
    stamped: bool = False


class Weight(ViewModel):
    id: Key[str]
    weight: int


def note(key: str, what: str) -> None:
    with Path(os.environ["POST_BOOK"]).open("a") as book:
        book.write(f"{os.getpid()} {key} {what}\n")


class ParcelSaga(Saga[Parcel]):
    @handles
    async def pack(self, command: Pack) -> Parcel:
        if self.context.is_replay:
            return Parcel(id=command.parcel_id, weight=command.weight)
        note(command.parcel_id, "begins")
        if command.weight < 0:
            raise ValueError(f"weight of {command.card}")
        await asyncio.sleep(command.seconds)
        note(command.parcel_id, "packed")
        self.raise_event(Packed(parcel_id=command.parcel_id, weight=command.weight))
        return Parcel(id=command.parcel_id, weight=command.weight)

    @handles
    def stamp(self, parcel: Parcel, _command: Stamp) -> Parcel:
        return replace(parcel, stamped=True)


class Weights(View[Weight]):
    @projects
    async def packed(self, event: Packed) -> Weight:
        if pause := os.environ.get("POST_PAUSE"):
            note(event.parcel_id, "projected")
            await asyncio.sleep(float(pause))
        return Weight(id=event.parcel_id, weight=event.weight)


class Parcels(Aggregate[Parcel]):
    @subscribes
    async def packed(self, event: Packed) -> None:
        if event.weight == 13:
            raise ValueError("unlucky")
        await self.send(Stamp(parcel_id=event.parcel_id))


def app_on(stores: SqlStores, *topics: str, **options: object) -> App:
    def configure(bus: Bus) -> None:
        bus.send.command(Pack, queue="packing.fifo").listen.to.command_queue("packing.fifo")
        for topic in topics:
            bus.subscribe.to.topic(topic)

    transport = AwsTransport(
        AwsOptions(
            region="us-east-1",
            endpoint_url=os.environ["POST_AWS"],
            wait_time=timedelta(seconds=1),
            visibility_timeout=timedelta(seconds=2),
            max_attempts=1,
            **options,
        ),
        configure,
    )
    return App([ParcelSaga, Weights, Parcels], name="post", stores=stores).use(transport)


app = app_on(SqlStores(os.environ["POST_DATABASE"]))
subscribed = app_on(SqlStores(os.environ["POST_DATABASE"]), "weights")
silent = app_on(SqlStores(os.environ["POST_DATABASE"]), enable_event_listener=False)
wrong = App([Parcel], name="wrong")
unheard = App([ParcelSaga], name="unheard")
local = App([ParcelSaga, Weights, Parcels], name="local")
