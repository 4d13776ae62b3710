"""Code around the journey of every message."""

from __future__ import annotations

import contextlib

import pytest
from msgspec.structs import replace

from sourceflow import (
    Aggregate,
    Command,
    Entity,
    Event,
    Key,
    Middleware,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
    subscribes,
)
from sourceflow.bus.changes import Stream
from sourceflow.bus.middleware import HOOKS, chain
from sourceflow.errors import HandlingError


class Add(Command):
    id: Key[str]


class Thank(Command):
    id: Key[str]


class Added(Event):
    id: Key[str]


class Counter(Entity):
    id: Key[str]
    total: int = 0


class Row(ViewModel):
    id: Key[str]
    total: int = 0


class Seen:
    def __init__(self):
        self.headers = []
        self.fail = 0


class Counters(Saga[Counter]):
    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    @handles
    def add(self, counter: Counter | None, command: Add) -> Counter:
        self.seen.headers.append(dict(self.context.headers))
        if self.seen.fail:
            self.seen.fail -= 1
            raise ValueError
        self.raise_event(Added(id=command.id))
        return Counter(id=command.id, total=1 + (counter.total if counter else 0))

    @handles
    def thank(self, command: Thank) -> None:
        pass


class Thanks(Aggregate[Counter]):
    @subscribes
    async def added(self, event: Added) -> None:
        await self.send(Thank(id=event.id))


class Rows(View[Row]):
    @projects
    def added(self, row: Row | None, event: Added) -> Row:
        return Row(id=event.id, total=1 + (row.total if row else 0))


class Writes(Middleware):
    """Writes down what passes, before and after."""

    def __init__(self, name, passed):
        self.name, self.passed = name, passed

    async def _pass(self, hook, message, next):  # noqa: A002
        self.passed.append(f"{self.name} {hook} {message.type_name}")
        await next(message)
        self.passed.append(f"{self.name} after")

    async def dispatch_command(self, message, next):  # noqa: A002
        await self._pass("dispatch_command", message, next)

    async def handle_command(self, message, next):  # noqa: A002
        await self._pass("handle_command", message, next)

    async def dispatch_event(self, message, next):  # noqa: A002
        await self._pass("dispatch_event", message, next)

    async def handle_event(self, message, next):  # noqa: A002
        await self._pass("handle_event", message, next)


@pytest.fixture
def seen():
    return Seen()


@pytest.fixture
def begin(start, seen):
    async def begin(*middleware, **options):
        return await start(
            Counters, Thanks, Rows, services=[seen], middleware=middleware, **options
        )

    return begin


def hook(name, act):
    """Return a middleware of which one hook acts."""

    async def run(self, message, next):  # noqa: A002
        await act(message, next)

    return type("Acts", (Middleware,), {name: run})()


async def test_a_message_passes_all_hooks_on_its_way(begin):
    passed = []
    bench = await begin(Writes("m", passed))
    await bench.app.send(Add(id="c"))
    await bench.relay.idle()
    assert [each for each in passed if each != "m after"] == [
        "m dispatch_command Add",
        "m handle_command Add",
        "m dispatch_event Added",
        "m handle_event Added",  # the inline view
        "m handle_event Added",  # the aggregate
        "m dispatch_command Thank",
        "m handle_command Thank",
    ]


async def test_the_first_middleware_is_outermost(begin):
    passed = []
    bench = await begin(Writes("outer", passed), Writes("inner", passed))
    await bench.app.send(Thank(id="c"))
    assert passed == [
        "outer dispatch_command Thank",
        "inner dispatch_command Thank",
        "outer handle_command Thank",
        "inner handle_command Thank",
        "inner after",
        "outer after",
        "inner after",
        "outer after",
    ]


async def test_send_many_passes_the_hooks_too(begin):
    passed = []
    bench = await begin(Writes("m", passed))
    await bench.app.send_many([Thank(id="a"), Thank(id="b")])
    assert passed.count("m dispatch_command Thank") == 2


@pytest.mark.parametrize("name", ["dispatch_command", "handle_command"])
async def test_a_hook_may_change_headers(begin, seen, name):
    async def act(message, following):
        await following(message.with_headers({"tenant": "acme"}))

    bench = await begin(hook(name, act))
    await bench.app.send(Add(id="c"), headers={"user": "u-1"})
    assert seen.headers == [{"user": "u-1", "tenant": "acme"}]


async def stop(message, following):
    pass


@pytest.mark.parametrize("name", HOOKS)
async def test_a_hook_may_stop_a_message(begin, name):
    bench = await begin(hook(name, stop))
    await bench.app.send(Add(id="c"))
    await bench.relay.idle()
    counter = await bench.app.find(Counter, "c")
    row = await bench.app.find(Row, "c")
    log = await bench.log(Stream("Counter", "c"))
    events = await bench.events()
    stopped = name.endswith("command")
    assert (counter is None, row is None) == (stopped, True)
    assert len(log) == (0 if stopped else 1)
    assert len(events) == (1 if name == "handle_event" else 0)
    assert ("Add" in [each[0] for each in bench.ears.of("handled")]) is not stopped


