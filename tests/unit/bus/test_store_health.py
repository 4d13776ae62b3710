"""How work gets on, as any stores can tell."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sourceflow.bus.dead_letter import DeadLetter
from sourceflow.bus.ports import HealthOptions, HealthStatus
from sourceflow.bus.store_health import store_checks
from sourceflow.stores.memory.dead_letters import MemoryDeadLetters
from sourceflow.testing import ManualClock

HEALTHY, DEGRADED, UNHEALTHY = HealthStatus
DAY = timedelta(days=1)
OPTIONS = HealthOptions(
    outbox_age_degraded=timedelta(seconds=60),
    outbox_age_unhealthy=timedelta(seconds=600),
    outbox_depth_degraded=10,
    outbox_depth_unhealthy=100,
)


class Outbox:
    def __init__(self, depth, oldest):
        self._depth = depth
        self._oldest = oldest

    async def depth(self):
        return self._depth

    async def oldest(self):
        return self._oldest


class Stores:
    def __init__(self):
        self.outbox = Outbox(0, None)
        self.dead_letters = MemoryDeadLetters()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def stores():
    return Stores()


@pytest.fixture
def look(stores, clock):
    async def look(name):
        (found,) = [each for each in store_checks(stores, OPTIONS, clock) if each.name == name]
        return await found.look()

    return look


@pytest.mark.parametrize(
    ("depth", "seconds", "status"),
    [
        (1, 60, HEALTHY),
        (1, 61, DEGRADED),
        (1, 600, DEGRADED),
        (1, 601, UNHEALTHY),
        (10, 0, HEALTHY),
        (11, 0, DEGRADED),
        (100, 0, DEGRADED),
        (101, 0, UNHEALTHY),
        (1, -5, HEALTHY),
    ],
)
async def test_an_outbox_is_judged_by_its_age_and_its_depth(
    look, stores, clock, depth, seconds, status
):
    stores.outbox = Outbox(depth, clock.now() - timedelta(seconds=seconds))

    found = await look("outbox")

    assert found.status is status
    assert found.detail == f"{depth} messages wait, the oldest for {max(seconds, 0)} s"


async def test_an_empty_outbox_is_healthy(look):
    assert await look("outbox") == (HEALTHY, "nothing waits")


def letter(time):
    return DeadLetter(
        source="local:command:Pay",
        message_id="m-1",
        type_name="Pay",
        reason="Rejected",
        error="closed",
        body=b"{}",
        time=time,
        attempts=1,
    )


async def test_a_dead_letter_degrades_until_it_is_sent_again(look, stores, clock):
    assert (await look("dead letters")).status is HEALTHY
    kept = await stores.dead_letters.save(letter(clock.now()))
    assert (await look("dead letters")).status is DEGRADED

    await stores.dead_letters.mark_replayed(kept.id, clock.now())

    assert (await look("dead letters")).status is HEALTHY


async def test_a_dead_letter_is_forgotten_when_no_queue_would_keep_it(look, stores, clock):
    await stores.dead_letters.save(letter(clock.now()))
    await clock.advance(14 * DAY)
    assert (await look("dead letters")).status is DEGRADED

    await clock.advance(timedelta(seconds=1))

    assert (await look("dead letters")).status is HEALTHY
