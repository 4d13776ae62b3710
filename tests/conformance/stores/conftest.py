"""Every store behind one face: the tests state the contracts of ``sourceflow.bus.ports``."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from itertools import count
from typing import Annotated
from uuid import UUID

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace
from postgres_server import postgres_url

from sourceflow import DELETE, Command, Entity, Event, Key, ViewModel
from sourceflow.bus.changes import (
    UNCHANGED,
    Changes,
    Claim,
    Destination,
    OutboxRow,
    RowChange,
    Stream,
    StreamChange,
)
from sourceflow.bus.dead_letter import DeadLetter
from sourceflow.bus.ports import StoresContext
from sourceflow.bus.query import Query
from sourceflow.messages import Codec, Envelope, Registry
from sourceflow.stores.memory import MemoryStores
from sourceflow.stores.sql.stores import SqlStores
from sourceflow.testing.clock import ManualClock

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)

WRITTEN = ("events", "outbox", "rows", "schedule")


def at(minutes):
    return NOON + timedelta(minutes=minutes)


class Pay(Command):
    order_id: Key[str]
    amount: Decimal
    notes: list[str] = msgspec.field(default_factory=list)


class Paid(Event):
    order_id: Key[str]
    amount: Decimal
    notes: list[str] = msgspec.field(default_factory=list)


class Refunded(Event):
    order_id: Key[str]


class Order(Entity):
    id: Key[str]
    paid: Decimal = Decimal(0)
    notes: list[str] = msgspec.field(default_factory=list)


class Listing(ViewModel, indexes=("total", "country", "seen")):
    id: Key[str]
    total: Decimal = Decimal(0)
    country: str = ""
    seen: datetime | None = None
    notes: list[str] = msgspec.field(default_factory=list)


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 10


class Sample(
    ViewModel,
    indexes=(
        "text", "number", "small", "ratio", "total", "flag", "seen", "day", "ref", "color", "level",
    ),
):  # fmt: skip
    """A field of each kind that can be compared."""

    id: Key[str]
    text: str | None = None
    number: int | None = None
    small: Annotated[int, msgspec.Meta(ge=-100, le=100)] | None = None
    ratio: float | None = None
    total: Decimal | None = None
    flag: bool | None = None
    seen: datetime | None = None
    day: date | None = None
    ref: UUID | None = None
    color: Color | None = None
    level: Level | None = None


class Numbered(ViewModel, indexes=("country",)):
    id: Key[int]
    country: str = ""


class Tagged(ViewModel, indexes=("country",)):
    id: Key[UUID]
    country: str = ""


VIEW_MODELS = (Listing, Sample, Numbered, Tagged)


class Backend:
    """Opens stores, one App after the other, all on the same data."""

    def __init__(self, clock):
        self._clock = clock
        self._opened = []

    async def open(self, app, types, upcasters=()):
        stores = self._stores()
        codec = Codec(Registry(types, upcasters))
        await stores.open(StoresContext(app, codec, self._clock, VIEW_MODELS))
        self._opened.append(stores)
        return stores

    async def aclose(self):
        for stores in self._opened:
            await stores.aclose()


class MemoryBackend(Backend):
    """All that it holds is in one object."""

    def __init__(self, clock):
        super().__init__(clock)
        self._kept = MemoryStores()

    def _stores(self):
        return self._kept


class SqliteBackend(Backend):
    """A file."""

    def __init__(self, clock, folder):
        super().__init__(clock)
        self._url = f"sqlite:///{folder / 'stores.db'}"

    def _stores(self):
        return SqlStores(self._url)


class PostgresBackend(Backend):
    """A schema of its own in the server of this run."""

    def __init__(self, clock):
        super().__init__(clock)
        self._schema = f"t{secrets.token_hex(8)}"

    def _stores(self):
        return SqlStores(postgres_url(), schema=self._schema)

    async def aclose(self):
        await super().aclose()
        connection = await asyncpg.connect(postgres_url())
        await connection.execute(f"DROP SCHEMA IF EXISTS {self._schema} CASCADE")
        await connection.close()


class Shop:
    """Stores of one App, and short words for what tests write into them."""

    Pay, Paid, Refunded, Order, Listing = Pay, Paid, Refunded, Order, Listing
    Sample, Numbered, Tagged, Color, Level = Sample, Numbered, Tagged, Color, Level
    queue = Destination("queue", "payments.fifo")
    topic = Destination("topic", "order-events")
    noon = NOON

    def __init__(self, backend, stores, app):
        self.backend = backend
        self.stores = stores
        self.app = app
        self._ids = count(1)

    async def as_app(self, app, *, types=(Pay, Paid, Refunded), upcasters=()):
        """What another App, or a later run of this one, sees of the same data."""
        await self.stores.aclose()
        return Shop(self.backend, await self.backend.open(app, types, upcasters), app)

    def stream(self, key="o-1"):
        return Stream("Order", key)

    def envelope(self, message, message_id=None, **metadata):
        message_id = message_id or f"{self.app}-{next(self._ids)}"
        return Envelope(
            message=message,
            id=message_id,
            source=metadata.pop("source", f"/{self.app}"),
            time=NOON,
            correlation_id=message_id,
            **metadata,
        )

    def pay(self, key="o-1", amount="1.5", message_id=None, **metadata):
        return self.envelope(Pay(order_id=key, amount=Decimal(amount)), message_id, **metadata)

    def paid(self, key="o-1", amount="1.5", message_id=None, **metadata):
        return self.envelope(Paid(order_id=key, amount=Decimal(amount)), message_id, **metadata)

    def leaving(self, envelope, destination=None, stream=None):
        body = Codec(Registry([Pay, Paid])).encode(envelope)
        return OutboxRow(envelope, destination or self.topic, stream or self.stream(), body)

    def waiting(self, minutes, message_id=None, *, key="o-1", destination=None):
        """A command that is due so many minutes after noon."""
        command = replace(self.pay(key, message_id=message_id), time=at(minutes))
        return self.leaving(command, destination or self.queue, self.stream(key))

    async def schedule(self, *rows):
        await self.commit(Changes(schedule={row.envelope.id: row for row in rows}))

    async def fire(self, minutes, *, limit=100):
        """Fire what is due so many minutes after noon; return the ids that leave at once."""
        fired = await self.stores.schedule.fire(at(minutes), self.reroute, limit=limit)
        return [row.envelope.id for row in fired.rows]

    def reroute(self, envelope, stream):
        return self.leaving(envelope, self.queue, stream)

    async def scheduled(self, **options):
        return [each.message_id for each in await self.stores.schedule.page(**options)]

    def claim(self, message_id="m-1", subscriber="Orders.paid"):
        return Claim(f"/{self.app}", message_id, subscriber)

    def step(self, expected, *, key="o-1", entity=UNCHANGED, command=None):
        return StreamChange(
            stream=self.stream(key),
            entity_type=Order,
            expected=expected,
            entity=entity,
            command=command or self.pay(key),
        )

    def handled(self, expected, **parts):
        """What handling one command writes: its claim, the step, and whatever else."""
        rest = {name: parts.pop(name) for name in WRITTEN if name in parts}
        step = self.step(expected, **parts)
        claim = Claim(step.command.source, step.command.id, "")
        return Changes(claims=[claim], stream=step, **rest)

    def put(self, row, expected=0):
        return RowChange(row_type=type(row), key=row.id, expected=expected, row=row)

    def remove(self, key, expected):
        return RowChange(row_type=Listing, key=key, expected=expected, row=DELETE)

    async def commit(self, changes):
        async with self.stores.begin() as uow:
            return await uow.commit(changes)

    async def head(self, key="o-1", claim=None):
        async with self.stores.begin() as uow:
            return await uow.head(self.stream(key), Order, claim)

    async def version(self, key):
        """The version that whoever changes a row must name."""
        async with self.stores.begin() as uow:
            return (await uow.row(Listing, key)).version

    async def commands(self, key="o-1", **options):
        return [each async for each in self.stores.commands.read(self.stream(key), **options)]

    async def events(self, **options):
        return [each async for each in self.stores.events.read(**options)]

    async def list(self, *rows):
        await self.commit(Changes(rows=[self.put(row) for row in rows]))

    async def query(self, row_type=Listing, **options):
        return await self.stores.query(Query.of(row_type, **options))

    async def everything(self):
        """All that a reader can see; two of them are equal if nothing was written between."""
        return (
            await self.head(),
            await self.commands(),
            await self.events(),
            await self.stores.events.position(),
            await self.query(),
            await self.stores.outbox.unsent(),
            await self.stores.outbox.depth(),
            await self.stores.schedule.page(),
        )

    async def save_letter(self, message_id="m-1", minutes=0, **fields):
        letter = DeadLetter(
            **{
                "source": "payments.fifo",
                "message_id": message_id,
                "type_name": "Pay",
                "reason": "RetriesExhausted",
                "error": "OSError: away",
                "body": b"\x00\xff",
                "time": NOON + timedelta(minutes=minutes),
                "attempts": 5,
                **fields,
            }
        )
        return await self.stores.dead_letters.save(letter)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def backend(request, clock, tmp_path):
    match request.param:
        case "memory":
            backend = MemoryBackend(clock)
        case "sqlite":
            backend = SqliteBackend(clock, tmp_path)
        case _:
            backend = PostgresBackend(clock)
    yield backend
    await backend.aclose()


@pytest.fixture
async def shop(backend):
    return Shop(backend, await backend.open("shop", (Pay, Paid, Refunded)), "shop")
