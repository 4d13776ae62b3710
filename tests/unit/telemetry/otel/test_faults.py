"""Whatever becomes of OpenTelemetry, messages are handled."""

from __future__ import annotations

import logging
import threading

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from watched_shop import Create, Orders, Watch

from sourceflow.telemetry import names
from sourceflow.telemetry.otel.context import current_trace

OURS = ("send ", "publish ", "process ", "receive ", "sourceflow.")


class Broken(SpanProcessor):
    """Raises where it is told of our spans."""

    def __init__(self, where):
        self.where = where
        self.raised = 0

    def on_start(self, span, parent_context=None):
        self.told(span, "start")

    def on_end(self, span):
        self.told(span, "end")

    def told(self, span, where):
        if where == self.where and span.name.startswith(OURS):
            self.raised += 1
            raise RuntimeError("the processor is broken")


class BrokenSampler(Sampler):
    """Raises where it is asked for our spans."""

    raised = 0

    def should_sample(self, parent_context, trace_id, name, *more, **named):
        if name.startswith(OURS):
            self.raised += 1
            raise RuntimeError("the sampler is broken")
        return ALWAYS_ON.should_sample(parent_context, trace_id, name, *more, **named)

    def get_description(self):
        return "broken"


class BrokenExporter(SpanExporter):
    raised = 0

    def export(self, spans):
        self.raised += 1
        raise RuntimeError("the exporter is broken")


class HangingExporter(SpanExporter):
    def __init__(self):
        self.hangs = threading.Event()
        self.may_go_on = threading.Event()

    def export(self, spans):
        self.hangs.set()
        self.may_go_on.wait(30)
        return SpanExportResult.SUCCESS


async def take_an_order(app, order_id="o-1"):
    await app.send(Create(order_id=order_id))
    await app.drained()


def assert_all_is_done(watch):
    assert watch.value(names.COMMANDS_EXECUTED) == 2  # Create and Pay
    assert watch.value(names.SUBSCRIBERS_EXECUTED) == 2
    assert watch.value(names.MESSAGE_PROCESSED) == 4
    assert watch.value(names.MESSAGE_PROCESSING_ERROR) == watch.value(names.DUPLICATES) == 0


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("part", ["sampler", "start", "end"])
async def test_a_fault_of_the_programs_own_parts_is_told_once_and_harms_no_message(
    shop, watch, part, details, caplog
):
    broken = BrokenSampler() if part == "sampler" else Broken(part)
    watch.tracers = TracerProvider(sampler=broken if part == "sampler" else None)
    if part != "sampler":
        watch.tracers.add_span_processor(broken)

    async with shop(telemetry=watch.telemetry(details=details)) as app:
        with caplog.at_level(logging.ERROR, "sourceflow"):
            await take_an_order(app)

    assert broken.raised > 3
    assert_all_is_done(watch)
    told = [each for each in caplog.messages if "OpenTelemetry fails at" in each]
    assert len(told) == (2 if details else 1)  # one for each tracer


async def test_a_trace_goes_on_where_a_span_could_not_be_begun(shop, watch):
    watch.tracers = TracerProvider(sampler=BrokenSampler())
    traces = []

    async def inside(_saga):
        traces.append(current_trace())

    Orders.inside = inside
    async with shop() as app:
        with watch.request() as request:
            await take_an_order(app)

    assert [each.trace_id for each in traces] == [f"{request.get_span_context().trace_id:032x}"]


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
async def test_an_exporter_that_raises_harms_no_message(shop, watch, processor):
    exporter = BrokenExporter()
    watch.tracers = TracerProvider()
    watch.tracers.add_span_processor(processor(exporter))

    async with shop() as app:
        await take_an_order(app)
    watch.tracers.shutdown()

    assert exporter.raised
    assert_all_is_done(watch)


async def test_an_exporter_that_hangs_holds_up_no_message(shop, watch):
    exporter = HangingExporter()
    watch.tracers = TracerProvider()
    watch.tracers.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1))
    try:
        async with shop() as app:
            await take_an_order(app)
            assert exporter.hangs.wait(10)
            await take_an_order(app, "o-2")
    finally:
        exporter.may_go_on.set()
        watch.tracers.shutdown()

    assert watch.value(names.MESSAGE_PROCESSED) == 8
    assert watch.value(names.MESSAGE_PROCESSING_ERROR) == 0


@pytest.mark.parametrize("part", ["tracers", "meters"])
async def test_an_sdk_that_is_shut_down_in_the_middle_harms_no_message(shop, part):
    watch, handled = Watch(), []

    async def inside(_saga):
        handled.append(len(handled))

    Orders.inside = inside
    async with shop(telemetry=watch.telemetry(details=True)) as app:
        await take_an_order(app)
        getattr(watch, part).shutdown()
        await take_an_order(app, "o-2")
    async with shop(telemetry=watch.telemetry(details=True)) as app:  # it can start after it, too
        await take_an_order(app, "o-3")

    assert handled == [0, 1, 2]
