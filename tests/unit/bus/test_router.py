"""Where messages go, and what stands on their envelopes."""

from __future__ import annotations

import pytest

from sourceflow import (
    Aggregate,
    Command,
    Entity,
    Event,
    Key,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
    subscribes,
)
from sourceflow.bus.changes import Destination
from sourceflow.bus.router import MAX_DEPTH
from sourceflow.bus.routes import NO_ROUTES, Routes
from sourceflow.errors import (
    DepthExceededError,
    InvalidMessageError,
    MessageTooLargeError,
    NoHandlerError,
)


class Go(Command):
    id: Key[str]


class Away(Command):
    id: Key[str]


class Lost(Command):
    id: Key[str]


class Went(Event):
    id: Key[str]


class Trip(Entity):
    id: Key[str]


class Row(ViewModel):
    id: Key[str]


class Trips(Saga[Trip]):
    @handles
    async def go(self, command: Go) -> Trip:
        self.raise_event(Went(id=command.id))
        return Trip(id=command.id)

    @handles
    def away(self, command: Away) -> None:
        raise AssertionError("a routed command was handled here")


class Followers(Aggregate[Trip]):
    @subscribes
    def went(self, event: Went) -> None:
        pass


class Rows(View[Row]):
    @projects
    def went(self, event: Went) -> Row:
        return Row(id=event.id)


class LateRows(View[Row], lifecycle="async"):
    @projects
    def went(self, event: Went) -> None:
        pass


@pytest.fixture
def begin(start, nowhere):
    async def begin(**routes):
        return await start(Trips, Followers, Rows, LateRows, transport=nowhere(**routes))

    return begin


TOPIC = Destination("topic", "trips")
FOLLOWERS = Destination("subscriber", "Followers.went")
LATE_ROWS = Destination("subscriber", "LateRows.went")


@pytest.mark.parametrize(
    ("routes", "inline", "later"),
    [
        ({}, ["Rows.went"], (FOLLOWERS, LATE_ROWS)),
        ({"events": {Went: "trips"}}, ["Rows.went"], (TOPIC, FOLLOWERS, LATE_ROWS)),
        ({"events": {Went: "trips"}, "subscribes": ("trips",)}, [], (TOPIC,)),
        ({"subscribes": ("trips",)}, ["Rows.went"], (FOLLOWERS, LATE_ROWS)),
        (
            {"events": {Went: "trips"}, "subscribes": ("others",)},
            ["Rows.went"],
            (TOPIC, FOLLOWERS, LATE_ROWS),
        ),
    ],
)
async def test_each_subscriber_gets_an_event_by_one_way_which_configuration_decides(
    begin, routes, inline, later
):
    bench = await begin(**routes)
    handlers, destinations = bench.engine.router.event_plan(Went)
    assert ([handler.name for handler in handlers], destinations) == (inline, later)
    await bench.app.send(Go(id="a"))
    await bench.relay.idle()
    assert len(bench.transport.sent) == (1 if TOPIC in later else 0)
    assert (await bench.app.find(Row, "a") is not None) == bool(inline)


async def test_a_routed_command_goes_to_its_queue_and_is_not_handled_here(begin):
    bench = await begin(commands={Away: "away.fifo"})
    message_id = await bench.app.send(Away(id="a"), headers={"tenant": "acme"})
    (sent,) = bench.transport.sent
    assert sent.destination == Destination("queue", "away.fifo")
    assert (sent.envelope.id, sent.envelope.headers) == (message_id, {"tenant": "acme"})
    assert bench.engine._codec.decode(sent.body) == sent.envelope
    assert bench.ears.of("handled") == []


async def test_a_routed_command_that_was_not_confirmed_is_an_error_at_the_edge(begin):
    bench = await begin(commands={Away: "away.fifo"})
    bench.transport.faults = [OSError("away")]
    with pytest.raises(OSError, match="away"):
        await bench.app.send(Away(id="a"))


async def test_a_message_that_can_never_fit_fails_the_command_that_raises_it(begin):
    bench = await begin(events={Went: "trips"})
    bench.transport.refuse = MessageTooLargeError(size=2, limit=1, destination="trips")
    with pytest.raises(MessageTooLargeError):
        await bench.app.send(Go(id="a"))
    assert await bench.app.find(Trip, "a") is None


async def test_an_envelope_says_who_where_and_when(begin):
    bench = await begin()
    envelope = bench.envelope(Go(id="a"))
    assert (envelope.source, envelope.time) == ("/shop", bench.clock.now())
    assert (envelope.correlation_id, envelope.causation_id) == (envelope.id, None)
    assert (envelope.depth, envelope.sequence, envelope.headers) == (0, None, {})


async def test_an_effect_names_its_cause_and_the_first_of_the_chain(begin):
    bench = await begin()
    cause = bench.envelope(Go(id="a"), message_id="m-1")
    event = bench.engine.router.event(Went(id="a"), cause=cause, sequence=7)
    again = bench.engine.router.command(Go(id="a"), cause=event)
    assert (event.causation_id, event.correlation_id, event.depth) == ("m-1", "m-1", 1)
    assert (again.causation_id, again.correlation_id, again.depth) == (event.id, "m-1", 2)
    assert (event.sequence, again.sequence) == (7, None)


async def test_the_longest_chain_is_50(begin):
    bench = await begin()
    cause = bench.envelope(Go(id="a"))
    for _ in range(MAX_DEPTH):
        cause = bench.engine.router.command(Go(id="a"), cause=cause)
    assert cause.depth == 50
    with pytest.raises(DepthExceededError, match="endless loop"):
        bench.engine.router.command(Go(id="a"), cause=cause)
    with pytest.raises(DepthExceededError):
        bench.engine.router.event(Went(id="a"), cause=cause, sequence=1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"message_id": ""}, "message id"),
        ({"message_id": "with space"}, "message id"),
        ({"headers": {"Tenant": "x"}}, "'Tenant'"),
        ({"headers": {"type": "x"}}, "reserved"),
        ({"headers": {"tenant": 1}}, "must be a text"),
    ],
)
async def test_ids_and_headers_that_cannot_be_sent_are_refused_with_nothing_done(
    begin, options, text
):
    bench = await begin()
    with pytest.raises(InvalidMessageError, match=text):
        await bench.app.send(Go(id="a"), **options)
    assert bench.ears.heard == []


async def test_commands_and_events_do_not_take_each_others_way(begin):
    bench = await begin()
    with pytest.raises(InvalidMessageError, match="Went is an event; send takes commands"):
        await bench.app.send(Went(id="a"))
    with pytest.raises(InvalidMessageError, match="Go is a command; raise_event takes events"):
        bench.engine.router.event(Go(id="a"), cause=bench.envelope(Go(id="a")), sequence=1)


async def test_a_command_without_a_way_is_refused_and_says_what_is_missing(begin):
    bench = await begin()
    with pytest.raises(NoHandlerError, match="neither a handler in the App 'shop' nor a route"):
        await bench.app.send(Lost(id="a"))


def test_without_routes_everything_stays_in_the_process():
    assert Routes() == NO_ROUTES
    assert not NO_ROUTES.arrives(Went)
