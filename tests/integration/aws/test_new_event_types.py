"""A rolling deploy: an event meets an instance of the old version, which does not listen to it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from sourceflow import Aggregate, App, Command, Entity, Event, Key, Saga, handles, subscribes
from sourceflow.bus.observer import Observer
from sourceflow.bus.outcome import Ignored, RetryLater
from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.testing import LocalAws, ManualClock
from sourceflow.transports.aws import AwsOptions, AwsTransport, LocalKeyProvider


class Pay(Command):
    id: Key[str]


class Opened(Event):
    id: Key[str]


class Paid(Event):
    id: Key[str]


class Account(Entity):
    id: Key[str]


class Payments(Saga[Account]):
    @handles
    def pay(self, command: Pay) -> Account:
        self.raise_event(Paid(id=command.id))
        return Account(id=command.id)


class Post:
    """What the mails were about."""

    def __init__(self):
        self.mailed = []


class OldMails(Aggregate[Account]):
    @subscribes
    def opened(self, event: Opened) -> None:
        raise AssertionError(f"nobody opens {event.id}")


class NewMails(Aggregate[Account]):
    def __init__(self, post: Post):
        self._post = post

    @subscribes
    def paid(self, event: Paid) -> None:
        self._post.mailed.append(event.id)


class Outcomes(Observer):
    """Keeps how the handling of messages ended, and says so."""

    def __init__(self):
        self.news = asyncio.Queue()

    def settled(self, delivery, outcome, seconds):
        self.news.put_nowait(outcome)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def aws(clock):
    async with LocalAws(clock=clock) as aws:
        yield aws


@pytest.fixture(params=["in clear", "encrypted"])
def keys(request):
    return LocalKeyProvider() if request.param == "encrypted" else None


@pytest.fixture(params=["orders", "orders.fifo"])
def topic(request):
    return request.param


@pytest.fixture
def start(aws, clock, keys, topic):
    @asynccontextmanager
    async def start(name, component, configure, *, services=(), **options):
        outcomes = Outcomes()
        transport = AwsTransport(
            AwsOptions(
                region="us-east-1",
                endpoint_url=aws.endpoint_url,
                enable_encryption=keys is not None,
                **options,
            ),
            lambda bus: configure(bus, topic),
            credentials=aws.static_credentials(),
            keys=keys,
        )
        app = App([component], name=name, services=services, observer=outcomes, clock=clock)
        async with app.use(transport):
            yield app, outcomes.news

    return start


@pytest.fixture
def shop(start):
    return lambda: start("shop", Payments, lambda bus, topic: bus.raise_.event(Paid, topic=topic))


@pytest.fixture
def mails(start):
    def mails(component, *services, **options):
        def listen(bus, topic):
            return bus.subscribe.to.topic(topic)

        return start("mails", component, listen, services=services, **options)

    return mails


async def in_time(clock, work):
    """Let the clock run until something is done."""
    task = asyncio.ensure_future(work)
    async with asyncio.timeout(20):
        while not task.done():
            await clock.advance(timedelta(milliseconds=200))
            await asyncio.sleep(0.001)
    return await task


async def test_it_is_acknowledged_unseen_where_nothing_else_is_said(shop, mails, aws, clock):
    async with mails(OldMails) as (app, outcomes), shop() as (sender, _):
        await sender.send(Pay(id="a"))
        assert await in_time(clock, outcomes.get()) == Ignored()
        await in_time(clock, app.drained())

    post = Post()
    async with mails(NewMails, post) as (app, _):
        await in_time(clock, app.drained())
    assert post.mailed == []


async def test_it_is_left_for_a_newer_instance_where_unheard_events_are_retried(shop, mails, clock):
    async with mails(OldMails, unheard_events="retry") as (_, outcomes), shop() as (sender, _):
        await sender.send(Pay(id="a"))
        outcome = await in_time(clock, outcomes.get())
        assert type(outcome) is RetryLater
        assert str(outcome.error) == "no subscriber of this instance listens to the event 'Paid'"

    post = Post()
    async with mails(NewMails, post, unheard_events="retry") as (_, outcomes):
        await in_time(clock, outcomes.get())
    assert post.mailed == ["a"]


async def test_after_max_attempts_it_is_a_dead_letter_that_a_newer_instance_can_take(
    shop, mails, clock, topic
):
    queue = "mails-events.fifo" if topic.endswith(".fifo") else "mails-events"
    retried = {"unheard_events": "retry", "max_attempts": 2}
    async with mails(OldMails, **retried) as (app, outcomes), shop() as (sender, _):
        await sender.send(Pay(id="a"))
        for _ in range(2):
            assert type(await in_time(clock, outcomes.get())) is RetryLater
        await in_time(clock, app.drained())
        (letter,) = await app.dead_letters.query(DeadLetterFilter())
        assert (letter.reason, letter.type_name, letter.source) == ("UnknownType", "Paid", queue)

    post = Post()
    async with mails(NewMails, post, **retried) as (app, outcomes):
        moved = await in_time(clock, app.transport.dead_letters.redrive(queue))
        assert moved.moved == 1
        await in_time(clock, outcomes.get())
    assert post.mailed == ["a"]


@pytest.mark.parametrize("topic", ["orders"])
async def test_in_a_rolling_deploy_each_reaches_an_instance_that_listens(shop, mails, clock):
    post = Post()
    retried = {"unheard_events": "retry", "max_attempts": 50}
    async with mails(OldMails, **retried) as (_, old), shop() as (sender, _):
        await sender.send_many([Pay(id=str(number)) for number in range(10)])
        for _ in range(10):
            assert type(await in_time(clock, old.get())) is RetryLater
        async with mails(NewMails, post, **retried) as (_, new):  # while the old one goes on
            for _ in range(10):
                await in_time(clock, new.get())
    assert sorted(post.mailed) == sorted(map(str, range(10)))
