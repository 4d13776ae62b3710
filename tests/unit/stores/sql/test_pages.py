"""Logs are read page by page; where a page ends, nothing is left out or told twice."""

from __future__ import annotations

import pytest

from sourceflow import Command, Entity, Key
from sourceflow.bus.changes import UNCHANGED, Changes, Stream, StreamChange
from sourceflow.messages import Envelope
from sourceflow.stores.sql import command_log, event_log


class Pay(Command):
    order_id: Key[str]


class Order(Entity):
    id: Key[str]


@pytest.fixture(params=[1, 2, 4, 5, 9], autouse=True)
def _page(request, monkeypatch):
    for log in (command_log, event_log):
        monkeypatch.setattr(log, "PAGE", request.param)


async def test_commands_are_read_over_the_ends_of_pages(instances):
    stores = await instances.open(Pay)
    for number in range(4):
        command = Envelope(
            message=Pay(order_id="o-1"),
            id=f"m-{number}",
            source="/shop",
            time=instances.clock.now(),
            correlation_id="c",
        )
        step = StreamChange(
            stream=Stream("Order", "o-1"),
            entity_type=Order,
            expected=number,
            entity=UNCHANGED,
            command=command,
        )
        async with stores.begin() as uow:
            await uow.commit(Changes(stream=step))
    for after in range(5):
        read = [each async for each in stores.commands.read(Stream("Order", "o-1"), after=after)]
        assert [each.position for each in read] == list(range(after + 1, 5))


async def test_events_are_read_over_the_ends_of_pages(instances):
    stores = await instances.open()
    written = [(instances.event(f"e-{number}"), None) for number in range(4)]
    for each in written:
        async with stores.begin() as uow:
            await uow.commit(Changes(events=[each]))
    read = [each async for each in stores.events.read()]
    assert [each.envelope.id for each in read] == ["e-0", "e-1", "e-2", "e-3"]
    for index, each in enumerate(read, 1):
        later = [each async for each in stores.events.read(after=each.position)]
        assert later == read[index:]
