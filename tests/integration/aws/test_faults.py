"""Calls to AWS that fail in every way they can: nothing is lost, and the order stays (promises 1 to 3)."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from fault_plan import Fault, FaultPlan, seed_of_this_run
from fault_proxy import FaultProxy, TemporaryCredentials
from hurried_calls import hurried_attempt
from hurried_clock import HurriedClock
from insistent_sender import send_insistently
from leftovers import left_in_queues
from run_size import FULL, sized
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import DirectClient, Endpoint, SqsClient
from sourceflow.transports.aws.client.caller import Caller
from walking import MemoryDiary, Step, Walk, WalkRow, routed, walkers

PACE = 30.0
"""Seconds of the tests' clock in one second: a lease of 30 seconds takes one."""

LOCALSTACK_HURRY = 5.0
"""LocalStack has a clock of its own; only the client's time-outs are so many times shorter."""

QUEUES = ("steps.fifo", "steps-dlq.fifo", "walks-events", "walks-events-dlq")


@dataclass
class Run:
    """Walks over an AWS that fails.

    Attributes:
        proxy: Stands before it.
        options: How it is worked with, beside where it is.
        clock: The time.
        walks: How many walks there are.
        steps: How many steps each has.
        diary: What was done.
        app: Sends and handles, while it is started.
    """

    proxy: FaultProxy
    options: dict[str, Any]
    clock: HurriedClock
    walks: int
    steps: int
    diary: MemoryDiary = field(default_factory=MemoryDiary)
    app: Any = None

    @asynccontextmanager
    async def started(self):
        options = AwsOptions(
            region="us-east-1",
            endpoint_url=self.proxy.endpoint_url,
            max_concurrent_calls=20,
            **self.options,
        )
        transport = AwsTransport(options, routed, credentials=self.proxy.credentials)
        async with walkers(transport, self.diary, self.clock) as self.app:
            yield

    async def walk(self, plan):
        """Send everything, and wait until it is handled; calls fail as the plan says."""
        self.proxy.plan = plan
        try:
            async with asyncio.TaskGroup() as tasks:
                for walk in range(self.walks):
                    tasks.create_task(self._send(walk))
            await self.app.drained(timeout=timedelta(minutes=sized(45, 240)))
        finally:
            self.proxy.plan = None
            print(plan)  # noqa: T201 - pytest shows it where the test fails: how to repeat it

    async def _send(self, walk):
        """Send the steps of one walk, each when the one before is confirmed."""
        for number in range(self.steps):
            step, message_id = self._step(walk, number), f"step-{walk}-{number}"
            await send_insistently(self.app, step, message_id, self.clock)

    def _step(self, walk, number):
        """Return a step; some take longer than half a lease, some are handled at the second try."""
        place = walk * self.steps + number
        lease = self.options.get("visibility_timeout", timedelta(seconds=30))
        return Step(
            id=f"w{walk}",
            number=number,
            takes=lease.total_seconds() * 0.7 if place % 97 == 0 else 0.0,
            stumbles=1 if place % 89 == 0 else 0,
        )

    async def check(self, lost_leases):
        """Check that each step took effect once, in order; a lost lease may repeat a handler."""
        everything = list(range(self.steps))
        handled, projected = self.diary.lines["handled"], self.diary.lines["projected"]
        for walk in (f"w{walk}" for walk in range(self.walks)):
            assert list(dict.fromkeys(handled[walk])) == everything
            assert sorted(set(projected[walk])) == everything
            assert (await self.app.get(Walk, walk)).steps == self.steps
            assert (await self.app.get(WalkRow, walk)).steps == self.steps
        done = sum(map(len, [*handled.values(), *projected.values()]))
        assert 0 <= done - 2 * self.walks * self.steps <= lost_leases

    async def left(self, http, url):
        """Return what is left in the queues, seen without the proxy."""
        sqs = SqsClient(
            endpoint=Endpoint(service="sqs", region="us-east-1", url=url),
            credentials=self.proxy.credentials,
            http=http,
            clock=self.clock,
        )
        prefix = self.options.get("resource_prefix", "")
        return await left_in_queues(sqs, *(prefix + name for name in QUEUES))


@pytest.fixture
def lost_leases(caplog):
    """How many leases were lost."""
    return lambda: sum("the lease on message" in line for line in caplog.messages)


@pytest.fixture
def hurry(monkeypatch):
    """Make the client's time-outs so many times shorter."""
    return lambda times: monkeypatch.setattr(Caller, "attempt", hurried_attempt(times))


@pytest.mark.slow
@pytest.mark.timeout(3600 if FULL else 120)
@pytest.mark.parametrize("share", [0.05, 0.3])
async def test_no_fault_loses_a_message_or_changes_the_order_of_a_group(share, lost_leases, hurry):
    clock = HurriedClock(PACE)
    hurry(PACE)
    aws = LocalAws(clock=clock)
    plan = FaultPlan(seed=seed_of_this_run(), share=share)
    credentials = TemporaryCredentials("test", "test")
    async with FaultProxy(aws, aws.endpoint_url, credentials=credentials, clock=clock) as proxy:
        run = Run(proxy, {}, clock, walks=sized(50, 100), steps=sized(20, 100))
        async with run.started():
            await run.walk(plan)
            await run.check(lost_leases())
        assert await run.left(aws, aws.endpoint_url) == {}
    assert set(plan.met) == set(Fault), "each kind of fault was met"


@pytest.mark.slow
@pytest.mark.localstack
async def test_no_fault_loses_a_message_on_localstack(localstack_url, lost_leases, hurry):
    clock = HurriedClock()
    hurry(LOCALSTACK_HURRY)
    # An outage suspends sends for a minute: on a clock that cannot be hurried, that is for LocalAws.
    plan = FaultPlan(seed=seed_of_this_run(), share=0.05, without={Fault.AWAY})
    credentials = TemporaryCredentials("test", "test")
    options = {
        "resource_prefix": f"t{secrets.token_hex(4)}-",
        "wait_time": timedelta(seconds=1),
        "visibility_timeout": timedelta(seconds=5),
    }
    async with (
        DirectClient() as http,
        FaultProxy(http, localstack_url, credentials=credentials, clock=clock) as proxy,
    ):
        run = Run(proxy, options, clock, walks=20, steps=sized(5, 15))
        async with run.started():
            await run.walk(plan)
            await run.check(lost_leases())
        assert await run.left(http, localstack_url) == {}
    assert plan.met.total() > 0
