"""The journey of a command, from the send to the commit."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from sourceflow import (
    DELETE,
    Command,
    Discard,
    Entity,
    Event,
    Key,
    Reject,
    Retry,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
)
from sourceflow.bus.changes import Stream
from sourceflow.errors import (
    AlreadyExistsError,
    ConflictError,
    DependencyError,
    DepthExceededError,
    DuplicateError,
    HandlingError,
    NoHandlerError,
    NotFoundError,
    RejectedError,
)
from sourceflow.stores.memory import MemoryStores


class Open(Command):
    id: Key[str]


class Add(Command):
    id: Key[str]
    by: int = 1


class Close(Command):
    id: Key[str]


class Note(Command):
    id: Key[str]


class Forget(Command):
    id: Key[str]


class Ping(Command):
    id: Key[str]


class Orphan(Command):
    id: Key[str]


class Added(Event):
    id: Key[str]
    total: int


class Counter(Entity):
    id: Key[str]
    total: int = 0


class Row(ViewModel):
    id: Key[str]
    total: int


class Script:
    """What a test wants to happen inside of the handler."""

    def __init__(self):
        self.contexts = []
        self.act = None

    async def __call__(self, saga):
        self.contexts.append(saga.context)
        if self.act is not None:
            await self.act(saga)


class Counters(Saga[Counter]):
    def __init__(self, script: Script) -> None:
        self.script = script

    @handles(creates=True)
    def open(self, command: Open) -> Counter:
        return Counter(id=command.id)

    @handles
    async def add(self, counter: Counter | None, command: Add) -> Counter:
        counter = counter or Counter(id=command.id)
        self.raise_event(Added(id=command.id, total=counter.total + command.by))
        await self.script(self)
        return replace(counter, total=counter.total + command.by)

    @handles
    def close(self, counter: Counter, command: Close):
        return DELETE

    @handles
    async def note(self, command: Note) -> None:
        await self.script(self)


class Pings(Saga[None]):
    def __init__(self, script: Script) -> None:
        self.script = script

    @handles
    async def ping(self, command: Ping) -> None:
        await self.script(self)


class Rows(View[Row]):
    @projects
    def added(self, event: Added) -> Row:
        if event.total > 99:
            raise ZeroDivisionError
        return Row(id=event.id, total=event.total)


STREAM = Stream("Counter", "c")


@pytest.fixture
def script():
    return Script()


@pytest.fixture
async def bench(start, script):
    return await start(Counters, Pings, Rows, services=[script])


async def everything(bench):
    return (
        await bench.app.find(Counter, "c"),
        await bench.app.find(Row, "c"),
        await bench.log(STREAM),
        await bench.events(),
        await bench.stores.outbox.unsent(),
        len(bench.locks),
    )


async def test_a_command_its_entity_its_events_and_its_inline_views_are_committed_together(bench):
    await bench.app.send(Add(id="c", by=3), message_id="m-1")
    counter, row, (logged,), (event,), unsent, locks = await everything(bench)
    assert (counter, row) == (Counter(id="c", total=3), Row(id="c", total=3))
    assert (logged.position, logged.envelope.id) == (1, "m-1")
    assert (event.stream, event.envelope.sequence) == (STREAM, 1)
    assert event.envelope.causation_id == event.envelope.correlation_id == "m-1"
    assert (unsent, locks) == ((), 0)


async def test_50_commands_at_once_on_one_entity_are_numbered_1_to_50(bench, script):
    async def pause(saga):
        await asyncio.sleep(0)

    script.act = pause
    async with asyncio.TaskGroup() as senders:
        for _ in range(50):
            senders.create_task(bench.app.send(Add(id="c")))
    assert [each.position for each in await bench.log(STREAM)] == list(range(1, 51))
    assert [context.sequence for context in script.contexts] == list(range(1, 51))
    assert (await bench.app.get(Counter, "c")).total == 50
    assert (await bench.app.get(Row, "c")).total == 50


async def test_commands_of_one_entity_take_effect_one_at_a_time_and_others_are_not_held_up(
    bench, script
):
    running, gate = [], asyncio.Event()

    async def wait(saga):
        running.append(saga.context.message_id)
        await gate.wait()

    script.act = wait
    async with asyncio.TaskGroup() as senders:
        for key, message_id in (("a", "a-1"), ("a", "a-2"), ("b", "b-1")):
            senders.create_task(bench.app.send(Add(id=key), message_id=message_id))
        await bench.settle()
        assert running == ["a-1", "b-1"]
        gate.set()
    assert running == ["a-1", "b-1", "a-2"]


class Contested(MemoryStores):
    """Stores in which other instances are quicker for some commits."""

    lost = 0
    raises = ConflictError

    def begin(self):
        return _Contested(self, super().begin())


class _Contested:
    def __init__(self, stores, uow):
        self._stores, self._uow = stores, uow

    async def __aenter__(self):
        self._begun = await self._uow.__aenter__()
        return self

    async def __aexit__(self, *exc):
        return await self._uow.__aexit__(*exc)

    def __getattr__(self, name):
        return getattr(self._begun, name)

    async def commit(self, changes):
        if self._stores.lost:
            self._stores.lost -= 1
            raise self._stores.raises("another was quicker")
        return await self._begun.commit(changes)


@pytest.mark.parametrize(("lost", "runs", "wins"), [(0, 1, True), (4, 5, True), (5, 5, False)])
async def test_a_lost_race_runs_the_handler_again_five_times_at_most(
    start, script, lost, runs, wins
):
    stores = Contested()
    bench = await start(Counters, Rows, services=[script], stores=stores)
    stores.lost = lost
    sending = asyncio.create_task(bench.app.send(Add(id="c")))
    await bench.wait(seconds=5)
    if wins:
        await sending
    else:
        with pytest.raises(ConflictError):
            await sending
    assert len(script.contexts) == runs
    assert [each.position for each in await bench.log(STREAM)] == [1] * wins
    assert len(await bench.events()) == wins
    assert len(bench.locks) == 0


async def test_a_commit_whose_result_is_unknown_is_not_acknowledged(start, script):
    stores = Contested()
    stores.raises = DependencyError
    bench = await start(Counters, Rows, services=[script], stores=stores)
    stores.lost = 1
    command = bench.envelope(Add(id="c"))
    assert type(await bench.receive(command)).__name__ == "Paused"
    assert type(await bench.receive(command)).__name__ == "Done"
    assert len(await bench.log(STREAM)) == 1


@pytest.mark.parametrize("error", [ValueError("no"), Retry(), Reject("no"), Discard("no")])
async def test_a_handler_that_raises_leaves_nothing_behind(bench, script, error):
    await bench.app.send(Add(id="c"))
    before = await everything(bench)

    async def fail(saga):
        await saga.send(Note(id="other"))
        raise error

    script.act = fail
    with pytest.raises(type(error)):
        await bench.handle(Add(id="c"))
    assert await everything(bench) == before
    assert bench.ears.of("failed") == [("Add", "Counters.add", error)]


async def test_a_failed_command_may_come_again(bench, script):
    async def fail(saga):
        raise ValueError

    script.act, command = fail, bench.envelope(Add(id="c"))
    with pytest.raises(ValueError):  # noqa: PT011 - the handler's own
        await bench.engine.commands.handle(command)
    script.act = None
    await bench.engine.commands.handle(command)
    assert (await bench.app.get(Counter, "c")).total == 1


async def test_a_failing_inline_view_fails_the_command(bench):
    before = await everything(bench)
    with pytest.raises(ZeroDivisionError):
        await bench.app.send(Add(id="c", by=100))
    assert await everything(bench) == before


async def test_the_edge_raises_what_the_handler_raised_and_a_rejection_by_its_reason(bench, script):
    async def reject(saga):
        raise Reject("too much")

    script.act = reject
    with pytest.raises(RejectedError, match="too much"):
        await bench.app.send(Add(id="c"))


async def test_a_discarded_command_is_no_error_at_the_edge(bench, script):
    async def discard(saga):
        raise Discard("old")

    script.act = discard
    await bench.app.send(Add(id="c"))
    assert await bench.log(STREAM) == []


async def test_one_message_id_means_one_effect(bench, script):
    for _ in range(2):
        await bench.app.send(Add(id="c"), message_id="m-1")
    await bench.app.send(Ping(id="c"), message_id="m-1")
    assert len(script.contexts) == 1
    assert bench.ears.of("duplicate") == [("Add",), ("Ping",)]


async def test_a_duplicate_is_an_error_behind_the_edge(bench):
    command = bench.envelope(Add(id="c"))
    await bench.engine.commands.handle(command)
    with pytest.raises(DuplicateError, match=command.id):
        await bench.engine.commands.handle(command)


async def test_a_command_without_an_entity_is_handled_once_too_and_is_not_logged(bench, script):
    command = bench.envelope(Ping(id="p"))
    await bench.engine.commands.handle(command)
    with pytest.raises(DuplicateError):
        await bench.engine.commands.handle(command)
    assert len(script.contexts) == 1
    assert script.contexts[0].sequence is None
    assert await bench.log(Stream("Pings", "p")) == []


async def test_creating_an_entity_that_exists_is_refused(bench):
    await bench.app.send(Open(id="c"))
    with pytest.raises(AlreadyExistsError, match="Counter 'c'"):
        await bench.app.send(Open(id="c"))
    assert len(await bench.log(STREAM)) == 1


async def test_a_handler_that_needs_its_entity_is_told_if_there_is_none(bench):
    with pytest.raises(NotFoundError, match="Counter 'c'"):
        await bench.app.send(Close(id="c"))
    assert await bench.log(STREAM) == []


async def test_the_numbers_go_on_after_a_deletion(bench):
    for command in (Open(id="c"), Close(id="c"), Open(id="c")):
        await bench.app.send(command)
    assert [each.position for each in await bench.log(STREAM)] == [1, 2, 3]
    assert await bench.app.find(Counter, "c") == Counter(id="c")


async def test_a_handler_that_returns_none_leaves_the_entity_and_is_logged(bench):
    await bench.app.send(Add(id="c", by=2))
    await bench.app.send(Note(id="c"))
    assert (await bench.app.get(Counter, "c")).total == 2
    assert len(await bench.log(STREAM)) == 2


async def test_what_a_handler_sends_is_handled_after_its_commit_as_its_effect(bench, script):
    async def send(saga):
        script.act = None
        await saga.send(Add(id="d", by=5), message_id="child", headers={"tenant": "acme"})
        assert await saga.find(Counter, "d") is None

    script.act = send
    await bench.app.send(Add(id="c"), message_id="parent")
    await bench.relay.idle()
    assert (await bench.app.get(Counter, "d")).total == 5
    child = script.contexts[1]
    assert (child.message_id, child.causation_id, child.correlation_id) == (
        "child",
        "parent",
        "parent",
    )
    assert child.headers == {"tenant": "acme"}
    assert await bench.stores.outbox.depth() == 0


async def test_a_chain_of_over_50_messages_is_refused_and_becomes_a_dead_letter(bench, script):
    async def loop(saga):
        await saga.send(Note(id="c"))

    script.act = loop
    await bench.app.send(Note(id="c"))
    await bench.relay.idle()
    assert len(await bench.log(STREAM)) == 50
    (letter,) = bench.ears.of("dead_lettered")
    assert letter == ("Note", "local:command:Counter")
    assert type(bench.ears.of("failed")[-1][2]) is DepthExceededError


async def test_a_command_that_nobody_handles_is_refused(bench):
    with pytest.raises(NoHandlerError, match="Orphan"):
        await bench.app.send(Orphan(id="c"))


async def test_a_command_that_arrives_and_that_nobody_handles_is_refused(bench):
    envelope = replace(bench.envelope(Add(id="c")), message=Orphan(id="c"))
    with pytest.raises(NoHandlerError, match="'shop' handles Orphan"):
        await bench.engine.commands.handle(envelope)


class Wrong(Saga[Counter]):
    @handles
    def add(self, command: Add) -> Counter:
        return Counter(id="another")

    @handles
    def note(self, command: Note):
        return Row(id=command.id, total=1)


class Nothing(Saga[None]):
    @handles
    def ping(self, command: Ping):
        return "something"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (Add(id="c"), "returned Counter 'another'; the message is for 'c'"),
        (Note(id="c"), "returned Row instead of Counter"),
        (Ping(id="c"), "returned str; it has no state"),
    ],
)
async def test_a_handler_that_returns_something_else_than_its_state_has_failed(
    start, command, text
):
    bench = await start(Wrong, Nothing)
    with pytest.raises(HandlingError, match=text):
        await bench.app.send(command)
    assert await bench.log(STREAM) == []


@pytest.mark.parametrize("rounds", range(8))
async def test_cancellation_leaves_no_lock_and_no_half_command(bench, script, rounds):
    async def pause(saga):
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    script.act = pause
    first = asyncio.create_task(bench.app.send(Add(id="c"), message_id="m-1"))
    second = asyncio.create_task(bench.app.send(Add(id="c"), message_id="m-2"))
    for _ in range(rounds):
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first, second])
    log = await bench.log(STREAM)
    assert [each.position for each in log] == list(range(1, len(log) + 1))
    assert "m-2" in {each.envelope.id for each in log}
    assert (await bench.app.get(Counter, "c")).total == len(log) == len(await bench.events())
    assert len(bench.locks) == 0


async def test_a_handler_that_awaited_something_cancelled_has_failed_and_was_not_cancelled(
    bench, script
):
    async def await_cancelled(saga):
        other = asyncio.get_running_loop().create_future()
        other.cancel()
        await other

    script.act = await_cancelled
    with pytest.raises(HandlingError, match="awaited something that was cancelled"):
        await bench.app.send(Add(id="c"))
    assert len(bench.locks) == 0


async def test_a_slow_handler_reports_how_long_it_took(bench, script):
    async def slow(saga):
        await bench.clock.sleep(2)

    script.act = slow
    sending = asyncio.create_task(bench.app.send(Add(id="c")))
    await bench.wait(seconds=2)
    await sending
    assert bench.ears.of("handled") == [("Add", 1, timedelta(seconds=2).total_seconds())]
