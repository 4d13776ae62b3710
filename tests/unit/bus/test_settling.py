"""Rows that have arrived are forgotten together."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from sourceflow.bus import settling as settling_module
from sourceflow.bus.settling import Settling
from sourceflow.testing.clock import ManualClock, settle

LINGER = timedelta(milliseconds=50)


class Outbox:
    def __init__(self):
        self.writes = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def forget(self, rows):
        await self.gate.wait()
        self.writes.append(list(rows))


@pytest.fixture
def outbox():
    return Outbox()


@pytest.fixture
def clock():
    return ManualClock()


@asynccontextmanager
async def running(outbox, clock, linger):
    settling = Settling(outbox.forget, linger=linger, clock=clock)
    task = asyncio.create_task(settling.run())
    yield settling
    task.cancel()


async def test_the_first_row_waits_for_others(outbox, clock):
    said = []
    async with running(outbox, clock, LINGER) as settling:
        settling.put("a", lambda: said.append("a"))
        await clock.advance(LINGER / 2)
        settling.put("b", lambda: said.append("b"))
        assert (outbox.writes, said) == ([], [])
        await clock.advance(LINGER / 2)
        assert (outbox.writes, said) == ([["a", "b"]], ["a", "b"])
        settling.put("c", lambda: said.append("c"))
        await clock.advance(LINGER)
        assert outbox.writes[1:] == [["c"]]


async def test_without_a_linger_nothing_waits(outbox, clock):
    async with running(outbox, clock, timedelta(0)) as settling:
        settling.put("a", lambda: None)
        await settle()
        assert outbox.writes == [["a"]]


async def test_rows_that_come_during_a_write_share_the_next(outbox, clock):
    outbox.gate.clear()
    async with running(outbox, clock, timedelta(0)) as settling:
        settling.put("a", lambda: None)
        await settle()
        settling.put("b", lambda: None)
        settling.put("c", lambda: None)
        outbox.gate.set()
        await settle()
        assert outbox.writes == [["a"], ["b", "c"]]


async def test_whoever_waits_for_the_end_can_hurry_it(outbox, clock):
    async with running(outbox, clock, LINGER) as settling:
        settling.put("a", lambda: None)
        await settle()
        settling.hurry()
        await settle()
        assert outbox.writes == [["a"]]


async def test_a_full_batch_does_not_wait(outbox, clock, monkeypatch):
    monkeypatch.setattr(settling_module, "BATCH", 2)
    async with running(outbox, clock, LINGER) as settling:
        for row in "abc":
            settling.put(row, lambda: None)
        await settle()
        assert outbox.writes == [["a", "b"], ["c"]]
