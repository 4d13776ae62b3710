"""What is counted, once each, and what gauges show."""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import timedelta

import pytest
from watched_shop import COMPONENTS, Create, Fail, Order, Orders, Refuse, Watch

from sourceflow import App
from sourceflow.bus.instrumentation import Reading
from sourceflow.errors import AwsRequestError
from sourceflow.stores.sql import SqlStores
from sourceflow.telemetry import names
from sourceflow.telemetry.otel import Telemetry
from sourceflow.telemetry.otel.instruments import Gauge, Instruments
from sourceflow.telemetry.otel.sampler import Sampler
from sourceflow.testing import ManualClock
from sourceflow.transports.aws.client import BatchFailure, BatchResult, SendEntry, SqsClient


@pytest.fixture(params=["memory", "sqlite"])
def stores(request, tmp_path):
    return None if request.param == "memory" else SqlStores(f"sqlite:///{tmp_path / 'shop.db'}")


async def test_what_takes_effect_is_counted_once(shop, watch, stores):
    async with shop(stores=stores) as app:
        await app.send(Create(order_id="o-1"))
        await app.drained()

    assert {
        metric.name: watch.value(metric)
        for metric in (
            names.COMMANDS_EXECUTED,
            names.SAGAS_EXECUTED,
            names.SUBSCRIBERS_EXECUTED,
            names.ENTITIES_CREATED,
            names.ENTITIES_PERSISTED,
            names.COMMANDS_APPENDED,
            names.VIEW_MODELS_PERSISTED,
            names.COMMAND_DISPATCHED,
            names.EVENT_PUBLISHED,
            names.HANDLERS_FAILED,
            names.DUPLICATES,
        )
    } == {
        "sourceflow.domain.commands.executed": 2,  # Create and Pay
        "sourceflow.domain.sagas.executed": 2,
        "sourceflow.domain.subscribers.executed": 2,  # Payments and Summaries
        "sourceflow.domain.entities.created": 1,  # Pay changes it
        "sourceflow.entities.persisted": 2,
        "sourceflow.commands.appended": 2,
        "sourceflow.viewmodels.persisted": 1,
        "sourceflow.aws.command.dispatched": 2,
        "sourceflow.aws.event.published": 2,  # Created and Unheard
        "sourceflow.domain.handlers.failed": 0,
        "sourceflow.duplicates.detected": 0,
    }


async def test_what_fails_is_not_counted_as_done(shop, watch):
    Orders.failures = 2
    async with shop() as app:
        await app.send(Fail(order_id="o-1"))
        await app.drained()

    failed = {"sourceflow.message.type": "Fail"}
    assert watch.value(names.COMMANDS_EXECUTED, **failed) == 1
    assert watch.value(names.HANDLERS_FAILED, **failed, **{"error.type": "ValueError"}) == 2
    assert watch.value(names.MESSAGE_RECEIVED, **failed) == 3
    assert watch.value(names.MESSAGE_PROCESSING_ERROR, **failed) == 2
    assert watch.value(names.MESSAGE_PROCESSED, **failed, **{"sourceflow.outcome": "done"}) == 1
    assert watch.value(names.PROCESS_DURATION, **{"error.type": "ValueError"}) == 2


async def test_an_entity_that_a_replay_writes_was_not_created(shop, watch):
    async with shop() as app:
        await app.send(Create(order_id="o-1"))
        await app.drained()
        await app.replay(Order, "o-1")

    assert watch.value(names.ENTITIES_CREATED) == 1
    assert watch.value(names.COMMANDS_APPENDED) == 2
    assert watch.value(names.COMMANDS_LOADED) == 2


async def test_a_dead_letter_is_counted_by_its_reason(shop, watch):
    async with shop() as app:
        await app.send(Refuse(order_id="o-1"))
        await app.drained()
        await watch.sample(app)

        assert (
            watch.value(names.DEAD_LETTER_DEPTH, **{"messaging.destination.name": "orders.fifo"})
            == 1
        )

    reasons = {"sourceflow.message.type": "Refuse", "sourceflow.dead_letter.reason": "Rejected"}
    assert watch.value(names.DEAD_LETTERS, **reasons) == 1


