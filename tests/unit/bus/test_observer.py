"""Who listens is told of everything that happens, and nobody needs to listen."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

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
from sourceflow.bus.observer import Observer, Observers
from sourceflow.bus.outcome import Done, Rejected


class Go(Command):
    id: Key[str]


class Went(Event):
    id: Key[str]


class Trip(Entity):
    id: Key[str]


class Row(ViewModel):
    id: Key[str]


class Trips(Saga[Trip]):
    @handles
    def go(self, command: Go) -> Trip:
        if command.id == "nowhere":
            raise ValueError
        self.raise_event(Went(id=command.id))
        return Trip(id=command.id)


class Followers(Aggregate[Trip]):
    @subscribes
    def went(self, event: Went) -> None:
        pass


class Rows(View[Row]):
    @projects
    def went(self, event: Went) -> Row:
        return Row(id=event.id)


@pytest.fixture
async def bench(start, nowhere):
    return await start(Trips, Followers, Rows, transport=nowhere(events={Went: "trips"}))


async def test_the_whole_way_of_a_message_is_told(bench):
    await bench.receive(bench.envelope(Go(id="a")))
    assert [(each[0], *each[1:3]) for each in bench.ears.heard] == [
        ("received", "Go"),
        ("projected", "Went", "Rows.went"),
        ("handled", "Go", 1),
        ("sent", "Went", "topic:trips"),
        ("projected", "Went", "Followers.went"),
        ("settled", "Go", Done()),
    ]


async def test_what_went_wrong_is_told(bench):
    outcome = await bench.receive(bench.envelope(Go(id="nowhere")))
    assert bench.ears.of("failed") == [("Go", "Trips.go", outcome.error)]
    assert [each[1] for each in bench.ears.of("settled")] == [outcome]
    bench.transport.faults = [error := OSError()]
    await bench.app.send(Go(id="a"))
    await bench.settle()
    assert bench.ears.of("sent") == [("Went", "topic:trips", error)]
    await bench.wait(minutes=1)


async def test_what_cannot_be_read_is_told_too(bench):
    delivery = replace(bench.delivery(bench.envelope(Go(id="a"))), body=b"{")
    await bench.engine.receiver.receive(delivery)
    (settled,) = bench.ears.of("settled")
    assert type(settled[1]) is Rejected


SIGNALS = {
    "sent": ("envelope", "destination", None),
    "received": ("delivery",),
    "settled": ("delivery", "outcome", 1.0),
    "handled": ("envelope", 1, 1.0),
    "projected": ("envelope", "subscriber"),
    "failed": ("envelope", "handler", ValueError()),
    "duplicate": ("envelope",),
    "dead_lettered": ("letter",),
}


def test_these_are_all_signals():
    assert {name for name in vars(Observer) if not name.startswith("_")} == set(SIGNALS)


@pytest.mark.parametrize("signal", SIGNALS)
def test_who_listens_to_nothing_is_told_and_does_nothing(signal):
    assert getattr(Observer(), signal)(*SIGNALS[signal]) is None


@pytest.mark.parametrize("signal", SIGNALS)
def test_several_observers_are_told_the_same_in_turn(signal):
    told = []

    class Listens(Observer):
        def __init__(self, name):
            self.name = name

    def hear(self, *arguments):
        told.append((self.name, arguments))

    setattr(Listens, signal, hear)
    getattr(Observers((Listens("a"), Observer(), Listens("b"))), signal)(*SIGNALS[signal])
    assert told == [("a", SIGNALS[signal]), ("b", SIGNALS[signal])]
