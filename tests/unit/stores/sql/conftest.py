"""SQL stores that several instances open on the same data."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from encrypted_stores import EncryptedStores
from postgres_server import PRODUCTS, own_schema, postgres_url

from sourceflow import Event, Key, ViewModel
from sourceflow.bus.changes import Changes, Destination, OutboxRow, Stream
from sourceflow.bus.ports import StoresContext
from sourceflow.messages import Codec, Envelope, Registry
from sourceflow.stores.sql.stores import SqlStores
from sourceflow.testing.clock import ManualClock

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Paid(Event):
    order_id: Key[str]


class Shipped(Event):
    order_id: Key[str]


class Listing(ViewModel):
    id: Key[str]


class Instances:
    """Opens the same database again and again."""

    Paid, Shipped, Listing = Paid, Shipped, Listing
    topic = Destination("topic", "order-events")

    def __init__(self, url, schema):
        self.url = url
        self.clock = ManualClock()
        self.view_models = (Listing,)
        self.schema = schema
        self._opened = []

    async def open(self, *types, app="shop", upcasters=(), keys=None, **options):
        if keys is None:
            stores = SqlStores(self.url, schema=self.schema, **options)
        else:
            stores = EncryptedStores(self.url, keys, schema=self.schema, **options)
        codec = Codec(Registry(types or (Paid, Shipped), upcasters))
        await stores.open(StoresContext(app, codec, self.clock, self.view_models))
        self._opened.append(stores)
        return stores

    async def aclose(self):
        for stores in self._opened:
            await stores.aclose()

    def event(self, message_id, event_type=Paid, key="o-1"):
        return Envelope(
            message=event_type(order_id=key),
            id=message_id,
            source="/shop",
            time=NOON,
            correlation_id=message_id,
        )

    async def send(self, stores, *message_ids, event_type=Paid, key="o-1"):
        """Commit rows of one lane; return the ids of those that may leave at once."""
        codec = Codec(Registry([Paid, Shipped]))
        events = [self.event(each, event_type, key) for each in message_ids]
        rows = [
            OutboxRow(each, self.topic, Stream("Order", key), codec.encode(each)) for each in events
        ]
        async with stores.begin() as uow:
            return ids(await uow.commit(Changes(outbox=rows)))


def ids(rows):
    return [row.envelope.id for row in rows]


@pytest.fixture(params=PRODUCTS)
async def instances(request, tmp_path):
    if request.param == "sqlite":
        opened = Instances(f"sqlite:///{tmp_path / 'stores.db'}", None)
        yield opened
        await opened.aclose()
        return
    async with own_schema() as schema:
        opened = Instances(postgres_url(), schema)
        yield opened
        await opened.aclose()
