"""Many messages: memory stays flat, and calls stay few (design section 11)."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from dataclasses import fields

import pytest

from direct_http import DirectHttp
from run_size import FULL, sized
from sourceflow import App, Command, Entity, Key, Saga, handles
from sourceflow.stores.memory import MemoryStores
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport

BACKLOG = 2_000
"""Messages that wait while there are more to send."""

CHUNK = 1_000

GROWTH = 256 * 1024
"""Bytes by which memory may go up and down; one small object a message would be more."""

SENDS = ("SendMessageBatch",)
RECEIVES = ("ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch")


class Tick(Command):
    id: Key[str]


class Counter(Entity):
    id: Key[str]
    ticks: int = 0


class Desk:
    """Counts what is handled, and tells who waits for it."""

    def __init__(self):
        self.handled = 0
        self._reached = asyncio.Event()
        self._mark = 0

    def count(self):
        self.handled += 1
        if self.handled >= self._mark:
            self._reached.set()

    async def reach(self, mark):
        self._mark = mark
        self._reached.clear()
        if self.handled < mark:
            await self._reached.wait()


class TickSaga(Saga[Counter]):
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    @handles
    def tick(self, counter: Counter | None, command: Tick) -> Counter:
        self.desk.count()
        return Counter(id=command.id, ticks=1 + (0 if counter is None else counter.ticks))


class ForgetfulStores(MemoryStores):
    """Stores that can forget everything: their log grows with each command, on purpose."""

    def forget(self):
        for field in fields(self._state):
            getattr(self._state, field.name).clear()


class Soak:
    """An App that sends to itself."""

    def __init__(self, app, desk, stores):
        self.app = app
        self.desk = desk
        self.stores = stores
        self.sent = 0

    async def send(self, count):
        """Send so many more while a backlog stands, and let the last of them be handled."""
        end = self.sent + count
        while self.sent < end:
            await self.desk.reach(self.sent - BACKLOG)
            self.stores.forget()
            await self.app.send_many([Tick(id=str(at % 100)) for at in range(CHUNK)])
            self.sent += CHUNK
        await self.desk.reach(end)

    async def bytes_held(self):
        """Return the memory that is held when nothing is under way and the stores are empty.

        What LocalAws keeps of deleted messages goes up and down, and is not counted.
        """
        await self.app.drained()
        self.stores.forget()
        gc.collect()
        ours = tracemalloc.Filter(inclusive=False, filename_pattern="*/local_aws/*")
        traces = tracemalloc.take_snapshot().filter_traces([ours])
        return sum(statistic.size for statistic in traces.statistics("filename"))


@pytest.fixture
async def aws():
    async with LocalAws() as aws:
        yield aws


@pytest.fixture
def start(aws, monkeypatch):
    monkeypatch.setattr(
        "sourceflow.transports.aws.connections.open_http_client", lambda *_: DirectHttp(aws)
    )

    def start(queue, **options):
        desk, stores = Desk(), ForgetfulStores()
        transport = AwsTransport(
            AwsOptions(region="us-east-1", endpoint_url=aws.endpoint_url, **options),
            lambda bus: bus.send.command(Tick, queue=queue).listen.to.command_queue(queue),
            credentials=aws.static_credentials(),
        )
        app = App([TickSaga], name="soak", stores=stores, services=[desk]).use(transport)
        return Soak(app, desk, stores)

    return start


def calls(aws, names, count):
    """Return the calls a message that LocalAws counted."""
    return sum(aws.calls[name] for name in names) / count


@pytest.mark.slow
@pytest.mark.timeout(1800 if FULL else 120)
@pytest.mark.parametrize("at_once", [10, 100])
async def test_few_calls_carry_many_messages(aws, start, at_once):
    count = sized(10_000, 200_000)
    soak = start("ticks", max_concurrent_calls=at_once)
    async with soak.app:
        await soak.send(count)

    assert soak.desk.handled == count
    assert calls(aws, SENDS, count) <= 0.10
    assert calls(aws, RECEIVES, count) <= 0.21


@pytest.mark.slow
@pytest.mark.timeout(1800 if FULL else 120)
async def test_a_fifo_queue_with_a_hundred_groups_takes_hardly_more_calls(
    aws, start, record_property
):
    count = sized(10_000, 200_000)
    soak = start("ticks.fifo", max_concurrent_calls=100)
    async with soak.app:
        await soak.send(count)

    assert soak.desk.handled == count
    record_property("calls_a_sent_message", calls(aws, SENDS, count))
    record_property("calls_a_received_message", calls(aws, RECEIVES, count))
    assert calls(aws, SENDS, count) <= 0.11
    assert calls(aws, RECEIVES, count) <= 0.25


@pytest.mark.slow
@pytest.mark.timeout(3600 if FULL else 120)
async def test_memory_stays_flat(start):
    count = sized(10_000, 200_000)
    soak = start("ticks", max_concurrent_calls=100)
    held = []
    async with soak.app:
        tracemalloc.start()
        try:
            for _ in range(5):
                await soak.send(count // 5)
                held.append(await soak.bytes_held())
        finally:
            tracemalloc.stop()
    assert max(held) - held[0] < GROWTH