async def test_a_type_that_strangers_have_made_up_is_unknown(aws, shop, watch):
    async with shop() as app:
        sqs = app._transport._running._sqs
        url = app._transport._running._provisioned.queues["tries"].url
        for number in range(3):
            await sqs.send_message_batch(url, [_strange(number)])
        await app.drained()

    assert watch.value(names.MESSAGE_RECEIVED, **{"sourceflow.message.type": "unknown"}) == 3
    types = {
        point.attributes["sourceflow.message.type"]
        for point in watch.metrics()[names.MESSAGE_RECEIVED.name][1].data.data_points
    }
    assert types == {"unknown"}


def _strange(number):
    return SendEntry(id="0", body="[]", attributes={"type": f"Stranger{number}"})


async def test_a_call_that_fails_is_measured_with_its_error(aws, shop, watch):
    async with shop() as app:
        aws.refuse("SendMessageBatch", "InvalidParameterValue")
        with pytest.raises(AwsRequestError):
            await app.send(Create(order_id="o-1"))

    failed = {"error.type": "AwsRequestError", "messaging.operation.name": "send"}
    assert watch.value(names.OPERATION_DURATION, **failed) == 1
    assert watch.value(names.SENT_MESSAGES, **failed) == 1
    assert watch.value(names.COMMAND_DISPATCH_ERROR) == 1
    assert watch.value(names.COMMAND_DISPATCHED) == 0


async def test_with_details_the_size_of_a_body_is_taken_once_when_it_is_confirmed(aws, shop, watch):
    async with shop(telemetry=watch.telemetry(details=True), encrypted=True) as app:
        aws.refuse("SendMessageBatch", "InvalidParameterValue")
        with pytest.raises(AwsRequestError):
            await app.send(Fail(order_id="o-1"))
        await app.send(Fail(order_id="o-1"))
        await app.drained()

    (point,) = watch.metrics()[names.MESSAGE_SIZE.name][1].data.data_points
    assert dict(point.attributes) == {
        "sourceflow.message.type": "Fail",
        "messaging.destination.name": "tries",
    }
    assert point.count == 1
    assert 100 < point.sum < 1000  # a short document, without what encryption adds
    assert point.explicit_bounds[0] == 256
    assert point.explicit_bounds[-1] == 1024 * 1024


async def test_without_details_no_size_is_taken(shop, watch):
    async with shop() as app:
        await app.send(Fail(order_id="o-1"))
        await app.drained()

    assert names.MESSAGE_SIZE.name not in watch.metrics()


async def test_messages_of_a_batch_are_counted_each(shop, watch):
    async with shop() as app:
        await app.send_many([Fail(order_id=f"o-{number}") for number in range(10)])
        await app.drained()

    tries = {"messaging.destination.name": "tries"}
    send, receive = ({**tries, "messaging.operation.name": each} for each in ("send", "receive"))
    assert watch.value(names.SENT_MESSAGES, **send) == 10
    assert watch.value(names.CONSUMED_MESSAGES, **receive) == 10
    assert watch.value(names.OPERATION_DURATION, **send) < 10


async def test_an_entry_that_is_refused_once_fails_alone_and_is_dispatched_once(
    shop, watch, monkeypatch
):
    refusals = [BatchFailure("1", "InternalError", sender_fault=False)]

    async def send(self, url, entries):
        if not refusals or len(entries) < 3:
            return await real(self, url, entries)
        failed = refusals.pop()
        taken = await real(self, url, [each for each in entries if each.id != failed.id])
        return BatchResult(taken.successful, (failed,))

    real = SqsClient.send_message_batch
    monkeypatch.setattr(SqsClient, "send_message_batch", send)
    async with shop() as app:
        await app.send_many([Fail(order_id=f"o-{number}") for number in range(3)])
        await app.drained()

    sent = {"messaging.destination.name": "tries", "messaging.operation.name": "send"}
    points = watch.metrics()[names.SENT_MESSAGES.name][1].data.data_points
    assert {each.attributes.get("error.type"): each.value for each in points} == {
        None: 3,
        "AwsTransientError": 1,
    }
    assert watch.value(names.OPERATION_DURATION, **sent) == 2
    assert watch.value(names.COMMAND_DISPATCHED) == 3
    assert watch.value(names.COMMAND_DISPATCH_DURATION) == 3
    assert watch.value(names.COMMAND_DISPATCH_ERROR) == 0


