"""What was asked of an entity, and what it was once."""

from __future__ import annotations

from contextlib import aclosing
from datetime import datetime, timedelta, timezone

import pytest
from msgspec.structs import replace

from sourceflow import DELETE, App, Command, Entity, Event, Key, Middleware, Saga, handles
from sourceflow.bus.changes import Stream
from sourceflow.errors import NotRunningError, ReplayError
from sourceflow.messages import Envelope


class Add(Command):
    id: Key[str]
    amount: int


class Look(Command):
    id: Key[str]


class Drop(Command):
    id: Key[str]


class Tell(Command):
    id: Key[str]


class Added(Event):
    id: Key[str]


class Sum(Entity):
    id: Key[str]
    total: int = 0


class Rules:
    def __init__(self):
        self.seen = []
        self.told = 0
        self.refuse = None


class Sums(Saga[Sum]):
    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    @handles
    async def add(self, sum_: Sum | None, command: Add) -> Sum:
        self.rules.seen.append((self.context.sequence, self.context.is_replay))
        if command.amount == self.rules.refuse:
            raise ValueError("no more")
        await self.send(Tell(id=command.id))
        self.raise_event(Added(id=command.id))
        sum_ = sum_ or Sum(id=command.id)
        return replace(sum_, total=sum_.total + command.amount)

    @handles
    def look(self, sum_: Sum | None, command: Look) -> None:
        pass

    @handles
    def drop(self, command: Drop):
        return DELETE


class Tellers(Saga[None]):
    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    @handles
    def tell(self, command: Tell) -> None:
        self.rules.told += 1


COMMANDS = (
    Add(id="s-1", amount=1),
    Add(id="s-1", amount=2),
    Look(id="s-1"),
    Drop(id="s-1"),
    Add(id="s-1", amount=5),
)
AFTER = (None, Sum(id="s-1", total=1), Sum(id="s-1", total=3), Sum(id="s-1", total=3), None)
AFTER = (*AFTER, Sum(id="s-1", total=5))


@pytest.fixture
def rules():
    return Rules()


@pytest.fixture
async def bench(start, rules):
    """Five commands, a minute between each two of them."""
    bench = await start(Sums, Tellers, services=[rules])
    bench.began = bench.clock.now()
    for number, command in enumerate(COMMANDS, 1):
        await bench.app.send(command, message_id=f"m-{number}", headers={"number": str(number)})
        await bench.relay.idle()
        await bench.wait(minutes=1)
    rules.seen.clear()
    return bench


async def everything(bench):
    return (
        await bench.app.find(Sum, "s-1"),
        await bench.log(Stream("Sum", "s-1")),
        await bench.events(),
        await bench.stores.outbox.unsent(),
    )


async def test_a_history_holds_each_command_with_its_metadata_in_order(bench):
    found = [each async for each in bench.app.history(Sum, "s-1")]
    assert [each.position for each in found] == [1, 2, 3, 4, 5]
    assert [each.envelope.message for each in found] == list(COMMANDS)
    assert [each.envelope.id for each in found] == ["m-1", "m-2", "m-3", "m-4", "m-5"]
    assert [each.envelope.headers for each in found] == [{"number": n} for n in "12345"]
    assert {each.envelope.source for each in found} == {"/shop"}
    assert [each.handled_at - bench.began for each in found] == [
        timedelta(minutes=minute) for minute in range(5)
    ]


async def test_a_history_is_read_behind_a_number(bench):
    found = [each.position async for each in bench.app.history(Sum, "s-1", after=3)]
    assert found == [4, 5]


async def test_who_never_was_has_no_history(bench):
    assert [each async for each in bench.app.history(Sum, "nobody")] == []


async def test_a_history_may_be_left_at_any_time(bench):
    async with aclosing(bench.app.history(Sum, "s-1")) as history:
        async for each in history:
            if each.position == 2:
                break
    assert [each async for each in history] == []


async def test_an_app_that_does_not_run_shows_no_history(rules):
    app = App([Sums, Tellers], name="shop", services=[rules])
    with pytest.raises(NotRunningError):
        app.history(Sum, "s-1")


