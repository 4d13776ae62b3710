"""What takes its time, on the real emulator and by the machine's clock: less of it, and the same rules."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from leftovers import left_in_queues
from sourceflow import Observer
from sourceflow.clock import SystemClock
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import (
    DirectClient,
    Endpoint,
    SqsClient,
    StaticCredentials,
)
from walking import Ground, MemoryDiary, Step, walkers

pytestmark = [pytest.mark.slow, pytest.mark.localstack]


class Watch(Observer):
    """Counts receives, and tells when a message is given up."""

    def __init__(self):
        self.received_bodies = Counter()
        self.lettered = asyncio.Event()

    def received(self, delivery):
        self.received_bodies[delivery.body] += 1

    def dead_lettered(self, letter):
        self.lettered.set()


class Scene:
    """An App on LocalStack."""

    def __init__(self, url, http):
        self.url = url
        self.prefix = f"t{secrets.token_hex(4)}-"
        self.diary = MemoryDiary()
        self.ground = Ground(SystemClock())
        self.watch = Watch()
        self.sqs = SqsClient(
            endpoint=Endpoint(service="sqs", region="us-east-1", url=url),
            credentials=StaticCredentials("test", "test"),
            http=http,
        )

    @asynccontextmanager
    async def started(self, queue, **options):
        transport = AwsTransport(
            AwsOptions(
                region="us-east-1",
                endpoint_url=self.url,
                resource_prefix=self.prefix,
                wait_time=timedelta(seconds=1),
                **options,
            ),
            lambda bus: bus.send.command(Step, queue=queue).listen.to.command_queue(queue),
            credentials=StaticCredentials("test", "test"),
        )
        app = walkers(transport, self.diary, SystemClock(), ground=self.ground, observer=self.watch)
        async with app:
            yield app
            await app.drained()

    async def left(self, *names):
        return await left_in_queues(self.sqs, *(self.prefix + name for name in names))


@pytest.fixture
async def scene(localstack_url):
    async with DirectClient() as http:
        yield Scene(localstack_url, http)


@pytest.mark.parametrize("queue", ["steps", "steps.fifo"])
async def test_slow_handlers_run_side_by_side_and_keep_their_leases(scene, queue):
    async with scene.started(
        queue, max_concurrent_calls=5, visibility_timeout=timedelta(seconds=4)
    ) as app:
        await app.send_many([Step(id=f"w{at}", number=0, takes=0.5) for at in range(20)])
        # LocalStack's FIFO queues refuse a handle once its first timeout is over, however often it
        # was renewed (the rule: SQS developer guide, visibility timeout): a long step is for others.
        long = [] if queue.endswith(".fifo") else [Step(id="long", number=0, takes=5.0)]
        await app.send_many(long)

    assert scene.ground.most == 5
    assert len(scene.watch.received_bodies) == 20 + len(long)
    assert set(scene.watch.received_bodies.values()) == {1}
    assert await scene.left(queue, f"steps-dlq{queue.removeprefix('steps')}") == {}


async def test_a_message_that_fails_for_ever_holds_up_its_group_only_and_then_lets_it_go_on(scene):
    async with scene.started("steps.fifo", max_attempts=3) as app:
        steps = [
            Step(id=walk, number=number, stumbles=9 if (walk, number) == ("stuck", 2) else 0)
            for walk in ("stuck", "free")
            for number in range(10)
        ]
        await app.send_many(steps)
        await asyncio.wait_for(scene.watch.lettered.wait(), 30)
        assert scene.diary.lines["handled"]["stuck"] == [0, 1]

    handled = scene.diary.lines["handled"]
    assert handled["free"] == list(range(10))
    assert handled["stuck"] == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    letters = await scene.left("steps.fifo", "steps-dlq.fifo")
    assert letters == {f"{scene.prefix}steps-dlq.fifo": (1, 0)}
