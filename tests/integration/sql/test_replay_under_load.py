"""Replays and rebuilds of long histories, while commands are arriving."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import Context

import pytest

from run_size import FULL, sized
from sourceflow import App, Command, Entity, Event, Key, Saga, View, ViewModel, handles, projects

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800 if FULL else 120)]

COMMANDS = sized(300, 10_000)
"""Commands of the entity that is replayed."""

EVENTS = sized(3_000, 100_000)
"""Events that views are rebuilt from."""

BURST = 100
"""Events that one command raises, so that so many are there soon."""

KEYS = tuple(f"k{at}" for at in range(10))


class Add(Command):
    id: Key[str]
    events: int = 1


class Added(Event):
    id: Key[str]


class Sum(Entity):
    id: Key[str]
    commands: int = 0
    events: int = 0


class Row(ViewModel):
    id: Key[str]
    worth: int = 0


class LaterRow(ViewModel):
    id: Key[str]
    worth: int = 0


class Rule:
    """What handlers and views go by; it changes, which is why views are rebuilt.

    Attributes:
        worth: What an event is worth.
        replayed: How many commands were run again.
        interrupt: Is awaited while a command is run again.
    """

    def __init__(self):
        self.worth = 1
        self.replayed = 0
        self.interrupt = None


class Sums(Saga[Sum]):
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    @handles
    async def add(self, total: Sum | None, command: Add) -> Sum:
        if self.context.is_replay:
            self._rule.replayed += 1
            if self._rule.interrupt is not None:
                await self._rule.interrupt()
        for _ in range(command.events):
            self.raise_event(Added(id=command.id))
        before = total or Sum(id=command.id)
        return Sum(
            id=command.id, commands=before.commands + 1, events=before.events + command.events
        )


class Rows(View[Row]):
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    @projects
    def added(self, event: Added, row: Row | None) -> Row:
        return Row(id=event.id, worth=self._rule.worth + (0 if row is None else row.worth))


class LaterRows(View[LaterRow], lifecycle="async"):
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    @projects
    def added(self, event: Added, row: LaterRow | None) -> LaterRow:
        return LaterRow(id=event.id, worth=self._rule.worth + (0 if row is None else row.worth))


@asynccontextmanager
async def instance(database, rule, *views):
    app = App([Sums, *views], name="sums", stores=database.stores(), services=[rule])
    async with app:
        yield app


class Load:
    """Sends commands one after the other until it is told to end.

    Attributes:
        sent: How many.
    """

    def __init__(self, app, keys):
        self._app = app
        self._keys = keys
        self._ending = False
        self.sent = 0

    async def run(self):
        while not self._ending:
            await self._app.send(Add(id=self._keys[self.sent % len(self._keys)]))
            self.sent += 1

    async def until_sent(self, count):
        """Wait until so many more are handled."""
        until = self.sent + count
        async with asyncio.timeout(60):
            while self.sent < until:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0)

    def end(self):
        self._ending = True


@asynccontextmanager
async def load(app, keys):
    """Send meanwhile."""
    async with asyncio.TaskGroup() as tasks:
        load = Load(app, keys)
        tasks.create_task(load.run())
        try:
            yield load
        finally:
            load.end()


async def send_many(app, commands):
    """Send commands of several entities side by side."""
    places = asyncio.Semaphore(50)

    async def send(command):
        async with places:
            await app.send(command)

    async with asyncio.TaskGroup() as tasks:
        for command in commands:
            tasks.create_task(send(command))


async def test_a_long_stream_is_replayed_while_commands_arrive(database):
    rule = Rule()
    async with instance(database, rule, Rows) as app:
        await send_many(app, [Add(id="long") for _ in range(COMMANDS)])
        rule.worth = 10
        async with load(app, KEYS) as others, load(app, ["long"]) as same:
            await others.until_sent(1)
            await same.until_sent(1)
            before = others.sent
            replayed = await app.replay(Sum, "long")
            during = others.sent - before
            await same.until_sent(1)

        assert replayed.commands == rule.replayed >= COMMANDS + 1
        assert replayed.rebuilt == ("Row",)
        assert during > 0, "other entities are not held up"
        total = COMMANDS + same.sent
        assert (await app.get(Sum, "long")).commands == total
        assert (await app.get(Row, "long")).worth == 10 * total
        assert (await app.replay(Sum, "long")).commands == total, "its log has no gap"


async def test_a_replay_that_another_instance_interrupts_takes_its_command_in(database):
    rule = Rule()
    async with instance(database, rule, Rows) as app, instance(database, Rule(), Rows) as other:
        await send_many(app, [Add(id="long") for _ in range(COMMANDS)])

        async def interrupt():
            if rule.replayed == COMMANDS // 2:
                await asyncio.create_task(other.send(Add(id="long")), context=Context())

        rule.interrupt = interrupt
        replayed = await app.replay(Sum, "long")
        assert replayed.commands == COMMANDS + 1
        assert rule.replayed > COMMANDS + 1, "it began again"
        assert (await app.get(Sum, "long")).commands == COMMANDS + 1
        assert (await app.get(Row, "long")).worth == COMMANDS + 1


@pytest.mark.parametrize("view", [Rows, LaterRows])
async def test_views_of_many_events_are_rebuilt_while_commands_arrive_at_two_instances(
    database, view
):
    row_type = {Rows: Row, LaterRows: LaterRow}[view]
    rule = Rule()
    async with instance(database, rule, view) as one, instance(database, rule, view) as two:
        bursts = EVENTS // BURST
        await send_many(one, [Add(id=KEYS[at % len(KEYS)], events=BURST) for at in range(bursts)])
        rule.worth = 10
        steps = []
        async with load(one, KEYS[:5]) as first, load(two, KEYS[5:]) as second:
            await first.until_sent(1)
            await second.until_sent(1)
            sent = first.sent + second.sent
            rebuilt = await one.rebuild(view, on_progress=steps.append)
            assert first.sent + second.sent > sent, "nobody is held up"
            await first.until_sent(5)
            await second.until_sent(5)
        await one.drained(timeout=60)
        await two.drained(timeout=60)

        assert rebuilt.rows == len(KEYS)
        assert rebuilt.events > EVENTS
        assert steps[-1].events >= EVENTS
        assert [step.events for step in steps] == sorted(step.events for step in steps)
        events = {key: (await one.get(Sum, key)).events for key in KEYS}
        assert sum(events.values()) == bursts * BURST + first.sent + second.sent
        rows = {row.id: row.worth for row in await two.query(row_type)}
        assert rows == {key: 10 * count for key, count in events.items()}
