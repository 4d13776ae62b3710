"""Rows that an older version of an App has left in its outbox."""

from __future__ import annotations

import json

import pytest

from sourceflow import Event, Key, upcasts
from sourceflow.bus.changes import Changes, Destination, OutboxRow, Stream
from sourceflow.messages import Codec, Registry


class Paid(Event, version=2):
    order_id: Key[str]
    currency: str


class Sent(Event, aliases=("Shipped",)):
    order_id: Key[str]


@upcasts(Paid, from_version=1)
def paid_in_euro(data: dict) -> dict:
    return {**data, "currency": "EUR"}


@pytest.fixture
async def leave(instances):
    """Leave a row in the outbox of version 1, and return what version 2 finds there."""

    async def leave(event_type, destination):
        stores = await instances.open()
        event = instances.event("e-1", event_type)
        written = Codec(Registry([event_type])).encode(event)
        body = None if destination.is_local else written
        row = OutboxRow(event, destination, Stream("Order", "o-1"), body)
        async with stores.begin() as uow:
            await uow.commit(Changes(outbox=[row]))
        await stores.aclose()
        later = await instances.open(Paid, Sent, upcasters=(paid_in_euro,))
        (taken,) = await later.outbox.take()
        assert list(await later.outbox.unsent()) == [taken]
        await later.outbox.sent([taken])
        assert await later.outbox.depth() == 0
        return taken, written

    return leave


async def test_a_row_for_this_process_is_brought_up_to_the_current_version(instances, leave):
    row, _ = await leave(instances.Paid, Destination("subscriber", "Orders.paid"))
    assert (row.envelope.message, row.body) == (Paid(order_id="o-1", currency="EUR"), None)


async def test_a_row_that_goes_on_the_wire_goes_as_it_was_written(instances, leave):
    row, written = await leave(instances.Paid, instances.topic)
    assert (row.envelope.message, row.body) == (Paid(order_id="o-1", currency="EUR"), written)


async def test_a_row_of_a_renamed_type_goes_on_the_wire_under_its_new_name(instances, leave):
    """What stands beside a document must be the type inside, or it is malformed."""
    row, _ = await leave(instances.Shipped, instances.topic)
    assert json.loads(row.body)["type"] == row.envelope.type_name == "Sent"
