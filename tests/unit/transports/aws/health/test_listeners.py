from __future__ import annotations

from datetime import timedelta

import pytest

from sourceflow.bus.ports import HealthStatus
from sourceflow.errors import DependencyError
from sourceflow.transports.aws.health.listeners import look_at_listener
from sourceflow.transports.aws.listener_status import ListenerState, ListenerStatus

HEALTHY, DEGRADED, UNHEALTHY = HealthStatus
RECEIVING, PAUSED, UNREACHABLE, MISCONFIGURED, STOPPED = ListenerState
LIMITS = {
    "wait_time": timedelta(seconds=20),
    "stalled": timedelta(seconds=60),
    "handling": timedelta(seconds=300),
}


async def look(state, *, quiet=0, held=0, longest=0):
    status = ListenerStatus(
        queue="orders.fifo",
        state=state,
        error=DependencyError("the till is closed"),
        running=held,
        held=held,
        waiting=0,
        polls=1,
        quiet=timedelta(seconds=quiet),
        longest=timedelta(seconds=longest),
    )
    return await look_at_listener(status, **LIMITS)


@pytest.mark.parametrize(
    ("state", "quiet", "status"),
    [
        (RECEIVING, 0, HEALTHY),
        (RECEIVING, 110, HEALTHY),  # it waits 20 s, an answer may take 30, and 60 are allowed
        (RECEIVING, 111, UNHEALTHY),
        (PAUSED, 0, DEGRADED),
        (PAUSED, 60, DEGRADED),
        (PAUSED, 61, UNHEALTHY),
        (UNREACHABLE, 60, DEGRADED),
        (UNREACHABLE, 61, UNHEALTHY),
        (MISCONFIGURED, 0, UNHEALTHY),
        (STOPPED, 0, UNHEALTHY),
    ],
)
async def test_a_listener_is_judged_by_its_state_and_how_long_it_got_nothing(state, quiet, status):
    assert (await look(state, quiet=quiet)).status is status


async def test_one_that_has_no_room_for_more_is_busy_and_not_broken():
    found = await look(RECEIVING, quiet=200, held=7, longest=230)

    assert found.status is DEGRADED
    assert (
        "no room for another message for 200 s; 7 are running, one of them for 230 s"
        in found.detail
    )


@pytest.mark.parametrize(("longest", "status"), [(300, HEALTHY), (301, DEGRADED)])
async def test_a_message_that_is_handled_for_too_long_degrades(longest, status):
    assert (await look(RECEIVING, held=3, longest=longest)).status is status


@pytest.mark.parametrize("state", [PAUSED, UNREACHABLE, MISCONFIGURED])
async def test_the_reason_is_told(state):
    assert "the till is closed" in (await look(state)).detail


async def test_a_listener_that_is_gone_is_unhealthy():
    found = await look_at_listener(None, **LIMITS)

    assert found.status is UNHEALTHY
