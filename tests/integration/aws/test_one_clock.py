"""One clock for the App, its transport and LocalAws: hours of theirs take moments of ours."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sourceflow import App, Command, Key, Saga, handles
from sourceflow.testing import ManualClock, handled
from sourceflow.transports.aws import AwsOptions, AwsTransport

HOUR = timedelta(hours=1)


class Bake(Command):
    id: Key[str]
    takes: timedelta = timedelta(0)
    failures: int = 0


class Oven(Saga[None]):
    def __init__(self, clock: ManualClock, log: list) -> None:
        self._clock = clock
        self._log = log

    @handles
    async def bake(self, command: Bake) -> None:
        self._log.append((self.context.attempt, self._clock.monotonic()))
        await self._clock.sleep(command.takes.total_seconds())
        if self.context.attempt <= command.failures:
            raise OSError("the oven is cold")


@pytest.fixture
def sourceflow_clock():
    return ManualClock()


@pytest.fixture
def log():
    """When each try began, and which it was."""
    return []


@pytest.fixture
def sourceflow_app(local_aws, sourceflow_clock, log):
    transport = AwsTransport(
        AwsOptions(region="us-east-1", visibility_timeout=timedelta(seconds=30)),
        lambda bus: bus.send.command(Bake, queue="oven.fifo").listen.to.command_queue("oven.fifo"),
    )
    services = [sourceflow_clock, log]
    app = App([Oven], name="bakery", clock=sourceflow_clock, services=services)
    return app.use(transport)


async def test_a_delayed_command_leaves_when_the_clock_says_so(
    app_under_test, sourceflow_clock, log
):
    await app_under_test.send(Bake(id="a"), delay=HOUR)

    await sourceflow_clock.advance(HOUR - timedelta(seconds=1))
    await sourceflow_clock.finish(app_under_test.drained())
    assert log == []
    await sourceflow_clock.advance(timedelta(seconds=1))
    await handled(Bake, "a")
    assert [attempt for attempt, _ in log] == [1]


async def test_a_slow_handler_keeps_its_lease(app_under_test, sourceflow_clock, local_aws, log):
    await app_under_test.send(Bake(id="a", takes=timedelta(minutes=2)))

    await sourceflow_clock.finish(app_under_test.drained(timeout=HOUR))
    await handled(Bake, "a", timeout=0.1)
    assert [attempt for attempt, _ in log] == [1]
    assert local_aws.calls["ChangeMessageVisibilityBatch"] >= 3
    assert 120 <= sourceflow_clock.monotonic() < 200


async def test_what_fails_comes_again_when_its_lease_has_ended(
    app_under_test, sourceflow_clock, log
):
    await app_under_test.send(Bake(id="a", failures=2))

    await sourceflow_clock.finish(app_under_test.drained(timeout=HOUR))
    await handled(Bake, "a", timeout=0.1)
    assert [attempt for attempt, _ in log] == [1, 2, 3]
    assert 0 < log[1][1] < log[2][1]


async def test_what_was_processed_is_forgotten_in_time(app_under_test, sourceflow_clock):
    service = app_under_test.idempotency
    await service.mark_as_processed("k", HOUR)

    await sourceflow_clock.advance(HOUR - timedelta(seconds=1))
    assert await service.has_processed("k")
    await sourceflow_clock.advance(timedelta(seconds=1))
    assert not await service.has_processed("k")


async def test_a_fifo_queue_forgets_what_it_has_seen_after_five_minutes(
    app_under_test, sourceflow_clock, local_aws, log
):
    for _ in range(2):
        await app_under_test.send(Bake(id="a"), message_id="m-1")
        await sourceflow_clock.finish(app_under_test.drained())
    received = local_aws.calls["DeleteMessageBatch"]
    await sourceflow_clock.advance(timedelta(minutes=5))
    await app_under_test.send(Bake(id="a"), message_id="m-1")
    await sourceflow_clock.finish(app_under_test.drained())
    assert local_aws.calls["DeleteMessageBatch"] == received + 1  # delivered, and known here
    assert len(log) == 1