@pytest.mark.parametrize("number", range(6))
async def test_an_entity_is_shown_as_it_was_after_a_command(bench, rules, number):
    assert await bench.app.at(Sum, "s-1", sequence=number) == AFTER[number]
    assert rules.seen == [(each, True) for each in (1, 2, 5) if each <= number]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("seconds", [0, 59])
async def test_an_entity_is_shown_as_it_was_at_a_moment(bench, number, seconds):
    time = bench.began + timedelta(minutes=number - 1, seconds=seconds)
    assert await bench.app.at(Sum, "s-1", time=time) == AFTER[number]


async def test_a_moment_may_be_told_in_any_time_zone(bench):
    time = bench.began.astimezone(timezone(timedelta(hours=-4))) + timedelta(minutes=1)
    assert await bench.app.at(Sum, "s-1", time=time) == AFTER[2]


async def test_when_a_command_took_effect_counts_and_not_when_it_was_made(bench):
    late = Envelope(
        message=Add(id="s-2", amount=1),
        id="late",
        source="/elsewhere",
        time=bench.began - timedelta(days=7),
        correlation_id="late",
    )
    await bench.engine.commands.handle(late)
    handled_at = bench.clock.now()
    assert await bench.app.at(Sum, "s-2", time=handled_at - timedelta(seconds=1)) is None
    assert await bench.app.at(Sum, "s-2", time=handled_at) == Sum(id="s-2", total=1)


async def test_to_look_back_changes_nothing_and_sends_nothing(bench, rules):
    before, told = await everything(bench), rules.told
    await bench.app.at(Sum, "s-1", sequence=5)
    await bench.relay.idle()
    assert await everything(bench) == before
    assert rules.told == told


async def test_a_command_that_fails_now_is_named_and_those_behind_it_are_not_run(bench, rules):
    rules.refuse = 2
    assert await bench.app.at(Sum, "s-1", sequence=1) == AFTER[1]
    assert await bench.app.at(Sum, "s-1", time=bench.began) == AFTER[1]
    with pytest.raises(ReplayError, match="ValueError: no more") as raised:
        await bench.app.at(Sum, "s-1", sequence=5)
    assert (raised.value.position, raised.value.type_name) == (2, "Add")


async def test_a_number_that_was_not_reached_yet_is_refused(bench):
    with pytest.raises(LookupError, match="Sum 's-1' has 5 commands: there is no number 6"):
        await bench.app.at(Sum, "s-1", sequence=6)
    with pytest.raises(LookupError, match="Sum 'nobody' has 0 commands"):
        await bench.app.at(Sum, "nobody", sequence=1)
    assert await bench.app.at(Sum, "nobody", sequence=0) is None
    assert await bench.app.at(Sum, "nobody", time=bench.began) is None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, TypeError),
        ({"sequence": 1, "time": datetime.fromisoformat("2026-01-01T00:00Z")}, TypeError),
        ({"sequence": -1}, ValueError),
        ({"time": datetime.fromisoformat("2026-01-01T00:00")}, ValueError),
    ],
)
async def test_a_look_back_is_to_a_number_or_to_a_moment(bench, options, error):
    with pytest.raises(error):
        await bench.app.at(Sum, "s-1", **options)


class Stopper(Middleware):
    async def handle_command(self, message, next):  # noqa: A002 - the hook's
        if message.type_name != "Add" or message.message.amount != 2:
            await next(message)


async def test_a_command_that_a_middleware_stops_leaves_the_entity_as_it_was(start, rules):
    bench = await start(Sums, Tellers, services=[rules])
    for amount in (1, 2, 4):
        await bench.app.send(Add(id="s-1", amount=amount))
    later = await start(
        Sums, Tellers, services=[rules], stores=bench.stores, middleware=[Stopper()]
    )
    assert await later.app.at(Sum, "s-1", sequence=2) == Sum(id="s-1", total=1)
    assert await later.app.at(Sum, "s-1", sequence=3) == Sum(id="s-1", total=5)
