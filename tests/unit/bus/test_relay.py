"""What leaves after the commit: its order, its retries, its end."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

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
from sourceflow.bus.changes import Destination, OutboxRow, Stream
from sourceflow.bus.dead_letter import DeadLetter, DeadLetterFilter
from sourceflow.bus.expected import MAX_EXPECTED
from sourceflow.bus.relay import MAX_WAITING
from sourceflow.bus.tries import LOCAL_ATTEMPTS
from sourceflow.errors import (
    AwsRequestError,
    AwsTransientError,
    CircuitOpenError,
    DependencyError,
    DuplicateError,
    MessageTooLargeError,
)
from sourceflow.stores.memory import MemoryStores
from sourceflow.testing.clock import settle

AWAY = AwsTransientError("away", code="ServiceUnavailable", status=503)
NEVER = AwsRequestError("no", code="InvalidParameterValue", status=400)


class Go(Command):
    id: Key[str]
    number: int = 0


class Ship(Command):
    id: Key[str]
    number: int = 0


class Went(Event):
    id: Key[str]
    number: int


class Trip(Entity):
    id: Key[str]


class Script:
    def __init__(self):
        self.ran = []
        self.attempts = []
        self.errors = []
        self.error = None
        self.before = None

    async def __call__(self, message, context):
        self.ran.append((message.id, message.number))
        self.attempts.append(context.attempt)
        if self.before is not None:
            await self.before(message)
        if self.error is not None:
            raise self.error
        if self.errors:
            raise self.errors.pop(0)


class Trips(Saga[Trip]):
    @handles
    async def go(self, command: Go) -> Trip:
        self.raise_event(Went(id=command.id, number=command.number))
        await self.send(Ship(id=command.id, number=command.number))
        return Trip(id=command.id)


class Followers(Aggregate[Trip]):
    def __init__(self, script: Script) -> None:
        self.script = script

    @subscribes
    async def went(self, event: Went) -> None:
        await self.script(event, self.context)


@pytest.fixture
def script():
    return Script()


@pytest.fixture
async def bench(start, script, nowhere):
    transport = nowhere(commands={Ship: "ship.fifo"})
    return await start(Trips, Followers, services=[script], transport=transport)


def sent(bench, key=None):
    return [
        each.envelope.message.number
        for each in bench.transport.sent
        if key is None or each.envelope.message.id == key
    ]


async def letters(bench):
    return await bench.stores.dead_letters.query(DeadLetterFilter())


async def test_a_row_is_forgotten_when_it_has_arrived(bench):
    await bench.app.send(Go(id="a"))
    assert await bench.stores.outbox.depth() == bench.relay.waiting == 2
    await bench.relay.idle()
    assert await bench.stores.outbox.depth() == bench.relay.waiting == 0
    assert bench.relay.left() == {}


async def test_what_waits_is_counted_by_destination(bench, script):
    gate = asyncio.Event()
    script.before = lambda _: gate.wait()
    await bench.app.send(Go(id="a"))
    await bench.app.send(Go(id="b"))
    await bench.settle()
    assert bench.relay.left() == {"subscriber:Followers.went": 2}
    gate.set()
    await bench.relay.idle()


async def test_rows_of_one_stream_and_destination_leave_in_order_also_through_failures(bench):
    bench.transport.faults = [AWAY, AWAY, None, AWAY]
    for number in range(4):
        await bench.app.send(Go(id="a", number=number))
    await bench.wait(minutes=2)
    assert sent(bench) == [0, 1, 2, 3]
    assert not await letters(bench)


async def test_another_stream_does_not_wait_for_one_that_cannot_be_sent(bench):
    bench.transport.faults = [AWAY]
    await bench.app.send(Go(id="a", number=1))
    await bench.settle()
    await bench.app.send(Go(id="b", number=2))
    await bench.settle()
    assert sent(bench) == [2]
    await bench.wait(minutes=1)
    assert sent(bench) == [2, 1]


async def test_what_cannot_be_sent_is_tried_until_it_can(bench):
    bench.transport.faults = [AWAY] * 40
    await bench.app.send(Go(id="a"))
    await bench.wait(minutes=20)
    assert sent(bench) == [0]
    assert len(bench.ears.of("sent")) == 41
    assert await bench.stores.outbox.depth() == 0


async def test_what_a_suspended_destination_refuses_leaves_when_a_probe_may(bench):
    bench.transport.faults = [CircuitOpenError("ship.fifo", timedelta(seconds=60))]
    await bench.app.send(Go(id="a"))
    await bench.wait(minutes=0.99)
    assert len(bench.ears.of("sent")) == 1
    await bench.wait(minutes=0.01)
    assert sent(bench) == [0]


@pytest.mark.parametrize(
    "error", [NEVER, MessageTooLargeError(size=2, limit=1, destination="ship.fifo")]
)
async def test_a_message_that_can_never_be_sent_becomes_a_dead_letter(bench, error):
    bench.transport.faults = [error]
    await bench.app.send(Go(id="a"), message_id="m-1")
    await bench.relay.idle()
    (letter,) = await letters(bench)
    assert (letter.source, letter.type_name) == ("local:queue:ship.fifo", "Ship")
    assert (letter.attempts, letter.subscribers) == (1, ())
    assert bench.engine._codec.decode(letter.body).causation_id == "m-1"
    assert await bench.stores.outbox.depth() == 0


async def test_subscribers_get_the_events_of_one_key_in_order_also_through_failures(bench, script):
    script.errors = [ValueError(), ValueError()]
    for number in range(3):
        await bench.app.send(Go(id="a", number=number))
    await bench.wait(minutes=1)
    assert script.ran == [("a", 0), ("a", 0), ("a", 0), ("a", 1), ("a", 2)]


async def test_other_keys_of_a_subscriber_are_not_held_up(bench, script):
    gate = asyncio.Event()

    async def wait(message):
        if message.id == "a":
            await gate.wait()

    script.before = wait
    await bench.app.send(Go(id="a"))
    await bench.app.send(Go(id="b"))
    await bench.settle()
    assert bench.relay.waiting == 1
    gate.set()
    await bench.relay.idle()
    assert script.ran == [("a", 0), ("b", 0)]


async def test_local_work_is_tried_five_times_and_then_kept_as_a_dead_letter(bench, script, caplog):
    script.error = ValueError("no way")
    await bench.app.send(Go(id="a"))
    await bench.app.send(Go(id="a", number=1))
    await bench.wait(minutes=2)
    assert script.attempts[:5] == [1, 2, 3, 4, 5]
    first, second = sorted(await letters(bench), key=lambda letter: letter.time)
    assert first.source == second.source == "local:subscriber:Followers.went"
    assert first.subscribers == ("Followers.went",)
    assert first.reason == "RetriesExhausted"
    assert first.error.startswith("ValueError: no way (tests/unit/bus/test_relay.py:")
    assert first.attempts == LOCAL_ATTEMPTS == 5
    assert bench.engine._codec.decode(first.body).message == Went(id="a", number=0)
    assert bench.ears.of("dead_lettered") == [("Went", "local:subscriber:Followers.went")] * 2
    assert "message dead-lettered" in caplog.text


async def test_retries_wait_longer_and_longer(bench, script, monkeypatch):
    waits = []
    monkeypatch.setattr("sourceflow.bus.tries._LOCAL_BACKOFF", Counting(waits))
    script.error = ValueError()
    await bench.app.send(Go(id="a"))
    await bench.wait(minutes=1)
    assert waits == [0, 1, 2, 3]


async def test_a_dependency_that_is_away_is_waited_for_longer_and_longer_without_an_end(
    bench, script, monkeypatch
):
    waits = []
    monkeypatch.setattr("sourceflow.bus.relay._REMOTE_BACKOFF", Counting(waits))
    script.errors = [DependencyError("away")] * 20
    await bench.app.send(Go(id="a"))
    await bench.wait(minutes=1)
    assert waits == list(range(20))
    assert script.attempts == [1] * 21
    assert await bench.stores.dead_letters.count(DeadLetterFilter()) == 0


class Counting:
    def __init__(self, waits):
        self._waits = waits

    def delay(self, attempt):
        self._waits.append(attempt)
        return timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Reject("wrong"), "Rejected"), (Discard("old"), None), (DuplicateError(), None)],
)
async def test_local_work_that_is_settled_is_not_tried_again(bench, script, error, reason):
    script.error = error
    await bench.app.send(Go(id="a"))
    await bench.relay.idle()
    assert len(script.ran) == 1
    assert [letter.reason for letter in await letters(bench)] == ([reason] if reason else [])
    assert await bench.stores.outbox.depth() == 0


async def test_a_handler_may_ask_for_a_later_try_more_often_than_it_may_fail(bench, script):
    script.errors = [Retry(timedelta(minutes=1))] * 20
    await bench.app.send(Go(id="a"))
    await bench.wait(minutes=19, seconds=59)
    assert len(script.ran) == 20
    await bench.wait(seconds=1)
    assert len(script.ran) == 21
    assert bench.relay.waiting == 0


async def test_a_handler_that_asks_for_ever_is_given_up(bench, script):
    script.error = Retry()
    await bench.app.send(Go(id="a"))
    await bench.wait(hours=1)
    (letter,) = await letters(bench)
    assert letter.attempts == len(script.ran) == 100


class Away(MemoryStores):
    """Stores that do not answer for so many calls to the outbox."""

    def __init__(self, faults):
        super().__init__()
        self.faults = faults

    @property
    def outbox(self):
        return _Away(self, super().outbox)


class _Away:
    def __init__(self, stores, outbox):
        self._stores, self._outbox = stores, outbox

    def __getattr__(self, name):
        return getattr(self._outbox, name)

    async def sent(self, rows):
        if self._stores.faults:
            self._stores.faults -= 1
            raise DependencyError("away")
        await self._outbox.sent(rows)


async def test_a_row_that_has_arrived_is_forgotten_once_the_store_answers(start, script, nowhere):
    transport = nowhere(commands={Ship: "ship.fifo"})
    stores = Away(4)
    bench = await start(Trips, Followers, services=[script], transport=transport, stores=stores)
    await bench.app.send(Go(id="a"))
    await bench.wait(minutes=5)
    assert (sent(bench), script.ran) == ([0], [("a", 0)])
    assert await bench.stores.outbox.depth() == bench.relay.waiting == 0


async def test_what_a_run_has_left_is_sent_by_the_next_one(start, script, nowhere):
    """A relay that was ended with rows under way; a new one over the same stores."""
    stores = MemoryStores()
    bench = await start(
        Trips,
        Followers,
        services=[script],
        stores=stores,
        transport=nowhere(commands={Ship: "ship.fifo"}),
    )
    bench.transport.faults = [AWAY]
    await bench.app.send(Go(id="a", number=7))
    await bench.settle()
    assert await stores.outbox.depth() == 1
    later = await start(
        Trips,
        Followers,
        services=[script],
        stores=stores,
        transport=nowhere(commands={Ship: "ship.fifo"}),
    )
    await later.relay.idle()
    assert sent(later) == [7]
    assert await stores.outbox.depth() == 0
    await bench.wait(minutes=1)


async def test_a_row_for_a_subscriber_that_is_gone_becomes_a_dead_letter(bench):
    envelope = bench.engine.router.event(
        Went(id="a", number=1), cause=bench.envelope(Go(id="a")), sequence=1
    )
    row = OutboxRow(envelope, Destination("subscriber", "Gone.went"), Stream("Trip", "a"))
    bench.relay.take([row])
    await bench.wait(minutes=1)
    (letter,) = await letters(bench)
    assert "Gone.went is not part of the App" in letter.error


async def test_senders_at_the_edge_wait_while_too_much_is_under_way(bench, script, monkeypatch):
    assert MAX_WAITING > 2
    monkeypatch.setattr("sourceflow.bus.relay.MAX_WAITING", 2)
    gate = asyncio.Event()
    script.before = lambda _: gate.wait()
    bench.transport.faults = [AWAY]
    await bench.app.send(Go(id="a"))
    late = asyncio.create_task(bench.app.send(Go(id="b")))
    await bench.settle()
    assert not late.done()
    gate.set()
    await late
    await bench.wait(minutes=1)


async def test_a_handler_that_awaited_something_cancelled_does_not_stop_its_lane(bench, script):
    async def await_cancelled(message):
        other = asyncio.get_running_loop().create_future()
        other.cancel()
        if len(script.ran) == 1:
            await other

    script.before = await_cancelled
    await bench.app.send(Go(id="a", number=0))
    await bench.app.send(Go(id="a", number=1))
    await bench.wait(minutes=1)
    assert script.ran == [("a", 0), ("a", 0), ("a", 1)]


@pytest.fixture
async def subscribed(start, script, nowhere):
    transport = nowhere(events={Went: "trips"}, subscribes=("trips",), commands={Ship: "ship.fifo"})
    return await start(Trips, Followers, services=[script], transport=transport)


async def test_an_event_that_comes_back_is_expected_until_it_is_handled(subscribed, script):
    bench = subscribed
    await bench.app.send(Go(id="a"))
    await bench.relay.idle()
    assert (len(bench.relay.expected), script.ran) == (1, [])
    (event,) = [each.envelope for each in bench.transport.sent if each.destination.kind == "topic"]
    assert type(await bench.receive(event)).__name__ == "Done"
    assert (len(bench.relay.expected), script.ran) == (0, [("a", 0)])


async def test_an_event_that_could_never_be_sent_is_not_expected(subscribed):
    subscribed.transport.faults = [NEVER, NEVER]
    await subscribed.app.send(Go(id="a"))
    await subscribed.relay.idle()
    assert len(subscribed.relay.expected) == 0


async def test_an_event_that_became_a_dead_letter_is_not_expected(subscribed):
    await subscribed.app.send(Go(id="a"))
    await subscribed.relay.idle()
    (event,) = [e.envelope for e in subscribed.transport.sent if e.destination.kind == "topic"]
    letter = DeadLetter(
        source="shop-events",
        message_id=event.id,
        type_name="Went",
        reason="Rejected",
        error="",
        body=b"",
        time=subscribed.clock.now(),
        attempts=1,
    )
    subscribed.engine.observer.dead_lettered(letter)
    assert len(subscribed.relay.expected) == 0


async def test_events_that_others_took_are_not_watched_for_for_ever(subscribed, monkeypatch):
    assert MAX_EXPECTED > 2
    monkeypatch.setattr("sourceflow.bus.expected.MAX_EXPECTED", 2)
    for number in range(5):
        await subscribed.app.send(Go(id="a", number=number))
    await subscribed.relay.idle()
    assert len(subscribed.relay.expected) == 2


async def test_what_is_caused_joins_its_lane_before_a_later_commit_of_its_stream(
    start, script, nowhere
):
    """The store is slow to forget the row that caused it; its order must not depend on that."""
    gate = asyncio.Event()

    class Slow(MemoryStores):
        @property
        def outbox(self):
            return _Slow(super().outbox)

    class _Slow:
        def __init__(self, outbox):
            self._outbox = outbox

        def __getattr__(self, name):
            return getattr(self._outbox, name)

        async def sent(self, rows):
            if rows[0].destination.kind == "command":
                await gate.wait()
            await self._outbox.sent(rows)

    class Starters(Saga[None]):
        @handles
        async def ship(self, command: Ship) -> None:
            await self.send(Go(id=command.id, number=command.number))

    transport = nowhere(events={Went: "trips"})

    class Journeys(Saga[Trip]):
        @handles
        def go(self, command: Go) -> Trip:
            self.raise_event(Went(id=command.id, number=command.number))
            return Trip(id=command.id)

    bench = await start(Journeys, Starters, transport=transport, stores=Slow())
    await bench.app.send(Ship(id="a", number=1))
    await settle()
    await bench.app.send(Go(id="a", number=2))
    await settle()
    gate.set()
    await bench.relay.idle()
    assert sent(bench) == [1, 2]


async def test_what_waits_for_a_message_is_logged_with_its_destination(bench, caplog):
    caplog.set_level(logging.WARNING)
    bench.transport.faults = [AWAY]
    await bench.app.send(Go(id="a"))
    await bench.wait(minutes=1)
    assert "send retried" in caplog.text
    assert "destination=ship.fifo delay=" in caplog.text
