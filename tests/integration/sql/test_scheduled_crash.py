"""Processes that die during a scheduled send: the command takes effect once (promise 2)."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta

import pytest

from alarm_worker import ALARM_DEATHS, work
from alarms import ALARMS, Alarm, Ring, SetAlarm
from leaping_clock import LeapingClock
from sourceflow.bus.changes import Stream
from sourceflow.bus.ports import DeadLetterFilter, StoresContext
from sourceflow.messages import Codec, Registry
from workers import Workers

EXPIRED = timedelta(minutes=2)
"""After so long, the outbox rows of a dead process are free."""


@pytest.fixture
def clock():
    return LeapingClock()


@pytest.fixture
def workers(database):
    workers = Workers(work, database)
    yield workers
    workers.end()


@pytest.fixture
async def stores(database, clock):
    """What the workers write, without an App that would join them."""
    stores = database.stores()
    await stores.open(StoresContext("alarms", Codec(Registry([SetAlarm, Ring])), clock))
    yield stores
    await stores.aclose()


async def rung(stores):
    found = [await stores.load(Stream("Alarm", each), Alarm) for each in ALARMS]
    return [0 if alarm is None else alarm.rung for alarm in found]


async def settled(stores):
    """Wait until every alarm has rung and nothing is on its way."""
    async with asyncio.timeout(60):
        while (  # noqa: ASYNC110 - another process: nothing here says when
            not all(await rung(stores))
            or await stores.schedule.first() is not None
            or await stores.outbox.depth()
        ):
            await asyncio.sleep(0.02)


async def log_of(stores, alarm):
    log = stores.commands.read(Stream("Alarm", alarm))
    return [(each.position, each.envelope.type_name) async for each in log]


@pytest.mark.slow
@pytest.mark.parametrize("boundary", ALARM_DEATHS)
async def test_a_process_that_dies_during_a_scheduled_send_leaves_it_to_happen_once(
    boundary, clock, stores, workers
):
    first = workers.start(clock, boundary)
    assert await first.wait() == -signal.SIGKILL
    clock.leap(EXPIRED)
    workers.start(clock)
    await settled(stores)
    assert await rung(stores) == [1] * len(ALARMS)
    for alarm in ALARMS:
        assert await log_of(stores, alarm) == [(1, "SetAlarm"), (2, "Ring")]
    assert await stores.dead_letters.count(DeadLetterFilter()) == 0


@pytest.mark.slow
async def test_many_instances_at_once_let_each_alarm_ring_once(clock, stores, workers):
    for _ in range(3):
        workers.start(clock)
    await settled(stores)
    assert await rung(stores) == [1] * len(ALARMS)
