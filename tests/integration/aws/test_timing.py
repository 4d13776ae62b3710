"""What takes its time: slow handlers, messages that fail for ever, a store that is away."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from direct_http import CountingHttp
from leftovers import left_in_queues
from sourceflow.errors import DependencyError
from sourceflow.stores.memory import MemoryStores
from sourceflow.testing import LocalAws, ManualClock
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import Endpoint, SqsClient
from walking import Ground, MemoryDiary, Step, routed, walkers

LOOK = 0.006
"""Seconds that the machine gets for each move of the clock: acknowledgements wait 4 ms for others."""


class Scene:
    """An App on a LocalAws, and the only clock that they know."""

    def __init__(self, aws, clock, http):
        self.aws = aws
        self.clock = clock
        self.http = http
        self.diary = MemoryDiary()
        self.ground = Ground(clock)
        self.stores = StoresThatMayBeAway()
        self.sqs = SqsClient(
            endpoint=Endpoint(service="sqs", region="us-east-1", url=aws.endpoint_url),
            credentials=aws.static_credentials(),
            http=http,
            clock=clock,
        )

    @asynccontextmanager
    async def started(self, configure=routed, **options):
        transport = AwsTransport(
            AwsOptions(region="us-east-1", endpoint_url=self.aws.endpoint_url, **options),
            configure,
            credentials=self.aws.static_credentials(),
        )
        app = walkers(transport, self.diary, self.clock, ground=self.ground, stores=self.stores)
        async with app:
            yield app
            await self.finish(app.drained(timeout=timedelta(minutes=10)))

    async def until(self, condition, *, step=0.1, within=600.0):
        """Move the clock until something is so; return how far."""
        began = self.clock.monotonic()
        while not await condition():
            assert self.clock.monotonic() - began < within, "it never became so"
            await self.move(step)
        return self.clock.monotonic() - began

    async def move(self, seconds):
        await self.clock.advance(timedelta(seconds=seconds))
        await asyncio.sleep(LOOK)

    async def finish(self, work):
        """Move the clock until something has ended; return what came of it."""
        task = asyncio.ensure_future(work)

        async def ended():
            return task.done()

        await self.until(ended)
        return await task

    def handled(self, walk):
        return self.diary.lines["handled"][walk]

    async def left(self, *names):
        return await left_in_queues(self.sqs, *names)


class StoresThatMayBeAway(MemoryStores):
    """Stores in memory that do not answer for a while."""

    def __init__(self):
        super().__init__()
        self.away = False

    def _check(self):
        if self.away:
            raise DependencyError("the database does not answer")

    def begin(self):
        self._check()
        return super().begin()

    async def load(self, stream, entity_type):
        self._check()
        return await super().load(stream, entity_type)

    async def find(self, row_type, key):
        self._check()
        return await super().find(row_type, key)


@pytest.fixture
async def scene(monkeypatch):
    clock = ManualClock()
    async with LocalAws(clock=clock) as aws:  # its port is for botocore, which provisions
        http = CountingHttp(aws)
        monkeypatch.setattr(
            "sourceflow.transports.aws.connections.open_http_client", lambda *_: http
        )
        yield Scene(aws, clock, http)


def through(queue):
    """Return a configuration that sends steps through a queue, and no events anywhere."""
    return lambda bus: bus.send.command(Step, queue=queue).listen.to.command_queue(queue)


@pytest.mark.parametrize("queue", ["steps", "steps.fifo"])
async def test_slow_handlers_run_side_by_side_and_keep_their_leases(scene, queue):
    async with scene.started(
        through(queue), max_concurrent_calls=10, visibility_timeout=timedelta(seconds=5)
    ) as app:
        await app.send_many([Step(id=f"w{at}", number=0, takes=1.0) for at in range(100)])

        async def all_done():
            return sum(map(len, scene.diary.lines["projected"].values())) == 100

        took = await scene.until(all_done)

    assert scene.ground.most == 10
    assert 9.5 < took < 12
    assert set(scene.http.received.values()) == {1}
    assert len(scene.http.received) == 100
    assert await scene.left(queue, f"steps-dlq{queue.removeprefix('steps')}") == {}


async def test_a_message_that_fails_for_ever_holds_up_its_group_only_and_then_lets_it_go_on(scene):
    ever = 1_000
    async with scene.started(through("steps.fifo")) as app:
        steps = [
            Step(id=walk, number=number, stumbles=ever if (walk, number) == ("stuck", 2) else 0)
            for walk in ("stuck", "free", "other")
            for number in range(10)
        ]
        await app.send_many(steps)

        async def others_done():
            return scene.handled("free") == scene.handled("other") == list(range(10))

        await scene.until(others_done, within=5)
        assert scene.handled("stuck") == [0, 1]

        async def given_up():
            letters = await scene.left("steps-dlq.fifo")
            if not letters:
                assert scene.handled("stuck") == [0, 1]
            return letters

        await scene.until(given_up)
    assert scene.handled("stuck") == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    [letter] = await scene.sqs.receive_message(await scene.sqs.get_queue_url("steps-dlq.fifo"))
    assert '"number":2' in letter.body
    assert await scene.left("steps.fifo") == {}


async def test_ten_minutes_without_the_store_dead_letter_nothing(scene):
    queues = ("steps.fifo", "steps-dlq.fifo", "walks-events", "walks-events-dlq")
    async with scene.started() as app:
        scene.stores.away = True
        steps = [Step(id=f"w{walk}", number=number) for walk in range(10) for number in range(10)]
        await app.send_many(steps)
        while scene.clock.monotonic() < 600:
            await scene.move(2.0)
        assert not scene.diary.lines["handled"]
        assert set(await scene.left(*queues)) == {"steps.fifo"}
        assert max(scene.http.received.values()) <= 2

        scene.stores.away = False

        async def all_done():
            return sum(map(len, scene.diary.lines["projected"].values())) == 100

        took = await scene.until(all_done)
    assert took < 60
    assert all(scene.handled(f"w{walk}") == list(range(10)) for walk in range(10))
    assert max(scene.http.received.values()) <= 3
    assert await scene.left(*queues) == {}
