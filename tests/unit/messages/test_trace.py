from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from sourceflow import Command, Envelope, Key
from sourceflow.errors import InvalidMessageError
from sourceflow.messages import Codec, Registry, TraceContext

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"

HOSTILE = [
    "",
    "garbage",
    PARENT.upper(),
    PARENT[:-1],
    PARENT + "-more",
    PARENT + "\n",
    PARENT.replace("00-", "ff-", 1),
    PARENT.replace(TRACE_ID, "0" * 32),
    PARENT.replace(SPAN_ID, "0" * 16),
    PARENT.replace("-", "_"),
    "x" * 100_000,
    "\x00" * 55,
    "00-" + "\u0660" * 32 + f"-{SPAN_ID}-01",
    5,
    None,
    True,
    [],
    {"a": 1},
]


class Pay(Command):
    order_id: Key[str]


@pytest.fixture
def codec():
    return Codec(Registry([Pay]))


def envelope(trace=None):
    return Envelope(
        message=Pay(order_id="o-1"),
        id="m-1",
        source="/shop",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        correlation_id="m-1",
        trace=trace,
    )


def test_a_context_tells_its_parts():
    trace = TraceContext.read(PARENT, STATE)

    assert (trace.trace_id, trace.span_id) == (TRACE_ID, SPAN_ID)
    assert trace.tracestate == STATE


@pytest.mark.parametrize(
    ("flags", "is_sampled"), [("00", False), ("01", True), ("02", False), ("03", True)]
)
def test_a_context_tells_whether_it_is_sampled(flags, is_sampled):
    assert TraceContext.read(PARENT[:-2] + flags).is_sampled is is_sampled


@pytest.mark.parametrize("parent", HOSTILE, ids=lambda parent: repr(parent)[:30])
def test_what_is_no_traceparent_is_none(parent):
    assert TraceContext.read(parent, STATE) is None


@pytest.mark.parametrize("state", ["", "x" * 513, "a=\x00", "a=é", 5, None, [], "a=\n"])
def test_a_tracestate_that_cannot_travel_is_left_out(state):
    assert TraceContext.read(PARENT, state) == TraceContext(PARENT)


@pytest.mark.parametrize("trace", [None, TraceContext(PARENT), TraceContext(PARENT, STATE)])
def test_a_document_carries_the_trace(codec, trace):
    sent = envelope(trace)

    body = codec.encode(sent)

    assert codec.decode(body) == sent
    assert codec.decode(body, type_hint="Pay") == sent


def test_a_document_without_a_trace_does_not_mention_it(codec):
    assert b"trace" not in codec.encode(envelope())


def test_a_document_carries_trace_and_headers(codec):
    sent = envelope(TraceContext(PARENT)).with_headers({"tenant": "north"})

    assert codec.decode(codec.encode(sent), type_hint="Pay") == sent


@pytest.mark.parametrize("parent", HOSTILE, ids=lambda parent: repr(parent)[:30])
@pytest.mark.parametrize("hint", [None, "Pay"])
def test_a_document_is_read_whatever_it_says_of_its_trace(codec, parent, hint):
    document = json.loads(codec.encode(envelope()))
    body = json.dumps({**document, "traceparent": parent, "tracestate": parent}).encode()

    assert codec.decode(body, type_hint=hint) == envelope()


@pytest.mark.parametrize("name", ["traceparent", "tracestate"])
def test_no_header_takes_the_place_of_the_trace(name):
    with pytest.raises(InvalidMessageError, match="reserved"):
        envelope().with_headers({name: PARENT})
