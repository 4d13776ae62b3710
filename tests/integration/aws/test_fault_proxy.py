"""The proxy itself: each fault does to a call what its name says."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fault_plan import Fault
from fault_proxy import FaultProxy, TemporaryCredentials
from hurried_clock import HurriedClock
from sourceflow.errors import (
    AwsThrottledError,
    AwsTransientError,
)
from sourceflow.testing import LocalAws
from sourceflow.transports.aws.client import (
    DirectClient,
    Endpoint,
    PublishEntry,
    RetryPolicy,
    SendEntry,
    SnsClient,
    SqsClient,
)
from sourceflow.transports.aws.control_plane import ControlPlane

ONCE = RetryPolicy(max_attempts=1)


class Only:
    """A plan in which the next hot call meets one fault."""

    def __init__(self, fault):
        self._fault = fault
        self.random = self

    def draw(self, operation):
        fault, self._fault = self._fault, None
        return fault

    def doubles(self, operation):
        return False

    def choice(self, those):
        return those[0]

    def randint(self, least, most):
        return 1

    def sample(self, those, count):
        return list(those[:count])


class Bench:
    """A queue behind a proxy."""

    def __init__(self, aws, proxy, http, clock):
        self.aws = aws
        self.proxy = proxy
        common = {"credentials": proxy.credentials, "http": http, "clock": clock}
        self.sqs = SqsClient(
            endpoint=self._endpoint("sqs"),
            request_timeout=timedelta(seconds=0.3),
            retry=ONCE,
            **common,
        )
        self.sns = SnsClient(endpoint=self._endpoint("sns"), retry=ONCE, **common)
        self._looks = SqsClient(endpoint=self._endpoint("sqs"), **common)
        self.url = ""

    def _endpoint(self, service):
        return Endpoint(service=service, region="us-east-1", url=self.proxy.endpoint_url)

    async def send(self, *bodies):
        entries = [SendEntry(id=str(at), body=body) for at, body in enumerate(bodies)]
        return await self.sqs.send_message_batch(self.url, entries)

    async def make_topic(self):
        plane = await ControlPlane.open(
            region="us-east-1",
            endpoint_url=self.proxy.endpoint_url,
            credentials=self.proxy.credentials,
        )
        try:
            return (await plane.sns("create_topic", Name="bench"))["TopicArn"]
        finally:
            await plane.aclose()

    async def arrived(self):
        """Return what is in the queue, once no fault is left."""
        self.proxy.plan = None
        return sorted(each.body for each in await self._looks.receive_message(self.url))


@pytest.fixture
async def bench():
    clock = HurriedClock(100.0)
    aws = LocalAws(clock=clock)
    credentials = TemporaryCredentials("test", "test")
    async with (
        DirectClient() as http,
        FaultProxy(aws, aws.endpoint_url, credentials=credentials, clock=clock) as proxy,
    ):
        bench = Bench(aws, proxy, http, clock)
        bench.url = await bench.sqs.create_queue("bench")
        yield bench


@pytest.mark.parametrize(
    ("fault", "error", "arrives"),
    [
        (Fault.DROPPED_BEFORE, AwsTransientError, False),
        (Fault.DROPPED_AFTER, AwsTransientError, True),
        (Fault.CUT_SHORT, AwsTransientError, True),
        (Fault.INTERNAL_ERROR, AwsTransientError, True),
        (Fault.UNAVAILABLE, AwsTransientError, False),
        (Fault.THROTTLED_400, AwsThrottledError, False),
        (Fault.THROTTLED_403, AwsThrottledError, False),
        (Fault.THROTTLED_429, AwsThrottledError, False),
        (Fault.NEVER, AwsTransientError, True),
        (Fault.AWAY, AwsTransientError, False),
    ],
)
async def test_a_call_fails_before_or_after_it_takes_effect(bench, fault, error, arrives):
    bench.proxy.plan = Only(fault)
    with pytest.raises(error):
        await bench.send("x")
    await bench.proxy.listening()
    assert await bench.arrived() == (["x"] if arrives else [])


@pytest.mark.parametrize("fault", [Fault.LATE, Fault.CLOSED_AFTERWARDS])
async def test_a_call_succeeds_all_the_same(bench, fault):
    bench.proxy.plan = Only(fault)
    assert not (await bench.send("x")).failed
    assert await bench.arrived() == ["x"]


@pytest.mark.parametrize(
    ("fault", "arrived"),
    [(Fault.SOME_FAILED_BEFORE, ["y"]), (Fault.SOME_FAILED_AFTER, ["x", "y"])],
)
async def test_an_entry_fails_before_or_after_it_takes_effect(bench, fault, arrived):
    bench.proxy.plan = Only(fault)
    result = await bench.send("x", "y")
    assert [success.id for success in result.successful] == ["1"]
    assert [(failure.id, failure.code) for failure in result.failed] == [("0", "InternalError")]
    assert await bench.arrived() == arrived


@pytest.mark.parametrize("fault", [Fault.SOME_FAILED_BEFORE, Fault.SOME_FAILED_AFTER])
async def test_an_entry_that_is_published_fails(bench, fault):
    topic = await bench.make_topic()
    bench.proxy.plan = Only(fault)
    entries = [PublishEntry(id=str(at), body="x") for at in range(3)]
    result = await bench.sns.publish_batch(topic, entries)
    assert [success.id for success in result.successful] == ["1", "2"]
    assert [(failure.id, failure.code) for failure in result.failed] == [("0", "InternalError")]


@pytest.mark.parametrize("fault", [Fault.SKEWED_CLOCK, Fault.EXPIRED_TOKEN])
async def test_a_client_that_mends_its_date_or_token_gets_through(bench, fault):
    bench.proxy.plan = Only(fault)
    assert not (await bench.send("x")).failed
    assert bench.sqs.stats.clock_corrections == (fault is Fault.SKEWED_CLOCK)
    assert bench.sqs.stats.refreshes == (fault is Fault.EXPIRED_TOKEN)
    assert await bench.arrived() == ["x"]