async def test_gauges_show_what_waits_and_what_runs(shop, watch):
    holding, going_on = asyncio.Event(), asyncio.Event()

    async def inside(_saga):
        holding.set()
        await going_on.wait()

    Orders.inside = inside
    async with shop(stores=None) as app:
        await app.send(Create(order_id="o-1"))
        await holding.wait()
        await watch.sample(app)
        place = {"messaging.destination.name": "orders.fifo"}
        in_flight = {**place, "sourceflow.queue.state": "in_flight"}

        assert watch.value(names.IN_FLIGHT, **place) == 1
        assert watch.value(names.QUEUE_DEPTH, **in_flight) == 1
        assert watch.value(names.LISTENING, **place) == 1
        going_on.set()
        await app.drained()
        await watch.sample(app)

        assert watch.value(names.IN_FLIGHT, **place) == 0


async def test_a_circuit_that_is_open_shows(shop, watch):
    async with shop() as app:
        for circuit in app._transport.circuits.values():
            circuit.trip()
        await watch.sample(app)

        assert watch.value(names.CIRCUIT_STATE) == 6  # two queues and a topic


async def test_the_outbox_shows_its_depth_and_age(aws, shop, watch, tmp_path, monkeypatch):
    monkeypatch.setattr("sourceflow.host.engine.STOP_GRACE", timedelta(milliseconds=10))
    aws.refuse("PublishBatch", "ServiceUnavailable", status=503, times=1000)
    async with shop(stores=SqlStores(f"sqlite:///{tmp_path / 'shop.db'}")) as app:
        await app.send(Create(order_id="o-1"))
        while await app._running.stores.outbox.depth() < 2:
            await app._running.clock.sleep(0.01)
        await watch.sample(app)

        assert watch.value(names.OUTBOX_DEPTH, **{"sourceflow.app": "shop"}) == 2
        assert watch.value(names.OUTBOX_AGE, **{"sourceflow.app": "shop"}) > 0


async def test_a_queue_that_cannot_be_looked_at_has_no_depth_and_is_told_of_once(
    aws, shop, watch, caplog
):
    async with shop() as app:
        await app._running.clock.sleep(0)
        aws.refuse("GetQueueAttributes", "AccessDenied", status=403, times=1000)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            await watch.sample(app)
            await watch.sample(app)
        aws.refuse("GetQueueAttributes", "", times=0)

        assert names.QUEUE_DEPTH.name not in watch.metrics()
        assert watch.value(names.LISTENING) == 3
    told = [each for each in caplog.messages if each.startswith("tries cannot be measured")]
    assert len(told) == 1


async def test_an_app_that_has_stopped_shows_no_gauges_but_its_counts_stay(shop, watch):
    async with shop() as app:
        await app.send(Create(order_id="o-1"))
        await app.drained()
        await watch.sample(app)
    metrics = watch.metrics()

    assert not {metric.name for metric in names.METRICS if metric.kind == "gauge"} & set(metrics)
    assert watch.value(names.COMMANDS_EXECUTED) == 2


async def test_two_apps_count_together(watch):
    for name in ("north", "south"):
        async with App(COMPONENTS, name=name, telemetry=watch.telemetry()) as app:
            await app.send(Create(order_id="o-1"))
            await app.drained()

    assert watch.value(names.COMMANDS_EXECUTED, **{"sourceflow.message.type": "Create"}) == 2


