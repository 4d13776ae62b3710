from __future__ import annotations

from datetime import timedelta

import pytest

from sourceflow.bus.ports import HealthOptions, HealthStatus
from sourceflow.errors import DependencyError
from sourceflow.transports.aws.bus import configure_bus
from sourceflow.transports.aws.health import AwsHealth, Work, sought_places
from sourceflow.transports.aws.listener_status import ListenerState, ListenerStatus
from sourceflow.transports.aws.options import AwsOptions
from sourceflow.transports.aws.provisioning import plan_resources


@pytest.fixture
def health(sqs, sns, clock):
    """The health of an App whose listener has been held up for 90 seconds."""
    options = AwsOptions(region="us-east-1")
    bus = configure_bus(lambda bus: bus.listen.to.command_queue("ticks.fifo"))
    plan = plan_resources(options, bus, "clock", subscribed=())
    held_up = ListenerStatus(
        queue="ticks.fifo",
        state=ListenerState.PAUSED,
        error=DependencyError("the till is closed"),
        running=0,
        held=0,
        waiting=1,
        polls=0,
        quiet=timedelta(seconds=90),
        longest=timedelta(0),
    )
    return AwsHealth(
        options,
        bus,
        plan,
        sought_places(plan, sqs, sns),
        app="clock",
        sqs=sqs,
        sns=sns,
        keys=None,
        clock=clock,
        work=Work(listeners=lambda: (held_up,), circuits=dict, latest_key=lambda: None),
    )


@pytest.mark.parametrize(
    ("stalled", "status"), [(89, HealthStatus.UNHEALTHY), (90, HealthStatus.DEGRADED)]
)
async def test_a_listener_is_unhealthy_once_it_is_held_up_for_listener_stalled(
    health, stalled, status
):
    checks = health.checks(HealthOptions(listener_stalled=timedelta(seconds=stalled)))
    (check,) = [each for each in checks if each.name == "listener ticks.fifo"]
    assert (await check.look()).status is status
