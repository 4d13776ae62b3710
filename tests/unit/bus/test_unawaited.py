"""What a handler sends without awaiting it fails the handler: it would be lost without a word."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sourceflow import (
    Aggregate,
    App,
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
from sourceflow.bus.dead_letter import DeadLetterFilter
from sourceflow.errors import HandlerEndedError, HandlingError


class Go(Command):
    key: Key[str]
    how: str


class GoPlainly(Command):
    key: Key[str]


class Follow(Command):
    key: Key[str]


class Went(Event):
    key: Key[str]


class Walk(Entity):
    key: Key[str]
    follows: int = 0


left_behind: list[asyncio.Task[str]] = []


class Walks(Saga[Walk]):
    @handles
    async def go(self, walk: Walk | None, command: Go) -> Walk:
        first, second = (self.send(Follow(key=f"{command.key}-{each}")) for each in (1, 2))
        match command.how:
            case "both":
                await asyncio.gather(first, second)
            case "one":
                await first
            case "task":
                await first
                await asyncio.create_task(second)
            case "left":
                await first
                left_behind.append(asyncio.create_task(second))
            case "cancel":
                await asyncio.gather(first, second)
                self.cancel_send("m-1")
        return Walk(key=command.key)

    @handles
    def plainly(self, walk: Walk | None, command: GoPlainly) -> Walk:
        self.send(Follow(key="f-1"))
        return Walk(key=command.key)

    @handles
    def follow(self, walk: Walk | None, command: Follow) -> Walk:
        return Walk(key=command.key, follows=1)


class Depart(Command):
    key: Key[str]


class Departures(Saga[None]):
    @handles
    def depart(self, command: Depart) -> None:
        self.raise_event(Went(key=command.key))


class Followers(Aggregate[Walk]):
    @subscribes
    async def went(self, event: Went) -> None:
        self.send(Follow(key=event.key), delay=timedelta(hours=1))


class Row(ViewModel):
    key: Key[str]


class Rows(View[Row]):
    @projects
    def went(self, event: Went) -> Row:
        return Row(key="another")


@pytest.mark.parametrize("how", ["one", "neither", "cancel"])
async def test_a_handler_that_forgets_to_await_fails_and_leaves_nothing_behind(how):
    async with App([Walks], name="walks") as app:
        with pytest.raises(
            HandlingError, match=r"Walks\.go has called self\.send .* without await"
        ):
            await app.send(Go(key="w-1", how=how))

        assert await app.find(Walk, "w-1") is None
        assert await app.find(Walk, "w-1-1") is None


async def test_a_plain_handler_cannot_send():
    async with App([Walks], name="walks") as app:
        with pytest.raises(HandlingError, match="in an 'async def'"):
            await app.send(GoPlainly(key="w-1"))


@pytest.mark.parametrize("how", ["both", "task"])
async def test_a_handler_may_await_in_whatever_order_and_task(how):
    async with App([Walks], name="walks") as app:
        await app.send(Go(key="w-1", how=how))
        await app.drained(timeout=30)

        assert await app.find(Walk, "w-1-1") == Walk(key="w-1-1", follows=1)
        assert await app.find(Walk, "w-1-2") == Walk(key="w-1-2", follows=1)


async def test_a_task_that_a_handler_leaves_behind_is_told_that_it_is_late():
    async with App([Walks], name="walks") as app:
        await app.send(Go(key="w-1", how="left"))
        await app.drained(timeout=30)

        with pytest.raises(HandlerEndedError):
            await left_behind.pop()
        assert await app.find(Walk, "w-1-1") == Walk(key="w-1-1", follows=1)
        assert await app.find(Walk, "w-1-2") is None


async def test_a_subscriber_that_forgets_to_await_becomes_a_dead_letter():
    async with App([Departures, Followers, Walks], name="walks") as app:
        await app.send(Depart(key="w-1"))
        await app.drained(timeout=30)

        (letter,) = await app.dead_letters.query(DeadLetterFilter())
        assert letter.error.startswith("HandlingError: Followers.went has called self.send")
        assert await app.scheduled() == []


async def test_a_row_of_another_key_is_refused_with_a_hint():
    async with App([Departures, Rows], name="walks") as app:
        with pytest.raises(
            HandlingError, match=r"'another'; the message is for 'w-1'; @projects\("
        ):
            await app.send(Depart(key="w-1"))
