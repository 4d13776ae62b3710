"""What each option of the transport does, seen from outside."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from sourceflow import (
    App,
    Command,
    Discard,
    Entity,
    Event,
    Key,
    Observer,
    Reject,
    Retry,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
)
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport, acknowledger

SECOND = timedelta(seconds=1)


class Work(Command):
    id: Key[str]
    say: str = ""


class Worked(Event):
    id: Key[str]


class Job(Entity):
    id: Key[str]
    done: int = 0


class JobRow(ViewModel):
    id: Key[str]
    seen: int = 0


class Desk:
    """Sees what handlers do, and holds them up."""

    def __init__(self):
        self.open = asyncio.Event()
        self.open.set()
        self.began = asyncio.Semaphore(0)
        self.running = 0
        self.most = 0
        self.attempts = []


class JobSaga(Saga[Job]):
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    @handles
    async def work(self, job: Job | None, command: Work) -> Job:
        desk = self.desk
        desk.attempts.append(self.context.attempt)
        desk.running += 1
        desk.most = max(desk.most, desk.running)
        desk.began.release()
        try:
            await desk.open.wait()
        finally:
            desk.running -= 1
        match command.say:
            case "fail":
                raise ValueError("as told")
            case "reject":
                raise Reject("never")
            case "discard":
                raise Discard("not wanted")
            case "retry" if self.context.attempt == 1:
                raise Retry(timedelta(milliseconds=10))
        self.raise_event(Worked(id=command.id))
        return Job(id=command.id, done=(job.done if job else 0) + 1)


class JobRows(View[JobRow], lifecycle="async"):
    @projects
    def worked(self, event: Worked, row: JobRow | None) -> JobRow:
        return JobRow(id=event.id, seen=(row.seen if row else 0) + 1)


class Watch(Observer):
    def __init__(self):
        self.sent_to = Counter()
        self.letters = []
        self.lettered = asyncio.Event()

    def sent(self, envelope, destination, error):
        self.sent_to[str(destination)] += 1

    def dead_lettered(self, letter):
        self.letters.append(letter)
        self.lettered.set()


class Recording(LocalAws):
    """Keeps what it is asked."""

    def __init__(self):
        super().__init__()
        self.requests = []
        self.regions = set()

    async def _answer(self, method, path, query, headers, body):
        found = re.search(r"Credential=[^/]+/\d+/([^/]+)/", headers.get("Authorization", ""))
        self.regions.add(found and found[1])
        target = headers.get("X-Amz-Target", "").partition(".")[2]
        if target:
            self.requests.append((target, json.loads(body)))
        return await super()._answer(method, path, query, headers, body)

    def asked(self, operation, field):
        return {request.get(field) for name, request in self.requests if name == operation}


@pytest.fixture
async def aws():
    async with Recording() as recording:
        yield recording


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def watch():
    return Watch()


def whole(bus):
    return (
        bus.send.command(Work, queue="work.fifo")
        .raise_.event(Worked, topic="work-events")
        .listen.to.command_queue("work.fifo")
        .subscribe.to.topic("work-events")
    )


@pytest.fixture
def start(aws, desk, watch):
    @asynccontextmanager
    async def start(configure=whole, *, components=(JobSaga, JobRows), name="jobs", **options):
        transport = AwsTransport(
            AwsOptions(
                **{
                    "region": "us-east-1",
                    "endpoint_url": aws.endpoint_url,
                    "wait_time": SECOND,
                    **options,
                }
            ),
            configure,
            credentials=aws.static_credentials(),
        )
        app = App(components, name=name, services=[desk], observer=watch).use(transport)
        async with app:
            yield app

    return start


async def test_with_everything_on_commands_and_events_travel(start, watch):
    async with start() as app:
        await app.send(Work(id="1"))
        await app.drained()

        assert watch.sent_to == {"queue:work.fifo": 1, "topic:work-events": 1}
        assert await app.get(JobRow, "1") == JobRow(id="1", seen=1)


async def test_without_command_routing_commands_are_handled_here(start, watch, aws):
    async with start(enable_command_routing=False, enable_command_listener=False) as app:
        await app.send(Work(id="1"))
        assert (await app.get(Job, "1")).done == 1
        await app.drained()

    assert watch.sent_to == {"topic:work-events": 1}
    assert aws.calls["SendMessageBatch"] == 0


async def test_without_event_routing_events_stay_here(start, watch, aws):
    async with start(enable_event_routing=False, enable_event_listener=False) as app:
        await app.send(Work(id="1"))
        await app.drained()
        assert (await app.get(JobRow, "1")).seen == 1

    assert watch.sent_to["topic:work-events"] == 0
    assert aws.calls["PublishBatch"] == 0
    assert aws.calls["CreateTopic"] == 0


async def test_without_command_listener_commands_wait_in_their_queue(start, aws):
    async with start(enable_command_listener=False, components=(JobRows,)) as app:
        await app.send(Work(id="1"))
        await app.drained()
        assert await app.find(Job, "1") is None
    assert "work.fifo" not in {
        url.rpartition("/")[2] for url in aws.asked("ReceiveMessage", "QueueUrl")
    }

    async with start() as app:
        await app.drained()
        assert (await app.get(Job, "1")).done == 1


async def test_without_event_listener_events_go_out_and_reach_subscribers_here_directly(
    start, watch, aws
):
    async with start(enable_event_listener=False) as app:
        await app.send(Work(id="1"))
        await app.drained()
        assert (await app.get(JobRow, "1")).seen == 1

    assert watch.sent_to["topic:work-events"] == 1
    assert aws.calls["Subscribe"] == 0


async def test_no_more_messages_are_handled_at_a_time_than_max_concurrent_calls(start, desk):
    desk.open.clear()
    async with start(max_concurrent_calls=3) as app:
        await app.send_many([Work(id=str(at)) for at in range(12)])
        for _ in range(3):
            await desk.began.acquire()
        desk.open.set()
        await app.drained()
        assert len(await app.query(JobRow)) == 12

    assert desk.most == 3


async def test_a_queue_may_have_a_limit_of_its_own(start, desk):
    def configure(bus):
        return bus.send.command(Work, queue="work.fifo").listen.to.command_queue(
            "work.fifo", max_concurrent_calls=2
        )

    desk.open.clear()
    async with start(configure) as app:
        await app.send_many([Work(id=str(at)) for at in range(12)])
        for _ in range(2):
            await desk.began.acquire()
        desk.open.set()
        await app.drained()

    assert desk.most == 2


async def test_receives_wait_and_hide_as_long_as_the_options_say(start, aws):
    def configure(bus):
        return whole(bus).listen.to.command_queue(
            "slow.fifo", visibility_timeout=timedelta(minutes=2)
        )

    class Slow(Command):
        id: Key[str]

    class SlowSaga(Saga[None]):
        @handles
        def slow(self, command: Slow) -> None: ...

    def with_slow(bus):
        return configure(bus).send.command(Slow, queue="slow.fifo")

    async with start(
        with_slow,
        components=(JobSaga, JobRows, SlowSaga),
        wait_time=timedelta(seconds=2),
        visibility_timeout=timedelta(seconds=45),
    ) as app:
        await app.send(Work(id="1"))
        await app.send(Slow(id="1"))
        await app.drained()

    assert aws.asked("ReceiveMessage", "WaitTimeSeconds") == {2}
    hidden = {
        (request["QueueUrl"].rpartition("/")[2], request["VisibilityTimeout"])
        for name, request in aws.requests
        if name == "ReceiveMessage"
    }
    assert hidden == {("work.fifo", 45), ("jobs-events", 45), ("slow.fifo", 120)}


@pytest.mark.parametrize("attempts", [1, 2])
async def test_a_message_that_fails_max_attempts_times_is_a_dead_letter(
    start, desk, watch, attempts
):
    async with start(max_attempts=attempts) as app:
        await app.send(Work(id="1", say="fail"))
        await asyncio.wait_for(watch.lettered.wait(), 10)
        await app.drained()

    assert desk.attempts == list(range(1, attempts + 1))
    [letter] = watch.letters
    assert (letter.reason, letter.source, letter.attempts) == (
        "RetriesExhausted",
        "work.fifo",
        attempts,
    )


async def test_a_queue_may_have_attempts_of_its_own(start, desk, watch):
    def configure(bus):
        return bus.send.command(Work, queue="work.fifo").listen.to.command_queue(
            "work.fifo", max_attempts=1
        )

    async with start(configure) as app:
        await app.send(Work(id="1", say="fail"))
        await asyncio.wait_for(watch.lettered.wait(), 10)

    assert desk.attempts == [1]


async def test_reject_is_a_dead_letter_at_once(start, desk, watch):
    async with start() as app:
        await app.send(Work(id="1", say="reject"))
        await asyncio.wait_for(watch.lettered.wait(), 10)
        await app.drained()
        assert await app.find(Job, "1") is None

    assert desk.attempts == [1]
    assert watch.letters[0].reason == "Rejected"


async def test_discard_leaves_nothing_behind(start, desk, watch):
    async with start() as app:
        await app.send(Work(id="1", say="discard"))
        await app.drained()
        assert await app.find(Job, "1") is None

    assert desk.attempts == [1]
    assert watch.letters == []


async def test_retry_comes_again_when_it_says(start, desk, watch):
    async with start(max_attempts=1) as app:
        await app.send(Work(id="1", say="retry"))
        await app.drained()
        assert (await app.get(Job, "1")).done == 1

    assert desk.attempts == [1, 2]
    assert watch.letters == []


async def test_stopping_waits_for_handlers_as_long_as_the_grace_period(start, desk):
    desk.open.clear()
    loop = asyncio.get_running_loop()
    async with start(shutdown_grace=timedelta(seconds=20)) as app:
        await app.send(Work(id="1"))
        await desk.began.acquire()
        loop.call_later(0.2, desk.open.set)
        before = loop.time()
    assert 0.15 < loop.time() - before < 10

    async with start() as app:
        await app.drained()
    assert desk.attempts == [1]


async def test_what_does_not_end_within_the_grace_period_is_there_for_others_at_once(start, desk):
    desk.open.clear()
    loop = asyncio.get_running_loop()
    async with start(shutdown_grace=timedelta(milliseconds=100)) as app:
        await app.send(Work(id="1"))
        await desk.began.acquire()
        before = loop.time()
    assert loop.time() - before < 10
    assert desk.running == 0

    desk.open.set()
    async with start() as app:
        await app.drained(timeout=10)  # well below the visibility timeout
        assert (await app.get(Job, "1")).done == 1


async def test_what_is_done_is_deleted_also_when_the_grace_period_is_over(
    start, desk, watch, monkeypatch
):
    monkeypatch.setattr(acknowledger, "LINGER", 0.3)  # the delete has not left when all stops
    async with start(shutdown_grace=timedelta(0)) as app:
        await app.send(Work(id="1", say="reject"))
        await watch.lettered.wait()

    async with start() as app:
        await app.drained(timeout=10)  # well below the visibility timeout
    assert desk.attempts == [1]


async def test_requests_are_signed_for_the_region(start, aws):
    async with start(region="ap-south-1") as app:
        await app.send(Work(id="1"))
        await app.drained()

    assert aws.regions == {"ap-south-1"}


async def test_the_prefix_stands_before_every_name(start, aws):
    async with start(resource_prefix="test-") as app:
        await app.send(Work(id="1"))
        await app.drained()

    made = {request["QueueName"] for name, request in aws.requests if name == "CreateQueue"}
    assert made == {
        "test-work.fifo",
        "test-work-dlq.fifo",
        "test-jobs-events",
        "test-jobs-events-dlq",
    }
