"""Whatever is sent, fails, is cancelled or run again, in any order: what must always hold, holds."""

from __future__ import annotations

import asyncio
from collections import Counter as Count
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from sourceflow import (
    Aggregate,
    App,
    Command,
    Entity,
    Event,
    Key,
    Reject,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
    subscribes,
)
from sourceflow.bus.changes import Stream
from sourceflow.bus.dead_letter import DeadLetterFilter
from sourceflow.errors import RejectedError
from sourceflow.stores.memory import MemoryStores
from sourceflow.testing.clock import ManualClock, settle

KEYS = ("a", "b", "c")


class Add(Command):
    id: Key[str]
    by: int
    how: str = "well"


class Echo(Command):
    id: Key[str]


class Added(Event):
    id: Key[str]
    by: int


class Account(Entity):
    id: Key[str]
    total: int = 0


class Echoes(Entity):
    id: Key[str]
    count: int = 0


class Statement(ViewModel):
    id: Key[str]
    total: int
    times: int


class Everything(ViewModel):
    id: Key[str]
    total: int
    times: int


class Faults:
    """How often what comes next fails before it works; fewer than five, or it would be given up."""

    def __init__(self):
        self.subscriber = 0
        self.view = 0


class Accounts(Saga[Account]):
    @handles
    async def add(self, account: Account | None, command: Add) -> Account:
        account = account or Account(id=command.id)
        self.raise_event(Added(id=command.id, by=command.by))
        await asyncio.sleep(0)
        if command.how == "badly":
            raise ValueError
        if command.how == "wrongly":
            raise Reject("wrong")
        await asyncio.sleep(0)
        return replace(account, total=account.total + command.by)


class Echoers(Saga[Echoes]):
    @handles
    async def echo(self, echoes: Echoes | None, command: Echo) -> Echoes:
        await asyncio.sleep(0)
        return Echoes(id=command.id, count=1 + (echoes.count if echoes else 0))


class Listeners(Aggregate[Account]):
    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    @subscribes
    async def added(self, event: Added) -> None:
        await self.send(Echo(id=f"echo of {event.id}"))
        await asyncio.sleep(0)
        if self.faults.subscriber:
            self.faults.subscriber -= 1
            raise ValueError


class Statements(View[Statement]):
    @projects
    def added(self, row: Statement | None, event: Added) -> Statement:
        row = row or Statement(id=event.id, total=0, times=0)
        return replace(row, total=row.total + event.by, times=row.times + 1)


class Totals(View[Everything], lifecycle="async"):
    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    @projects(key=lambda event: "all")
    async def added(self, row: Everything | None, event: Added) -> Everything:
        await asyncio.sleep(0)
        if self.faults.view and not self.context.is_replay:
            self.faults.view -= 1
            raise ValueError
        row = row or Everything(id="all", total=0, times=0)
        return replace(row, total=row.total + event.by, times=row.times + 1)


keys = st.sampled_from(KEYS)
amounts = st.integers(-5, 5)


