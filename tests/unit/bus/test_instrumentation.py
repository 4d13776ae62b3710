"""Steps are followed where there is telemetry, and are what they are where there is none."""

from __future__ import annotations

import sys
from collections import Counter

from sourceflow import App, Command, Entity, Event, Key, Saga, View, ViewModel, handles, projects
from sourceflow.bus import instrumentation
from sourceflow.bus.instrumentation import Instrumentation
from sourceflow.bus.observer import Observer
from sourceflow.messages import TraceContext

TRACE = TraceContext(f"00-{'a' * 32}-{'b' * 16}-01")


class Open(Command):
    id: Key[str]


class Opened(Event):
    id: Key[str]


class Account(Entity):
    id: Key[str]


class Row(ViewModel):
    id: Key[str]


class Accounts(Saga[Account]):
    @handles(creates=True)
    async def open(self, command: Open) -> Account:
        self.raise_event(Opened(id=command.id))
        return Account(id=command.id)


class Rows(View[Row]):
    lifecycle = "async"

    @projects
    async def opened(self, event: Opened) -> Row:
        return Row(id=event.id)


class Ears(Observer):
    def __init__(self):
        self.heard = []

    def handled(self, envelope, sequence, seconds):
        self.heard.append(envelope.type_name)


class Notes(Instrumentation):
    """Notes each step, and when it has ended."""

    def __init__(self):
        self.steps = []
        self.observer = Ears()
        self.current = lambda: TRACE

    def instrument(self, wiring, clock):
        self.steps.append(("app", wiring.app))
        return self

    def _noting(self, name, step):
        async def noted(*args, **kwargs):
            self.steps.append((name, "began"))
            try:
                return await step(*args, **kwargs)
            finally:
                self.steps.append((name, "ended"))

        return noted

    def commands(self, handle):
        return self._noting("command", handle)

    def subscribers(self, run):
        return self._noting("subscriber", run)

    def local(self, run):
        return self._noting("local", run)

    def replays(self, replay):
        return self._noting("replay", replay)

    def rebuilds(self, rebuild):
        return self._noting("rebuild", rebuild)


def make_app(**options):
    return App([Accounts, Rows], name="bank", **options)


async def test_each_step_is_wrapped_once():
    notes = Notes()
    async with make_app(telemetry=notes) as app:
        await app.send(Open(id="1"))
        await app.drained()
        await app.replay(Account, "1")
        await app.rebuild(Rows)

    assert notes.steps == [
        ("app", "bank"),
        ("command", "began"),
        ("command", "ended"),
        ("local", "began"),
        ("subscriber", "began"),
        ("subscriber", "ended"),
        ("local", "ended"),
        ("replay", "began"),
        ("replay", "ended"),
        ("rebuild", "began"),
        ("rebuild", "ended"),
    ]


async def test_messages_carry_what_was_under_way_when_they_were_made():
    async with make_app(telemetry=Notes()) as app:
        await app.send(Open(id="1"))
        (logged,) = [each async for each in app.history(Account, "1")]
        (event,) = [each async for each in app._running.stores.events.read()]

    assert logged.envelope.trace == TRACE
    assert event.envelope.trace == TRACE


async def test_telemetry_hears_what_the_apps_observer_hears():
    notes, ears = Notes(), Ears()
    async with make_app(telemetry=notes, observer=ears) as app:
        await app.send(Open(id="1"))

    assert notes.observer.heard == ears.heard == ["Open"]


async def test_without_telemetry_messages_carry_no_trace():
    async with make_app() as app:
        await app.send(Open(id="1"))
        (logged,) = [each async for each in app.history(Account, "1")]

    assert logged.envelope.trace is None


async def test_without_telemetry_the_steps_are_the_bare_ones():
    async with make_app() as app:
        engine = app._running
        assert engine.handle == engine.commands.handle
        assert engine.receiver._handle == engine.commands.handle
        assert engine.events._handle == engine.events._handle_once
        assert engine.relay._run_local == engine._run_local
        assert engine.relay._send == engine._send
        assert engine.run_replay == engine.replay.replay
        assert engine.run_rebuild == engine.rebuild.rebuild
        assert engine.commands._stores is engine.events._stores is engine.stores
        assert engine.reader._stores is engine.stores
        assert engine._transport_context().wire is None


async def test_without_telemetry_no_call_is_made_for_it():
    calls = Counter()

    def count(frame, event, _argument):
        if event == "call":
            calls[frame.f_code.co_filename] += 1

    async with make_app() as app:
        await app.send(Open(id="1"))
        sys.setprofile(count)
        try:
            await app.send(Open(id="2"))
            await app.drained()
        finally:
            sys.setprofile(None)

    assert calls[sys.modules["sourceflow.bus.command_bus"].__file__]  # it does count
    assert not calls[instrumentation.__file__]
    assert not [name for name in calls if "telemetry" in name]


async def test_a_transport_is_told_who_follows_messages():
    class Wired(Notes):
        wire = object()

    async with make_app(telemetry=Wired()) as app:
        assert app._running._transport_context().wire is Wired.wire


def test_the_base_leaves_every_step_as_it_is():
    bare = Instrumentation()
    step = object()

    for name in ("commands", "subscribers", "local", "relayed", "replays", "rebuilds", "stores"):
        assert getattr(bare, name)(step) is step
