"""What people read of a failure says where in their code it was: they get no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
from sourceflow.bus.dead_letter import MAX_ERROR, DeadLetterFilter, describe_failure
from sourceflow.bus.place import place_in_handler
from sourceflow.errors import AlreadyExistsError, NotFoundError, ReplayError
from sourceflow.testing import under_test

FILE = "tests/unit/bus/test_place.py"


class Go(Command):
    key: Key[str]
    how: str


class Went(Event):
    key: Key[str]


class Walk(Entity):
    key: Key[str]


class Walks(Saga[Walk]):
    @handles
    async def go(self, walk: Walk | None, command: Go) -> Walk:
        match command.how:
            case "here":
                raise ValueError("here")
            case "helper":
                stumble({})
            case "library":
                json.loads("{")
            case "ours":
                await self.get(Walk, "nowhere")
            case "long":
                raise ValueError("x" * MAX_ERROR)
            case _:
                raise Reject("no")
        return Walk(key=command.key)


class Depart(Command):
    key: Key[str]


class Departures(Saga[None]):
    @handles
    def depart(self, command: Depart) -> None:
        self.raise_event(Went(key=command.key))


class Followers(Aggregate[Walk]):
    @subscribes
    async def went(self, event: Went) -> None:
        stumble({})


class Row(ViewModel):
    key: Key[str]


class Rows(View[Row], lifecycle="async"):
    is_broken = False

    @projects
    def went(self, event: Went) -> Row:
        if self.is_broken:
            raise ValueError("broken")
        return Row(key=event.key)


def stumble(of: dict[str, str]) -> str:
    return of["missing"]


def line_of(text: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    (found,) = (number for number, line in enumerate(lines, 1) if line.strip() == text)
    return found


async def error_of(how: str) -> Exception:
    async with App([Walks], name="walks") as app:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - each of them is looked at
            await app.send(Go(key="w-1", how=how))
    return caught.value


@pytest.mark.parametrize(
    ("how", "line", "function"),
    [
        ("here", 'raise ValueError("here")', "Walks.go"),
        ("helper", 'return of["missing"]', "stumble"),
        ("library", 'json.loads("{")', "Walks.go"),
        ("ours", 'await self.get(Walk, "nowhere")', "Walks.go"),
    ],
)
async def test_a_place_is_the_last_line_of_the_handlers_own_code(how, line, function):
    assert place_in_handler(await error_of(how)) == f"{FILE}:{line_of(line)} in {function}"


async def test_what_settles_a_message_has_no_place():
    error = (await error_of("reject")).__cause__
    assert isinstance(error, Reject)
    assert place_in_handler(error)
    assert describe_failure(error) == "Reject: no"


@pytest.mark.parametrize(
    "error", [ValueError("no"), NotFoundError("Walk", "w-1"), AlreadyExistsError("Walk", "w-1")]
)
def test_what_no_handler_raised_has_no_place(error):
    try:
        raise error
    except type(error):
        assert place_in_handler(error) is None
    assert "(" not in describe_failure(error)


async def test_a_long_text_is_cut_before_its_place():
    told = describe_failure(await error_of("long"))
    line = line_of('raise ValueError("x" * MAX_ERROR)')
    assert told.endswith(f"xx ({FILE}:{line} in Walks.go)")
    assert len(told) == MAX_ERROR


async def test_a_record_of_a_subscriber_that_failed_says_where():
    async with App([Departures, Followers], name="walks") as app:
        await app.send(Depart(key="w-1"))
        await app.drained(timeout=30)
        (letter,) = await app.dead_letters.query(DeadLetterFilter())
    line = line_of('return of["missing"]')
    assert letter.error == f"KeyError: 'missing' ({FILE}:{line} in stumble)"


async def test_a_rebuild_that_fails_says_where():
    async with under_test(App([Departures, Rows], name="walks")) as app:
        await app.send(Depart(key="w-1"))
        await app.drained(timeout=30)
        Rows.is_broken = True
        try:
            with pytest.raises(ReplayError, match=r"ValueError: broken \(.+:\d+ in Rows.went\)$"):
                await app.rebuild(Rows)
        finally:
            Rows.is_broken = False
