"""What the options of sending and of the order do, seen from outside."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from sourceflow import App, Command, Entity, Key, Saga, handles
from sourceflow.bus.changes import Destination
from sourceflow.errors import AwsConfigurationError, AwsThrottledError, CircuitOpenError
from sourceflow.resilience import CircuitOptions, CircuitState
from sourceflow.stores.memory import MemoryStores
from sourceflow.testing import LocalAws, ManualClock
from sourceflow.testing.clock import settle
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.face import json_fault
from sourceflow.transports.aws import AwsOptions, AwsTransport, ListenerState, LocalKeyProvider
from sourceflow.transports.aws.client import Endpoint, SqsClient

QUEUE = Destination("queue", "work.fifo")


class Work(Command):
    id: Key[str]
    number: int = 0


class Job(Entity):
    id: Key[str]


class Diary:
    def __init__(self):
        self.began = []
        self.news = asyncio.Event()


class JobSaga(Saga[Job]):
    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    @handles
    def work(self, job: Job | None, command: Work) -> Job:
        self.diary.began.append(command.number)
        self.diary.news.set()
        return Job(id=command.id)


class Remembering(MemoryStores):
    """Stands for stores that remember over restarts."""

    durable = True


class Moody(LocalAws):
    """Throttles so many sends, and holds deletes up."""

    def __init__(self, clock):
        super().__init__(clock=clock)
        self.throttled = 0
        self.deletes = asyncio.Event()
        self.deletes.set()

    async def _answer(self, method, path, query, headers, body):
        operation = headers.get("X-Amz-Target", "").partition(".")[2]
        if operation == "SendMessageBatch" and self.throttled:
            self.throttled -= 1
            return json_fault("sqs", AwsFault("RequestThrottled", "slow down", status=403))
        if operation == "DeleteMessageBatch":
            await self.deletes.wait()
        return await super()._answer(method, path, query, headers, body)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def aws(clock):
    async with Moody(clock) as moody:
        yield moody


@pytest.fixture
def diary():
    return Diary()


@pytest.fixture
def start(aws, clock, diary):
    @asynccontextmanager
    async def start(*, listen=False, stores=None, keys=None, **options):
        def configure(bus):
            sending = bus.send.command(Work, queue="work.fifo")
            return sending.listen.to.command_queue("work.fifo") if listen else sending

        transport = AwsTransport(
            AwsOptions(region="us-east-1", endpoint_url=aws.endpoint_url, **options),
            configure,
            credentials=aws.static_credentials(),
            keys=keys,
        )
        components = [JobSaga] if listen else []
        app = App(components, name="jobs", services=[diary], stores=stores, clock=clock)
        async with app.use(transport):
            yield app, transport

    return start


async def gone(aws):
    """Delete the queue."""
    client = SqsClient(
        endpoint=Endpoint(service="sqs", region="us-east-1", url=aws.endpoint_url),
        credentials=aws.static_credentials(),
        http=aws,
    )
    await client.delete_queue(await client.get_queue_url("work.fifo"))


async def in_time(clock, work):
    """Let the clock run until something is done."""
    task = asyncio.ensure_future(work)
    async with asyncio.timeout(20):
        while not task.done():
            await clock.advance(timedelta(milliseconds=500))
            await asyncio.sleep(0.001)
    return await task


async def test_a_throttled_send_goes_on_until_send_timeout(start, aws, clock):
    async with start(send_timeout=timedelta(minutes=10)) as (app, _):
        aws.throttled = 15
        await in_time(clock, app.send(Work(id="1")))

    async with start(send_timeout=timedelta(seconds=5)) as (app, _):
        aws.throttled = 1000
        began = clock.monotonic()
        with pytest.raises(AwsThrottledError):
            await in_time(clock, app.send(Work(id="1")))
        assert 5 <= clock.monotonic() - began < 15


async def test_sends_that_come_within_linger_share_a_batch(start, aws):
    async def two_sends(app):
        first = asyncio.create_task(app.send(Work(id="1")))
        await settle(5)  # without linger the first has left by now
        await asyncio.gather(first, app.send(Work(id="2")))
        return aws.calls["SendMessageBatch"]

    async with start() as (app, _):
        assert await two_sends(app) == 2
    async with start(linger=timedelta(milliseconds=5)) as (app, _):
        assert await two_sends(app) == 3


async def test_the_circuit_opens_as_its_options_say_and_can_be_looked_at_and_moved(start, aws):
    changes = []
    options = CircuitOptions(failures=2, open_for=timedelta(hours=1), on_change=changes.append)
    async with start(circuit_breaker=options) as (app, transport):
        circuit = transport.circuits[QUEUE]
        await gone(aws)
        for _ in range(2):
            with pytest.raises(AwsConfigurationError):
                await app.send(Work(id="1"))
        with pytest.raises(CircuitOpenError) as refused:
            await app.send(Work(id="1"))

        assert refused.value.retry_after == timedelta(hours=1)
        assert (circuit.statistics.opened, circuit.statistics.refused) == (1, 1)
        circuit.reset()
        with pytest.raises(AwsConfigurationError):
            await app.send(Work(id="1"))
        circuit.trip()
        assert circuit.state is CircuitState.OPEN
    assert [change.state.value for change in changes] == ["open", "closed", "open"]


@pytest.mark.parametrize(
    ("durable", "strict", "overlaps"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
async def test_the_next_of_a_group_starts_after_the_commit_or_after_the_delete(
    start, aws, diary, clock, durable, strict, overlaps
):
    async with start() as (app, _):  # both are there when the listener comes
        await app.send_many([Work(id="1", number=at) for at in range(2)])
    stores = Remembering() if durable else None
    aws.deletes.clear()
    async with start(listen=True, stores=stores, strict_order=strict) as (app, transport):
        for _ in range(50):
            await clock.advance(timedelta(milliseconds=20))
            await asyncio.sleep(0.002)
        began = list(diary.began)
        aws.deletes.set()
        await in_time(clock, app.drained())
        assert transport.listeners[0].state is ListenerState.RECEIVING

    assert began == ([0, 1] if overlaps else [0])
    assert diary.began == [0, 1]


class CountedKeys(LocalKeyProvider):
    """Counts the data keys that it makes."""

    def __init__(self):
        super().__init__()
        self.made = 0

    async def generate(self, context):
        self.made += 1
        return await super().generate(context)


@pytest.mark.parametrize(("lifetime", "made"), [(5, 2), (60, 1)])
async def test_a_data_key_is_renewed_when_its_lifetime_is_over(start, clock, lifetime, made):
    keys = CountedKeys()
    options = {"enable_encryption": True, "data_key_lifetime": timedelta(minutes=lifetime)}
    async with start(keys=keys, **options) as (app, _):
        for number in (1, 2):
            await app.send(Work(id="1", number=number))
            await clock.advance(timedelta(minutes=5))
    assert keys.made == made
