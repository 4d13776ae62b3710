"""A trace goes from process to process, over SQS, SNS and outboxes in databases."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

import traced_service
from traced_service import Create, service, tracers

PROGRAM = traced_service.__file__


class Span:
    """A span as a process has written it."""

    def __init__(self, line, process):
        told = json.loads(line)
        self.process = process
        self.name = told["name"]
        self.kind = told["kind"]
        self.id = told["context"]["span_id"]
        self.trace_id = told["context"]["trace_id"]
        self.parent = told["parent_id"]
        self.links = [link["context"]["span_id"] for link in told["links"]]
        self.attributes = told["attributes"]


def read_spans(folder):
    return [
        Span(line, path.stem)
        for path in sorted(Path(folder).glob("*.spans"))
        for line in path.read_text().splitlines()
    ]


def way_of(span, spans):
    """Return (process, name) of the spans above one, from the root on."""
    by_id = {each.id: each for each in spans}
    way = [(span.process, span.name)]
    while span.parent is not None:
        span = by_id[span.parent]
        way.insert(0, (span.process, span.name))
    return way


@pytest.fixture
async def start(backend, tmp_path):
    """Start a service; it ends with the test, if the test does not end it."""
    started = []

    async def start(role, *options):
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            PROGRAM,
            role,
            backend.endpoint_url,
            backend.prefix,
            str(tmp_path),
            *options,
            stdin=pipe,
            stdout=pipe,
        )
        started.append(process)
        assert await process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(backend, tmp_path, start, *options):
    """Let one command take its way through the services; return all spans."""
    reports, orders = await start("reports", *options), await start("orders", *options)
    with (tmp_path / "sender.spans").open("w") as file:
        provider = tracers("sender", file)
        app = service("sender", backend.endpoint_url, backend.prefix, tmp_path, provider)
        async with app:
            with provider.get_tracer("web").start_as_current_span("POST /orders"):
                await app.send(Create(order_id="o-1"))
        provider.shutdown()
    assert await orders.stdout.readline() == b"Create\n"
    assert await reports.stdout.readline() == b"Report.created\n"
    for process in (orders, reports):
        process.stdin.close()
        assert await process.wait() == 0
    return read_spans(tmp_path)


async def test_from_the_request_to_the_projection_in_another_service_is_one_trace(
    backend, tmp_path, start
):
    spans = await run(backend, tmp_path, start)

    (projected,) = [
        each for each in spans if each.attributes.get("sourceflow.handler") == "Report.created"
    ]
    assert way_of(projected, spans) == [
        ("sender", "POST /orders"),
        ("sender", "send orders.fifo"),
        ("orders", "process orders.fifo"),
        ("orders", "sourceflow.commandbus.dispatch"),
        ("orders", "publish order-events"),
        ("reports", "process reports-events"),
        ("reports", "sourceflow.eventdispatcher.dispatch"),
    ]
    conversations = {
        each.attributes["messaging.message.conversation_id"]
        for each in spans
        if each.trace_id == projected.trace_id
        and "messaging.message.conversation_id" in each.attributes
    }
    assert len(conversations) == 1


async def test_with_links_each_process_has_a_trace_of_its_own(backend, tmp_path, start):
    spans = await run(backend, tmp_path, start, "links")

    hops = [each for each in spans if each.kind in {"SpanKind.PRODUCER", "SpanKind.CONSUMER"}]
    by_name = {each.name: each for each in hops}
    for sent, processed in [
        ("send orders.fifo", "process orders.fifo"),
        ("publish order-events", "process reports-events"),
    ]:
        assert by_name[processed].parent is None
        assert by_name[processed].links == [by_name[sent].id]
    assert len({each.trace_id for each in hops}) == 3
