"""Two instances on one database: what they send of one entity leaves in the order of its commits."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from hurried_clock import HurriedClock
from sourceflow import App, Command, Entity, Event, Key, Saga, handles
from sourceflow.bus.routes import Routes

PACE = 4.0
"""Seconds of the tests' clock in one second: instances look after each other's rows soon."""

PATIENCE = 30


class Write(Command):
    id: Key[str]
    number: int


class Written(Event):
    id: Key[str]
    number: int


class Book(Entity):
    id: Key[str]


class Books(Saga[Book]):
    @handles
    def write(self, book: Book | None, command: Write) -> Book:
        self.raise_event(Written(id=command.id, number=command.number))
        return Book(id=command.id)


class Post:
    """A transport that writes down what arrives, for all instances in one list."""

    def __init__(self, arrived, gate):
        self.routes = Routes(events={Written: "written"})
        self.sending = asyncio.Event()
        self._arrived = arrived
        self._gate = gate

    async def open(self, context):
        pass

    async def start(self, receive):
        pass

    async def stop(self, grace=None):
        pass

    async def aclose(self):
        pass

    def admit(self, outgoing):
        pass

    async def send(self, outgoing):
        self.sending.set()
        await self._gate.wait()
        self._arrived += [each.envelope.message.number for each in outgoing]
        return [None for _ in outgoing]

    async def depths(self):
        return ()


class Instance:
    """One instance of the App."""

    def __init__(self, app, stores, post):
        self.app = app
        self.stores = stores
        self.post = post

    def slow_commits(self, gate):
        """Let the database's answers wait behind a gate; return what is set when one does."""
        database = self.stores._open.database
        commit, committed = database.commit, asyncio.Event()

        async def slow(steps):
            answer = await commit(steps)
            committed.set()
            await gate.wait()
            return answer

        database.commit = slow
        return committed

    async def looks(self, times):
        """Wait until it has looked so often for what others have left."""
        outbox = self.stores.outbox
        take, looks = outbox.take, asyncio.Semaphore(0)

        async def counted():
            taken = await take()
            looks.release()
            return taken

        outbox.take = counted
        async with asyncio.timeout(PATIENCE):
            for _ in range(times):
                await looks.acquire()
        outbox.take = take


@asynccontextmanager
async def instance(database, arrived, gate):
    stores, post = database.stores(), Post(arrived, gate)
    app = App([Books], name="books", stores=stores, clock=HurriedClock(PACE)).use(post)
    async with app:
        yield Instance(app, stores, post)


@pytest.mark.parametrize("slow", ["commit", "send"])
async def test_a_quick_commit_does_not_overtake_a_slow_one_of_another_instance(database, slow):
    arrived = []
    gate, opened = asyncio.Event(), asyncio.Event()
    opened.set()
    async with (
        instance(database, arrived, gate) as first,
        instance(database, arrived, opened) as second,
        asyncio.TaskGroup() as tasks,
    ):
        is_slow = first.slow_commits(gate) if slow == "commit" else first.post.sending
        tasks.create_task(first.app.send(Write(id="a", number=1)))
        async with asyncio.timeout(PATIENCE):
            await is_slow.wait()
            await second.app.send(Write(id="a", number=2))
        await second.looks(3)
        assert arrived == []

        gate.set()
        await first.app.drained(timeout=120)
        await second.app.drained(timeout=120)
    assert arrived == [1, 2]
