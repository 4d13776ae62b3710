"""Stores of one App, and short words for what tests write into them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from sourceflow import DELETE
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
from sourceflow.bus.query import Query
from sourceflow.messages import Codec, Envelope, Registry
from sourceflow.testing.conformance.stores.sample_types import (
    Color,
    Level,
    Listing,
    Numbered,
    Order,
    Paid,
    Pay,
    Refunded,
    Sample,
    Tagged,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sourceflow.bus.ports import Head, Logged, LoggedCommand, Stores
    from sourceflow.testing.conformance.stores.backend import Backend

__all__ = ("NOON", "Shop", "at")

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)

_WRITTEN = ("events", "outbox", "rows", "schedule")


def at(minutes: float) -> datetime:
    """Return the time so many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


class Shop:
    """Stores of one App, and short words for what tests write into them."""

    Pay, Paid, Refunded, Order, Listing = Pay, Paid, Refunded, Order, Listing
    Sample, Numbered, Tagged, Color, Level = Sample, Numbered, Tagged, Color, Level
    queue = Destination("queue", "payments.fifo")
    topic = Destination("topic", "order-events")
    noon = NOON

    def __init__(self, backend: Backend, stores: Stores, app: str) -> None:
        self.backend = backend
        self.stores = stores
        self.app = app
        self._ids = count(1)

    async def as_app(
        self,
        app: str,
        *,
        types: Sequence[type[Any]] = (Pay, Paid, Refunded),
        upcasters: Sequence[Callable[..., Any]] = (),
    ) -> Shop:
        """What another App, or a later run of this one, sees of the same data."""
        await self.stores.aclose()
        return Shop(self.backend, await self.backend.open(app, types, upcasters), app)

    def stream(self, key: str = "o-1") -> Stream:
        return Stream("Order", key)

    def envelope(
        self, message: Any, message_id: str | None = None, **metadata: Any
    ) -> Envelope[Any]:
        message_id = message_id or f"{self.app}-{next(self._ids)}"
        return Envelope(
            message=message,
            id=message_id,
            source=metadata.pop("source", f"/{self.app}"),
            time=NOON,
            correlation_id=message_id,
            **metadata,
        )

    def pay(
        self,
        key: str = "o-1",
        amount: str = "1.5",
        message_id: str | None = None,
        **metadata: Any,
    ) -> Envelope[Any]:
        return self.envelope(Pay(order_id=key, amount=Decimal(amount)), message_id, **metadata)

    def paid(
        self,
        key: str = "o-1",
        amount: str = "1.5",
        message_id: str | None = None,
        **metadata: Any,
    ) -> Envelope[Any]:
        return self.envelope(Paid(order_id=key, amount=Decimal(amount)), message_id, **metadata)

    def leaving(
        self,
        envelope: Envelope[Any],
        destination: Destination | None = None,
        stream: Stream | None = None,
    ) -> OutboxRow:
        body = Codec(Registry([Pay, Paid])).encode(envelope)
        return OutboxRow(envelope, destination or self.topic, stream or self.stream(), body)

    def waiting(
        self,
        minutes: float,
        message_id: str | None = None,
        *,
        key: str = "o-1",
        destination: Destination | None = None,
    ) -> OutboxRow:
        """A command that is due so many minutes after noon."""
        command = replace(self.pay(key, message_id=message_id), time=at(minutes))
        return self.leaving(command, destination or self.queue, self.stream(key))

    async def schedule(self, *rows: OutboxRow) -> None:
        await self.commit(Changes(schedule={row.envelope.id: row for row in rows}))

    async def fire(self, minutes: float, *, limit: int = 100) -> list[str]:
        """Fire what is due so many minutes after noon; return the ids that leave at once."""
        fired = await self.stores.schedule.fire(at(minutes), self.reroute, limit=limit)
        return [row.envelope.id for row in fired.rows]

    def reroute(self, envelope: Envelope[Any], stream: Stream) -> OutboxRow:
        return self.leaving(envelope, self.queue, stream)

    async def scheduled(self, **options: Any) -> list[str]:
        return [each.message_id for each in await self.stores.schedule.page(**options)]

    def claim(self, message_id: str = "m-1", subscriber: str = "Orders.paid") -> Claim:
        return Claim(f"/{self.app}", message_id, subscriber)

    def step(
        self,
        expected: int,
        *,
        key: str = "o-1",
        entity: Any = UNCHANGED,
        command: Envelope[Any] | None = None,
    ) -> StreamChange:
        return StreamChange(
            stream=self.stream(key),
            entity_type=Order,
            expected=expected,
            entity=entity,
            command=command or self.pay(key),
        )

    def handled(self, expected: int, **parts: Any) -> Changes:
        """What handling one command writes: its claim, the step, and whatever else."""
        rest = {name: parts.pop(name) for name in _WRITTEN if name in parts}
        step = self.step(expected, **parts)
        assert step.command is not None
        claim = Claim(step.command.source, step.command.id, "")
        return Changes(claims=[claim], stream=step, **rest)

    def put(self, row: Any, expected: int = 0) -> RowChange:
        return RowChange(row_type=type(row), key=row.id, expected=expected, row=row)

    def remove(self, key: str, expected: int) -> RowChange:
        return RowChange(row_type=Listing, key=key, expected=expected, row=DELETE)

    async def commit(self, changes: Changes) -> Sequence[OutboxRow]:
        async with self.stores.begin() as uow:
            return await uow.commit(changes)

    async def head(self, key: str = "o-1", claim: Claim | None = None) -> Head:
        async with self.stores.begin() as uow:
            return await uow.head(self.stream(key), Order, claim)

    async def version(self, key: str) -> int:
        """The version that whoever changes a row must name."""
        async with self.stores.begin() as uow:
            return (await uow.row(Listing, key)).version

    async def commands(self, key: str = "o-1", **options: Any) -> Sequence[LoggedCommand]:
        return [each async for each in self.stores.commands.read(self.stream(key), **options)]

    async def country(self, key: str) -> str:
        """The country of a listing that must be there."""
        row = await self.stores.find(Listing, key)
        assert row is not None
        return row.country

    async def events(self, **options: Any) -> Sequence[Logged]:
        return [each async for each in self.stores.events.read(**options)]

    async def list(self, *rows: Any) -> None:
        await self.commit(Changes(rows=[self.put(row) for row in rows]))

    async def query(self, row_type: type[Any] = Listing, **options: Any) -> Sequence[Any]:
        return await self.stores.query(Query.of(row_type, **options))

    async def everything(self) -> tuple[Any, ...]:
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

    async def save_letter(
        self, message_id: str = "m-1", minutes: float = 0, **fields: Any
    ) -> DeadLetter:
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
