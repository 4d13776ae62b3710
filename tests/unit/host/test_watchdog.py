from __future__ import annotations

import asyncio
import threading
import time

import pytest

from sourceflow import App, Command, Key, Saga, handles
from sourceflow.host import watchdog
from sourceflow.host.watchdog import LoopWatchdog


class Work(Command):
    id: Key[str]


class Wait(Command):
    id: Key[str]


class Blocking(Saga[None]):
    @handles
    async def work(self, command: Work) -> None:
        await asyncio.sleep(0)
        deep_inside()

    @handles
    async def wait(self, command: Wait) -> None:
        await asyncio.sleep(0.3)


def deep_inside(seconds=0.4):
    time.sleep(seconds)  # blocks, as it shall


@pytest.fixture(autouse=True)
def short_limit(monkeypatch):
    monkeypatch.setattr(LoopWatchdog.__init__, "__defaults__", (0.1,))


async def test_a_handler_that_blocks_the_loop_is_named(caplog):
    async with App([Blocking], name="work") as app:
        await app.send(Work(id="1"))

    [record] = [each for each in caplog.records if each.name == watchdog.__name__]
    text = record.getMessage()
    assert text.startswith("Blocking.work blocks the event loop for more than 0.1 s")
    assert "in deep_inside" in text


async def test_a_handler_that_awaits_is_not(caplog):
    async with App([Blocking], name="work") as app:
        await app.send(Wait(id="1"))

    assert caplog.records == []


async def test_what_blocks_outside_of_handlers_is_not_ours_to_name(caplog):
    async with LoopWatchdog(0.05):
        deep_inside(0.2)

    assert caplog.records == []


async def test_its_thread_ends_with_it():
    async with LoopWatchdog(0.05):
        assert "sourceflow watchdog" in {each.name for each in threading.enumerate()}
    assert "sourceflow watchdog" not in {each.name for each in threading.enumerate()}


async def test_the_watchdog_of_a_blocked_loop_can_be_ended():
    async with LoopWatchdog(0.01):
        deep_inside(0.1)
