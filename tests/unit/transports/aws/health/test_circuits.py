from __future__ import annotations

from datetime import timedelta

import pytest

from sourceflow.bus.changes import Destination
from sourceflow.bus.ports import HealthStatus
from sourceflow.resilience import CircuitBreaker, CircuitOptions
from sourceflow.transports.aws.health.circuits import look_at_circuits

HEALTHY, DEGRADED, UNHEALTHY = HealthStatus
OPEN_FOR = timedelta(seconds=60)


@pytest.fixture
def circuits(clock):
    options = CircuitOptions(open_for=OPEN_FOR)
    return {
        Destination("queue", name): CircuitBreaker(name, monotonic=clock.monotonic, options=options)
        for name in ("orders", "payments")
    }


async def test_all_closed_is_healthy(circuits):
    assert await look_at_circuits(circuits) == (HEALTHY, "all closed")


async def test_one_that_is_open_degrades_and_all_of_them_are_red(circuits):
    orders, payments = circuits.values()
    orders.trip()
    assert await look_at_circuits(circuits) == (DEGRADED, "sending is suspended: queue:orders")

    payments.trip()
    found = await look_at_circuits(circuits)
    assert found == (UNHEALTHY, "sending is suspended: queue:orders, queue:payments")


async def test_half_open_is_never_red_as_only_a_message_can_close_it(circuits, clock):
    orders, payments = circuits.values()
    orders.trip()
    payments.trip()
    await clock.advance(OPEN_FOR)

    found = await look_at_circuits(circuits)
    assert found.status is DEGRADED
    assert "the next message is to show" in found.detail

    orders.trip()
    found = await look_at_circuits(circuits)
    assert found.status is DEGRADED
    assert found.detail.startswith("sending is suspended: queue:orders; the next message")

    for circuit in circuits.values():
        circuit.reset()
    assert (await look_at_circuits(circuits)).status is HEALTHY
