"""What a handler sees of the world."""

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
from sourceflow.errors import NoConnectionError, NotFoundError


class Go(Command):
    id: Key[str]


class Went(Event):
    id: Key[str]


class Trip(Entity, name="trips.trip"):
    id: Key[str]


class Row(ViewModel, indexes=("place",)):
    id: Key[str]
    place: str = ""


class Look:
    def __init__(self):
        self.act = None
        self.saw = None


class Trips(Saga[Trip]):
    def __init__(self, look: Look) -> None:
        self.look = look

    @handles
    async def go(self, command: Go) -> Trip:
        self.raise_event(Went(id=command.id))
        if self.look.act is not None:
            self.look.saw = await self.look.act(self)
        return Trip(id=command.id)


class Rows(View[Row]):
    @projects
    def went(self, event: Went) -> Row:
        return Row(id=event.id, place=event.id.upper())


@pytest.fixture
def look():
    return Look()


@pytest.fixture
async def bench(start, look):
    bench = await start(Trips, Rows, services=[look])
    for key in ("a", "b", "c"):
        await bench.app.send(Go(id=key))
    return bench


@pytest.mark.parametrize(
    ("act", "saw"),
    [
        (lambda saga: saga.find(Trip, "a"), Trip(id="a")),
        (lambda saga: saga.find(Row, "a"), Row(id="a", place="A")),
        (lambda saga: saga.get(Row, "b"), Row(id="b", place="B")),
        (lambda saga: saga.find(Trip, "new"), None),
        (lambda saga: saga.query(Row, where={"place": "C"}), [Row(id="c", place="C")]),
        (
            lambda saga: saga.query(Row, order_by="-place", limit=1, after=Row(id="c", place="C")),
            [Row(id="b", place="B")],
        ),
    ],
)
async def test_a_handler_reads_what_is_committed_and_not_its_own_effects(bench, look, act, saw):
    look.act = act
    await bench.app.send(Go(id="new"))
    assert look.saw == saw


async def test_what_must_be_there_and_is_not_is_an_error(bench, look):
    look.act = lambda saga: saga.get(Row, "new")
    with pytest.raises(NotFoundError, match="Row 'new'"):
        await bench.app.send(Go(id="new"))


async def test_a_handler_knows_its_message(bench, look):
    async def context(saga):
        return saga.context

    look.act = context
    await bench.app.send(Go(id="a"), message_id="m-1", headers={"tenant": "acme"})
    seen = look.saw
    assert (seen.message_id, seen.correlation_id, seen.causation_id) == ("m-1", "m-1", None)
    assert (seen.sequence, seen.attempt, seen.is_replay) == (2, 1, False)
    assert (seen.time, seen.headers) == (bench.clock.now(), {"tenant": "acme"})


class Remembers:
    """Keeps on itself what it has handled, and tells it."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.handled = []

    def note(self, message):
        self.handled.append(message.id)
        self.look.saw.append((type(self).__name__, self.handled))


class RememberingSaga(Remembers, Saga[Trip]):
    @handles
    def go(self, command: Go) -> None:
        self.note(command)
        self.raise_event(Went(id=command.id))


class RememberingRows(Remembers, View[Row]):
    @projects
    def went(self, event: Went) -> None:
        self.note(event)


class RememberingTrips(Remembers, Aggregate[Trip]):
    @subscribes
    def went(self, event: Went) -> None:
        self.note(event)


async def test_each_message_has_a_new_object_of_its_component(start, look):
    look.saw = []
    components = (RememberingSaga, RememberingRows, RememberingTrips)
    bench = await start(*components, services=[look])
    for key in ("a", "b"):
        await bench.app.send(Go(id=key))
    await bench.clock.finish(bench.app.drained())
    assert sorted(look.saw) == sorted(
        (component.__name__, [key]) for component in components for key in ("a", "b")
    )


async def test_streams_are_kept_under_the_entitys_stable_name(bench):
    assert [each.position for each in await bench.log(("trips.trip", "a"))] == [1]


async def test_a_negative_limit_is_refused(bench):
    with pytest.raises(ValueError, match="limit is 0 or more, not -1"):
        await bench.app.query(Row, limit=-1)
    assert await bench.app.query(Row, limit=0) == []


async def test_own_sql_needs_stores_that_have_sql(bench, look):
    look.act = lambda saga: saga.connection()
    with pytest.raises(NoConnectionError, match=r"self.connection\(\) needs SqlStores"):
        await bench.app.send(Go(id="a"))