async def test_gauges_are_read_anew_at_each_interval():
    clock, samples = ManualClock(), []
    watch = Watch()

    async def sample():
        samples.append(clock.monotonic())
        return [Reading(names.OUTBOX_DEPTH, len(samples), {names.APP: "shop"})]

    sampler = Sampler(Instruments.of(watch.meters, "1"), interval=timedelta(seconds=5), clock=clock)
    sampler.watch(sample)
    running = asyncio.ensure_future(sampler.run())
    await clock.advance(timedelta(seconds=11))

    assert samples == [0, 5, 10]
    assert watch.value(names.OUTBOX_DEPTH) == 3
    running.cancel()
    await asyncio.wait([running])
    assert watch.value(names.OUTBOX_DEPTH) == 0


async def test_readings_that_hang_keep_nobody_from_the_others():
    clock, watch, samples = ManualClock(), Watch(), []

    async def hanging():
        await asyncio.Event().wait()

    async def sample():
        samples.append(clock.monotonic())
        return [Reading(names.CIRCUIT_STATE, len(samples), {names.DESTINATION: "q"})]

    sampler = Sampler(Instruments.of(watch.meters, "1"), interval=timedelta(seconds=5), clock=clock)
    sampler.watch(hanging)
    sampler.watch(sample)
    running = asyncio.ensure_future(sampler.run())
    await clock.advance(timedelta(seconds=6))

    assert samples == [0, 5]
    assert watch.value(names.CIRCUIT_STATE) == 2
    running.cancel()
    await asyncio.wait([running])
    assert watch.value(names.CIRCUIT_STATE) == 0


async def test_readings_that_cannot_be_taken_leave_the_others(caplog):
    watch = Watch()

    async def broken():
        raise RuntimeError("no")

    async def sample():
        return [Reading(names.OUTBOX_DEPTH, 7, {names.APP: "shop"})]

    sampler = Sampler(
        Instruments.of(watch.meters, "1"), interval=timedelta(seconds=5), clock=ManualClock()
    )
    sampler.watch(broken)
    sampler.watch(sample)
    await sampler.sample()

    assert watch.value(names.OUTBOX_DEPTH) == 7
    assert "readings could not be taken" in caplog.text


def test_a_counter_that_others_keep_never_goes_back():
    gauge = Gauge(names.LEASES_LOST)
    place = {names.DESTINATION: "q"}
    seen = []
    for value in (2, 3):
        gauge.show("first", [Reading(names.LEASES_LOST, value, place)])
        seen += [each.value for each in gauge.observe(None)]
    gauge.forget("first")
    seen += [each.value for each in gauge.observe(None)]
    gauge.show("second", [Reading(names.LEASES_LOST, 1, place)])
    seen += [each.value for each in gauge.observe(None)]

    assert seen == [2, 3, 3, 4]


@pytest.mark.parametrize(
    ("metric", "shown"), [(names.IN_FLIGHT, 5), (names.CIRCUIT_STATE, 3), (names.QUEUE_DEPTH, 3)]
)
@pytest.mark.parametrize("values", [(2, 3), (3, 2)])
def test_two_apps_at_one_queue_have_a_sum_or_the_worse_of_both(metric, shown, values):
    gauge = Gauge(metric)
    for owner, value in zip(("first", "second"), values, strict=True):
        gauge.show(owner, [Reading(metric, value, {names.DESTINATION: "q"})])

    assert [each.value for each in gauge.observe(None)] == [shown]


def test_a_counter_of_an_app_that_stops_is_never_seen_without_it_or_twice():
    gauge = Gauge(names.LEASES_LOST)
    gauge.show("first", [Reading(names.LEASES_LOST, 3, {names.DESTINATION: "q"})])
    seen, before = [], sys.gettrace()

    def look(frame, event, _argument):
        """Read it between any two lines of ``forget``, as a thread might."""
        sys.settrace(None)
        seen.append([each.value for each in gauge.observe(None)])
        sys.settrace(look)
        return look

    sys.settrace(look)
    try:
        gauge.forget("first")
    finally:
        sys.settrace(before)

    assert len(seen) > 3
    assert all(each == [3] for each in seen)


@pytest.mark.parametrize("interval", [timedelta(0), timedelta(seconds=-1)])
def test_an_interval_is_longer_than_zero(interval):
    with pytest.raises(ValueError, match="sample_interval"):
        Telemetry(sample_interval=interval)
