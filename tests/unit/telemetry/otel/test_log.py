"""Lines of the log stand in the traces of their messages."""

from __future__ import annotations

import logging

import pytest
from watched_shop import COMPONENTS, Create, Fail, Orders, Refuse, transport

from sourceflow import App
from sourceflow.telemetry.lines import LINES, LOGGER


@pytest.fixture
def records(caplog):
    caplog.set_level(logging.DEBUG, LOGGER)
    return lambda: [each for each in caplog.records if each.name == LOGGER]


async def test_every_line_names_the_trace_and_a_span_of_it(shop, watch, records):
    Orders.failures = 1
    async with shop() as app:
        with watch.request():
            for command in (Create, Fail, Refuse):
                await app.send(command(order_id="o-1"))
        await app.drained()

    request = watch.span("request")
    spans = {f"{each.context.span_id:016x}" for each in watch.spans}
    found = records()
    assert {each.event for each in found} == {each.name for each in LINES} - {
        "duplicate ignored",
        "send retried",
        "work paused",
        "work resumed",
    }
    for each in found:
        assert each.trace_id == f"{request.context.trace_id:032x}", each.getMessage()
        assert each.span_id in spans, each.getMessage()


async def test_what_is_told_while_a_message_is_handled_names_the_span_of_that(shop, watch, records):
    async with shop() as app:
        with watch.request():
            await app.send(Create(order_id="o-1"))
        await app.drained()

    (processed,) = [
        each
        for each in watch.spans
        if each.name == "process orders.fifo"
        and each.attributes["sourceflow.message.type"] == "Create"
    ]
    told = [each for each in records() if each.event in {"message received", "command handled"}]
    assert [each.span_id for each in told[:2]] == [f"{processed.context.span_id:016x}"] * 2


async def test_without_telemetry_a_line_names_no_trace(aws, records):
    async with App(COMPONENTS, name="shop").use(transport(aws)) as app:
        await app.send(Create(order_id="o-1"))
        await app.drained()

    assert records()
    assert not any(hasattr(each, "trace_id") for each in records())