class Bank(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.faults = Faults()
        self.stores = MemoryStores()
        self.app = App(
            [Accounts, Echoers, Listeners, Statements, Totals],
            name="bank",
            stores=self.stores,
            services=[self.faults],
            clock=self.clock,
        )
        self.committed = set()
        self.refused = set()
        self.sent = 0
        self.runner.run(self.app.__aenter__())

    def teardown(self):
        self.drain()
        self.everything_was_projected_once()
        self.runner.run(self.app.__aexit__(None, None, None))
        self.runner.close()

    def new_id(self):
        self.sent += 1
        return f"m-{self.sent}"

    @rule(key=keys, by=amounts)
    def send(self, key, by):
        message_id = self.new_id()
        self.runner.run(self.app.send(Add(id=key, by=by), message_id=message_id))
        self.committed.add(message_id)

    @precondition(lambda self: self.committed)
    @rule(key=keys, data=st.data())
    def send_again(self, key, data):
        message_id = data.draw(st.sampled_from(sorted(self.committed)))
        self.runner.run(self.app.send(Add(id=key, by=1), message_id=message_id))

    @rule(key=keys, how=st.sampled_from(["badly", "wrongly"]))
    def send_in_vain(self, key, how):
        message_id = self.new_id()
        with pytest.raises((ValueError, RejectedError)):
            self.runner.run(self.app.send(Add(id=key, by=1, how=how), message_id=message_id))
        self.refused.add(message_id)

    @rule(
        commands=st.lists(
            st.tuples(keys, amounts, st.sampled_from(["well", "badly"])), min_size=2, max_size=6
        ),
        rounds=st.integers(0, 12),
        cancelled=st.sets(st.integers(0, 5)),
    )
    def send_at_once_and_cancel_some(self, commands, rounds, cancelled):
        async def work():
            ids = [self.new_id() for _ in commands]
            tasks = [
                asyncio.create_task(self.app.send(Add(id=key, by=by, how=how), message_id=each))
                for each, (key, by, how) in zip(ids, commands, strict=True)
            ]
            for _ in range(rounds):
                await asyncio.sleep(0)
            for index in cancelled & set(range(len(tasks))):
                tasks[index].cancel()
            await asyncio.wait(tasks)
            for each, task in zip(ids, tasks, strict=True):
                if not task.cancelled():
                    (self.refused if task.exception() else self.committed).add(each)

        self.runner.run(work())

    @rule(subscriber=st.integers(0, 4), view=st.integers(0, 4))
    def let_what_comes_next_fail(self, subscriber, view):
        self.drain()  # or failures would add up on one message until it is given up
        self.faults.subscriber, self.faults.view = subscriber, view

    @rule(key=keys)
    def replay(self, key):
        self.runner.run(self.app.replay(Account, key))

    @rule(view=st.sampled_from([Statements, Totals]))
    def rebuild(self, view):
        self.runner.run(self.app.rebuild(view))

    @rule(key=keys, rounds=st.integers(0, 8))
    def cancel_a_replay(self, key, rounds):
        async def work():
            task = asyncio.create_task(self.app.replay(Account, key))
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        self.runner.run(work())

    @rule(seconds=st.floats(0, 5))
    def let_time_pass(self, seconds):
        self.runner.run(self.clock.advance(timedelta(seconds=seconds)))

    @rule()
    def start_again(self):
        """The App ends with rows under way; the next one sends them."""

        async def work():
            await self.clock.advance(timedelta(minutes=5))
            await self.app.__aexit__(None, None, None)
            await self.app.__aenter__()

        self.runner.run(work())

    @rule()
    def drain(self):
        async def work():
            await self.clock.advance(timedelta(minutes=5))
            await self.app._running.relay.idle()
            await settle()

        self.runner.run(work())
        assert self.runner.run(self.stores.outbox.depth()) == 0
        self.everything_was_projected_once()

    def everything_was_projected_once(self):
        events = self.read_events()
        row = self.runner.run(self.app.find(Everything, "all"))
        seen = (0, 0) if row is None else (row.total, row.times)
        assert seen == (sum(event.message.by for event in events), len(events))
        for key, count in Count(event.key for event in events).items():
            echoes = self.runner.run(self.app.find(Echoes, f"echo of {key}"))
            assert echoes.count == count
        assert self.runner.run(self.stores.dead_letters.count(DeadLetterFilter())) == 0

    def read(self, log):
        async def work():
            return [each async for each in log]

        return self.runner.run(work())

    def read_events(self):
        return [each.envelope for each in self.read(self.stores.events.read())]

    @invariant()
    def an_entity_is_the_fold_of_its_log_and_its_row_says_the_same(self):
        for key in KEYS:
            logged = self.read(self.stores.commands.read(Stream("Account", key)))
            assert [each.position for each in logged] == list(range(1, len(logged) + 1))
            total = sum(each.envelope.message.by for each in logged)
            account = self.runner.run(self.app.find(Account, key))
            row = self.runner.run(self.app.find(Statement, key))
            if not logged:
                assert (account, row) == (None, None)
                continue
            assert account == Account(id=key, total=total)
            assert row == Statement(id=key, total=total, times=len(logged))

    @invariant()
    def each_command_took_effect_once_or_left_nothing(self):
        logged = [
            each.envelope.id
            for key in KEYS
            for each in self.read(self.stores.commands.read(Stream("Account", key)))
        ]
        assert len(logged) == len(set(logged))
        assert self.committed <= set(logged)
        assert not self.refused & set(logged)
        assert sorted(event.causation_id for event in self.read_events()) == sorted(logged)

    @invariant()
    def no_lock_is_held_by_nobody(self):
        held = len(self.app._running.commands._locks)
        assert held == 0 or self.app._running.relay.waiting


Bank.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
TestBank = Bank.TestCase
