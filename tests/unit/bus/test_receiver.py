"""What becomes of a message that a transport has received."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from sourceflow import (
    Aggregate,
    Command,
    Discard,
    Entity,
    Event,
    Key,
    Reject,
    Retry,
    Saga,
    handles,
    subscribes,
)
from sourceflow.bus.outcome import (
    Discarded,
    Done,
    Duplicate,
    Ignored,
    Paused,
    Rejected,
    RetryLater,
)
from sourceflow.bus.receiver import outcome_of
from sourceflow.errors import (
    ConflictError,
    DependencyError,
    DepthExceededError,
    DuplicateError,
    MalformedError,
    NoHandlerError,
    UnknownTypeError,
    WrongKindError,
)
from sourceflow.stores.memory import MemoryStores


class Go(Command):
    id: Key[str]


class Ship(Command):
    id: Key[str]


class Went(Event):
    id: Key[str]


class Stayed(Event):
    id: Key[str]


class Trip(Entity):
    id: Key[str]


class Script:
    def __init__(self):
        self.attempts = []
        self.error = None
        self.follow = None


class Trips(Saga[Trip]):
    def __init__(self, script: Script) -> None:
        self.script = script

    @handles
    async def go(self, command: Go) -> Trip:
        self.script.attempts.append(self.context.attempt)
        if self.script.error is not None:
            raise self.script.error
        self.raise_event(Went(id=command.id))
        return Trip(id=command.id)

    @handles
    def ship(self, command: Ship) -> None:
        self.raise_event(Stayed(id=command.id))


class Followers(Aggregate[Trip]):
    def __init__(self, script: Script) -> None:
        self.script = script

    @subscribes
    async def went(self, event: Went) -> None:
        if self.script.follow is not None:
            await self.script.follow()
        await self.send(Ship(id=event.id))


@pytest.fixture
def script():
    return Script()


@pytest.fixture
async def bench(start, script, nowhere):
    return await start(Trips, Followers, Stayed, services=[script], transport=nowhere())


def event(bench, message):
    return bench.engine.router.event(message, cause=bench.envelope(Go(id="a")), sequence=1)


async def test_a_handled_message_is_done_and_its_copy_a_duplicate(bench):
    command = bench.envelope(Go(id="a"))
    assert await bench.receive(command) == Done()
    assert await bench.receive(command) == Duplicate()
    went = event(bench, Went(id="b"))
    assert await bench.receive(went) == Done()
    assert await bench.receive(went) == Duplicate()
    assert bench.ears.of("duplicate") == [("Go",), ("Went",)]


async def test_a_handler_sees_which_attempt_it_is(bench, script):
    await bench.receive(bench.envelope(Go(id="a")), attempt=3)
    assert script.attempts == [3]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("no"), lambda error: RetryLater(error=error)),
        (Retry(), lambda error: RetryLater(error=error, asked=True)),
        (
            Retry(timedelta(minutes=1)),
            lambda error: RetryLater(error=error, delay=timedelta(minutes=1), asked=True),
        ),
        (Reject("no"), lambda error: Rejected(reason="Rejected", error=error)),
        (DepthExceededError("no"), lambda error: Rejected(reason="Rejected", error=error)),
        (Discard("old"), lambda _: Discarded(reason="old")),
        (DependencyError("away"), lambda error: Paused(error=error)),
        (NoHandlerError("no"), lambda error: RetryLater(error=error, reason="UnknownType")),
    ],
)
async def test_what_a_handler_raises_decides_what_becomes_of_its_message(
    bench, script, error, outcome
):
    script.error = error
    assert await bench.receive(bench.envelope(Go(id="a"))) == outcome(error)
    assert bench.engine.receiver.running == 0


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(DuplicateError(), Duplicate), (ConflictError(), RetryLater), (KeyError(), RetryLater)],
)
def test_errors_of_the_stores_have_their_outcomes(error, outcome):
    assert type(outcome_of(error, None)) is outcome


@pytest.mark.parametrize(
    ("change", "outcome", "reason", "error"),
    [
        ({"body": b"{"}, Rejected, "Malformed", MalformedError),
        ({"body": b"\xff"}, Rejected, "Malformed", MalformedError),
        ({"type_hint": "Went"}, Rejected, "Malformed", MalformedError),
        ({"kind": "event", "type_hint": None}, Rejected, "WrongKind", WrongKindError),
    ],
)
async def test_what_can_never_be_read_is_rejected_at_once(bench, change, outcome, reason, error):
    delivery = replace(bench.delivery(bench.envelope(Go(id="a"))), **change)
    received = await bench.engine.receiver.receive(delivery)
    assert (type(received), received.reason, type(received.error)) == (outcome, reason, error)


async def test_a_command_of_an_unknown_type_is_left_for_a_newer_instance(bench):
    delivery = bench.delivery(bench.envelope(Go(id="a")))
    body = delivery.body.replace(b'"Go"', b'"GoFar"')
    received = await bench.engine.receiver.receive(replace(delivery, body=body, type_hint="GoFar"))
    assert type(received.error) is UnknownTypeError
    assert (type(received), received.reason) == (RetryLater, "UnknownType")


async def test_an_event_that_nobody_hears_is_ignored_without_being_read(bench):
    delivery = replace(bench.delivery(event(bench, Stayed(id="a"))), body=b"not even JSON")
    assert await bench.engine.receiver.receive(delivery) == Ignored()
    unknown = replace(delivery, type_hint="NeverHeardOf")
    assert await bench.engine.receiver.receive(unknown) == Ignored()


async def test_an_event_that_nobody_hears_is_left_for_others_where_it_is_to_be_retried(
    start, script, nowhere
):
    transport = nowhere(retries_unheard=True)
    bench = await start(Trips, Followers, Stayed, services=[script], transport=transport)
    delivery = bench.delivery(event(bench, Stayed(id="a")))
    for type_hint, body, name in (
        ("Stayed", b"not even JSON", "Stayed"),
        ("NeverHeardOf", b"not even JSON", "NeverHeardOf"),
        (None, delivery.body, "Stayed"),
    ):
        received = await bench.engine.receiver.receive(
            replace(delivery, type_hint=type_hint, body=body)
        )
        assert (type(received), received.reason) == (RetryLater, "UnknownType")
        assert type(received.error) is NoHandlerError
        assert repr(name) in str(received.error)
    assert await bench.receive(event(bench, Went(id="a"))) == Done()


async def test_an_event_without_a_type_beside_it_is_ignored_once_it_is_read(bench):
    delivery = replace(bench.delivery(event(bench, Stayed(id="a"))), type_hint=None)
    assert await bench.engine.receiver.receive(delivery) == Ignored()


async def test_a_commands_name_on_an_event_queue_is_the_wrong_kind_and_not_ignored(bench):
    received = await bench.receive(bench.envelope(Go(id="a")), kind="event")
    assert received.reason == "WrongKind"


async def test_the_message_is_done_only_when_what_it_caused_is_done(bench, script):
    gate = asyncio.Event()
    script.follow = gate.wait
    receiving = asyncio.create_task(bench.receive(bench.envelope(Go(id="a"))))
    await bench.settle()
    assert not receiving.done()
    assert bench.engine.receiver.running == 1
    gate.set()
    assert await receiving == Done()
    assert await bench.stores.outbox.depth() == 0
    assert [each.envelope.type_name for each in await logged(bench)] == ["Go", "Ship"]


async def logged(bench):
    return await bench.log(("Trip", "a"))


async def test_a_copy_waits_for_what_the_first_one_caused(bench, script):
    gate = asyncio.Event()
    script.follow = gate.wait
    command = bench.envelope(Go(id="a"))
    first = asyncio.create_task(bench.receive(command))
    await bench.settle()
    copy = asyncio.create_task(bench.receive(command))
    await bench.settle()
    assert not copy.done()
    first.cancel()
    await asyncio.wait([first])
    await bench.settle()
    assert not copy.done()
    gate.set()
    assert await copy == Duplicate()
    assert bench.engine.receiver._families == {}


async def test_a_cancelled_handling_is_over_and_what_it_caused_goes_on(bench, script):
    gate = asyncio.Event()
    script.follow = gate.wait
    receiving = asyncio.create_task(bench.receive(bench.envelope(Go(id="a"))))
    await bench.settle()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert bench.engine.receiver.running == 0
    gate.set()
    await bench.relay.idle()
    assert bench.engine.receiver._families == {}
    assert len(await logged(bench)) == 2


async def test_with_stores_that_outlive_the_process_the_message_is_done_after_its_commit(
    start, script, nowhere
):
    class Durable(MemoryStores):
        durable = True

    bench = await start(Trips, Followers, services=[script], transport=nowhere(), stores=Durable())
    gate = asyncio.Event()
    script.follow = gate.wait
    assert await bench.receive(bench.envelope(Go(id="a"))) == Done()
    assert bench.relay.waiting == 1
    gate.set()
    await bench.relay.idle()


async def test_a_retried_event_joins_what_its_first_handling_caused(bench, script):
    went = event(bench, Went(id="a"))
    assert await bench.receive(went) == Done()
    assert await bench.receive(replace(went, id="another")) == Done()
    assert len(await logged(bench)) == 2