async def test_a_hook_may_catch_what_is_raised_and_nothing_is_left(begin, seen):
    caught = []

    async def act(message, following):
        try:
            await following(message)
        except ValueError as error:
            caught.append(error)

    seen.fail = 1
    bench = await begin(hook("handle_command", act))
    await bench.app.send(Add(id="c"))
    assert len(caught) == 1
    assert await bench.log(Stream("Counter", "c")) == []
    assert await bench.events() == []


async def test_a_hook_may_try_again_and_the_last_run_counts(begin, seen):
    async def act(message, following):
        try:
            await following(message)
        except ValueError:
            await following(message)

    seen.fail = 1
    bench = await begin(hook("handle_command", act))
    await bench.app.send(Add(id="c"))
    assert (await bench.app.get(Counter, "c")).total == 1
    assert len(await bench.events()) == 1


async def test_a_hook_that_tries_again_in_vain_has_no_effect_even_if_the_first_run_was_good(
    begin, seen
):
    async def act(message, following):
        await following(message)
        seen.fail = 1
        with contextlib.suppress(ValueError):
            await following(message)

    bench = await begin(hook("handle_command", act))
    await bench.app.send(Add(id="c"))
    assert await bench.log(Stream("Counter", "c")) == []


async def test_a_subscriber_that_a_hook_runs_twice_has_one_effect(begin):
    async def act(message, following):
        await following(message)
        await following(message)

    bench = await begin(hook("handle_event", act))
    await bench.app.send(Add(id="c"))
    await bench.relay.idle()
    assert (await bench.app.get(Row, "c")).total == 1
    assert len(await bench.log(Stream("Counter", "c"))) == 2


class Pairs(View[Row]):
    """Fails at its second row, which has another key."""

    @projects(key=lambda event: [event.id, f"{event.id}-2"])
    def added(self, event: Added) -> Row:
        return Row(id=event.id)


async def test_of_a_projection_whose_failure_a_hook_catches_nothing_is_left(start, seen):
    caught = []

    async def act(message, following):
        try:
            await following(message)
        except HandlingError as error:
            caught.append(error)

    middleware = [hook("handle_event", act)]
    bench = await start(Counters, Pairs, services=[seen], middleware=middleware)
    await bench.app.send(Add(id="c"))
    assert len(caught) == 1
    assert await bench.app.find(Row, "c") is None
    assert await bench.app.find(Counter, "c") is not None


async def test_what_a_hook_raises_reaches_the_sender(begin):
    async def act(message, following):
        raise PermissionError("not you")

    bench = await begin(hook("dispatch_command", act))
    with pytest.raises(PermissionError):
        await bench.app.send(Add(id="c"))


async def test_on_replay_and_rebuild_the_handle_hooks_run_and_the_dispatch_hooks_do_not(begin):
    passed = []
    bench = await begin(Writes("m", passed))
    await bench.app.send(Add(id="c"))
    await bench.relay.idle()
    passed.clear()
    await bench.app.replay(Counter, "c")
    assert [each for each in passed if each != "m after"] == [
        "m handle_command Add",
        "m handle_command Thank",
        "m handle_event Added",
    ]
    passed.clear()
    await bench.app.rebuild(Rows)
    assert passed == ["m handle_event Added", "m after"]


async def test_a_command_that_a_hook_stops_on_replay_has_no_effect_there(begin):
    stopping = []

    async def act(message, following):
        if message.id not in stopping:
            await following(message)

    bench = await begin(hook("handle_command", act))
    await bench.app.send(Add(id="c"), message_id="m-1")
    await bench.app.send(Add(id="c"), message_id="m-2")
    await bench.relay.idle()
    stopping.append("m-1")
    await bench.app.replay(Counter, "c")
    assert (await bench.app.get(Counter, "c")).total == 1
    assert (await bench.app.get(Row, "c")).total == 1


async def test_a_middleware_costs_nothing_at_hooks_that_it_leaves_alone():
    async def last(message):
        pass

    acting = hook("handle_event", stop)
    assert chain([acting, Middleware()], "handle_command")(last) is last
    assert chain([acting], "handle_event")(last) is not last


@pytest.mark.parametrize("name", HOOKS)
async def test_a_hook_that_is_not_overridden_goes_on(name):
    gone_on = []

    async def last(message):
        gone_on.append(message)

    await getattr(Middleware(), name)("message", last)
    assert gone_on == ["message"]


async def test_the_log_keeps_the_command_as_it_was_sent(begin):
    async def act(message, following):
        await following(replace(message, headers={"added": "later"}))

    bench = await begin(hook("handle_command", act))
    await bench.app.send(Add(id="c"), headers={"user": "u-1"})
    (logged,) = await bench.log(Stream("Counter", "c"))
    assert logged.envelope.headers == {"user": "u-1"}
