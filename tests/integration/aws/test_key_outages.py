"""For ten minutes KMS refuses, whatever its reason: nothing is lost, nothing is counted against a message."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from letter_watch import LONG, LetterWatch
from sourceflow.errors import DependencyError
from sourceflow.testing import LocalAws, ManualClock
from sourceflow.transports.aws import AwsOptions, ListenerState
from ticks import Clockwork, Tick, Ticks, only_raising, only_sending, tick_app, ticking

ALIAS = "alias/ticks"
OUTAGE = timedelta(minutes=10)
OPERATIONS = ("GenerateDataKey", "Decrypt", "DescribeKey")


class DisabledKey:
    def __init__(self, aws, key):
        self._key = key

    def begin(self):
        self._key.disable()

    def end(self):
        self._key.enable()


class Refusing:
    """Every call of KMS is refused with one code, also when the client's own tries are used up."""

    def __init__(self, code, status=400):
        self._code = code
        self._status = status

    def __call__(self, aws, key):
        self._aws = aws
        return self

    def begin(self):
        self._refuse(times=1_000_000)

    def end(self):
        self._refuse(times=0)

    def _refuse(self, times):
        for operation in OPERATIONS:
            self._aws.refuse(operation, self._code, times=times, status=self._status)


OUTAGES = {
    "disabled": DisabledKey,
    "forbidden": Refusing("AccessDeniedException"),
    "about to be deleted": Refusing("KMSInvalidStateException"),
    "throttled": Refusing("ThrottlingException"),
    "an internal error": Refusing("KMSInternalException", 500),
    "a dependency of KMS": Refusing("DependencyTimeoutException", 503),
    "not available": Refusing("KeyUnavailableException", 500),
    "expired credentials": Refusing("ExpiredTokenException"),
}


@pytest.fixture
def watch():
    return LetterWatch()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def aws(clock):
    async with LocalAws(clock=clock) as aws:
        yield aws


@pytest.fixture(params=OUTAGES.values(), ids=OUTAGES)
def outage(request, aws):
    return request.param(aws, aws.create_key(ALIAS))


@pytest.fixture
def make_app(aws, clock, watch):
    def make(configure=ticking, components=None):
        options = AwsOptions(
            region="us-east-1",
            endpoint_url=aws.endpoint_url,
            enable_encryption=True,
            kms_key_id=ALIAS,
            max_attempts=2,
        )
        return tick_app(
            options,
            configure,
            credentials=aws.static_credentials(),
            components=components,
            observer=watch,
            clock=clock,
        )

    return make


async def test_what_is_received_waits_and_is_handled_the_first_time(outage, make_app, clock, watch):
    sender, _ = make_app(only_sending, ())
    async with sender:
        await sender.send_many([Tick(id=str(number)) for number in range(50)])

    outage.begin()
    app, transport = make_app()
    async with app:
        await leap(clock, OUTAGE)
        states = {each.queue: each.state for each in transport.listeners}
        assert states["ticks"] is ListenerState.PAUSED
        assert await app.find(Clockwork, "0") is None
        assert watch.has_none

        outage.end()
        for number in range(50):
            await eventually(clock, lambda key=str(number): app.find(Ticks, key))
            assert (await app.get(Clockwork, str(number))).attempt == 1
            assert (await app.get(Ticks, str(number))).attempt == 1
        assert {each.state for each in transport.listeners} == {ListenerState.RECEIVING}
    assert watch.has_none


async def test_what_is_sent_at_the_edge_is_refused_and_later_taken(outage, make_app, clock, watch):
    outage.begin()
    app, _ = make_app()
    async with app:
        async with asyncio.TaskGroup() as tasks:
            refused = tasks.create_task(send_refused(app))
            await eventually(clock, lambda: done(refused))
        await leap(clock, timedelta(seconds=30))
        outage.end()
        await leap(clock, timedelta(seconds=2))
        await app.send(Tick(id="after"))
        await eventually(clock, lambda: app.find(Ticks, "after"))
        assert await app.find(Clockwork, "refused") is None
    assert watch.has_none


async def test_what_a_handler_sends_waits_in_the_outbox(outage, make_app, clock, watch):
    outage.begin()
    app, _ = make_app(only_raising)
    async with app:
        await app.send(Tick(id="1"))
        await leap(clock, OUTAGE)
        assert await app.find(Clockwork, "1")
        assert await app.find(Ticks, "1") is None

        outage.end()
        await eventually(clock, lambda: app.find(Ticks, "1"))
    assert watch.has_none


async def send_refused(app):
    with pytest.raises(DependencyError):
        await app.send(Tick(id="refused"))


async def done(task):
    return task.done()


async def leap(clock, time):
    for _ in range(int(time.total_seconds())):
        await clock.advance(timedelta(seconds=1))
        await asyncio.sleep(0.001)


async def eventually(clock, look):
    async with asyncio.timeout(LONG):
        while not await look():
            await clock.advance(timedelta(milliseconds=500))
            await asyncio.sleep(0.001)
