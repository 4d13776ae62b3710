"""Spans: what belongs to what, and what they never tell."""

from __future__ import annotations

from datetime import timedelta

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from watched_shop import COMPONENTS, SECRET, Create, Fail, Orders, Pay, Refuse, Watch, transport

from sourceflow import App, Envelope, Observer
from sourceflow.bus.changes import Destination, OutboxRow, Stream
from sourceflow.bus.ports import Outgoing
from sourceflow.clock import SystemClock
from sourceflow.errors import AwsRequestError
from sourceflow.messages import TraceContext
from sourceflow.stores.sql import SqlStores
from sourceflow.transports.aws.client import SendEntry

WAY = ["request", "send orders.fifo", "process orders.fifo"]
"""How far a command has come when its saga handles it."""


async def order(app, watch, command=None):
    """Send a command from within a request, and let all that follows end."""
    with watch.request():
        await app.send(Create(order_id="o-1") if command is None else command)
    await app.drained()


@pytest.fixture(params=["memory", "sqlite"])
def stores(request, tmp_path):
    return None if request.param == "memory" else SqlStores(f"sqlite:///{tmp_path / 'shop.db'}")


async def test_what_one_command_causes_is_one_trace(shop, watch, stores):
    async with shop(stores=stores, telemetry=watch.telemetry(details=True)) as app:
        await order(app, watch)

    (paid,) = [
        each for each in watch.spans if each.attributes.get("sourceflow.handler") == "Orders.pay"
    ]
    assert watch.path(paid) == [
        *WAY,
        "sourceflow.commandbus.dispatch",
        "publish order-events",
        "process shop-events",
        "sourceflow.eventdispatcher.dispatch",
        "send orders.fifo",
        "process orders.fifo",
        "sourceflow.commandbus.dispatch",
    ]


async def test_the_trace_goes_on_where_there_are_no_details(shop, watch, stores):
    async with shop(stores=stores) as app:
        await order(app, watch)

    (paid,) = [
        each
        for each in watch.spans
        if each.kind is SpanKind.CONSUMER and each.attributes["sourceflow.message.type"] == "Pay"
    ]
    assert watch.path(paid) == [
        *WAY,
        "publish order-events",
        "process shop-events",
        "send orders.fifo",
        "process orders.fifo",
    ]


async def test_what_a_stopped_app_has_left_in_its_outbox_goes_on_in_its_trace(
    aws, shop, watch, tmp_path, monkeypatch
):
    monkeypatch.setattr("sourceflow.host.engine.STOP_GRACE", timedelta(milliseconds=10))
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    aws.refuse("PublishBatch", "ServiceUnavailable", status=503, times=1000)
    async with shop(stores=SqlStores(url)) as app:
        await app.send(Create(order_id="o-1"))
        while not await app._running.stores.outbox.depth():
            await app._running.clock.sleep(0.01)
    aws.refuse("PublishBatch", "", times=0)

    later = Watch()
    async with shop(stores=SqlStores(url), telemetry=later.telemetry()) as app:
        await app.drained()

    processed = watch.span("process orders.fifo")
    published = [each for each in later.spans if each.name == "publish order-events"]
    assert len(published) == 2
    for each in published:
        assert each.context.trace_id == processed.context.trace_id
        assert each.parent.span_id == processed.context.span_id


async def test_what_is_scheduled_goes_on_in_its_trace_when_it_is_due(shop, watch, stores):
    async with shop(stores=stores) as app:
        with watch.request():
            await app.send(Refuse(order_id="o-1"), delay=timedelta(milliseconds=50))
        await app.drained()
        while not any(each.name.startswith("process") for each in watch.spans):
            await app._running.clock.sleep(0.01)

    assert watch.path(watch.span("process orders.fifo")) == WAY


async def test_with_links_each_hop_is_a_trace_of_its_own(shop, watch):
    async with shop(telemetry=watch.telemetry(links=True)) as app:
        await order(app, watch, Refuse(order_id="o-1"))

    sent, processed = watch.span("send orders.fifo"), watch.span("process orders.fifo")
    assert watch.path(sent) == ["request", "send orders.fifo"]
    assert processed.parent is None
    assert [link.context.span_id for link in processed.links] == [sent.context.span_id]


async def test_a_receive_is_linked_to_what_it_has_brought(shop, watch):
    async with shop(telemetry=watch.telemetry(details=True)) as app:
        await order(app, watch, Refuse(order_id="o-1"))

    sent, received = watch.span("send orders.fifo"), watch.span("receive orders.fifo")
    assert received.parent is None
    assert [link.context.span_id for link in received.links] == [sent.context.span_id]
    assert received.end_time > received.start_time


async def test_spans_of_handlers_belong_to_the_message(shop, watch):
    async def inside(_saga):
        with watch.tracers.get_tracer("test").start_as_current_span("own"):
            pass

    Orders.inside = inside
    async with shop() as app:
        await order(app, watch)

    assert watch.path(watch.span("own")) == [*WAY, "own"]


async def test_what_is_sent_within_a_span_of_a_handler_belongs_to_it(shop, watch):
    async def inside(saga):
        with watch.tracers.get_tracer("test").start_as_current_span("own"):
            await saga.send(Refuse(order_id="o-1"))

    Orders.inside = inside
    async with shop() as app:
        await order(app, watch)

    (refused,) = [
        each for each in watch.spans if each.attributes.get("sourceflow.outcome") == "rejected"
    ]
    assert watch.path(refused)[3:] == ["own", "send orders.fifo", "process orders.fifo"]


async def test_a_handler_leaves_no_span_behind_for_the_next_message(shop, watch):
    async def inside(_saga):
        trace.get_current_span()

    Orders.inside = inside
    async with shop() as app:
        await app.send_many([Create(order_id=f"o-{number}") for number in range(20)])
        await app.drained()

    roots = [each for each in watch.spans if each.parent is None]
    assert {each.name for each in roots} == {"send orders.fifo"}
    assert len(roots) == 20


@pytest.mark.parametrize("message", [TraceContext(f"00-{'a' * 32}-{'b' * 16}-01"), None])
async def test_rows_of_an_outbox_go_on_in_the_trace_of_their_own_message(watch, message):
    wiring = App(COMPONENTS, name="shop")._assemble().wiring
    following = watch.telemetry().instrument(wiring, SystemClock())
    envelope = Envelope(
        message=Refuse(order_id="o-1"),
        id="m-1",
        source="/shop",
        time=SystemClock().now(),
        correlation_id="m-1",
        trace=message,
    )
    seen = []

    async def step(*_):
        seen.append(trace.get_current_span().get_span_context().trace_id)

    place = Destination("queue", "orders.fifo")
    with watch.request() as others:
        await following.relayed(step)([Outgoing(envelope, place, b"")])
        await following.local(step)(OutboxRow(envelope, place, Stream("Order", "o-1")), 1)
        assert trace.get_current_span() is others

    assert seen == [0 if message is None else int(message.trace_id, 16)] * 2


@pytest.mark.parametrize("signal", ["sent", "settled", "handled", "projected"])
async def test_what_observers_are_told_they_are_told_within_the_trace(aws, watch, signal):
    heard = []

    def hear(self, *_):
        heard.append(trace.get_current_span().get_span_context().trace_id)

    ears = type("Ears", (Observer,), {signal: hear})()
    app = App(COMPONENTS, name="shop", telemetry=watch.telemetry(), observer=ears)
    async with app.use(transport(aws)):
        await app.send_many([Create(order_id="o-0")])  # another trace, and the first of its lanes
        await app.drained()
        heard.clear()
        await order(app, watch)

    assert len(heard) >= 2
    assert set(heard) == {watch.span("request").context.trace_id}


async def test_a_dead_letter_keeps_its_trace_and_a_redrive_goes_on_in_it(shop, watch):
    async with shop() as app:
        await order(app, watch, Refuse(order_id="o-1"))
        await app._transport.dead_letters.redrive("orders.fifo")
        await app.drained()

    sent = watch.span("send orders.fifo")
    handled = [each for each in watch.spans if each.name == "process orders.fifo"]
    assert [each.parent.span_id for each in handled] == [sent.context.span_id] * 2


@pytest.mark.parametrize(
    "attributes",
    [
        {"traceparent": "garbage"},
        {"traceparent": f"00-{'0' * 32}-{'b' * 16}-01"},
        {"traceparent": f"ff-{'a' * 32}-{'b' * 16}-01"},
        {"traceparent": f"00-{'A' * 32}-{'b' * 16}-01"},
        {"traceparent": "x" * 100_000, "tracestate": "y" * 100_000},
        {"tracestate": "a=1"},
    ],
    ids=repr,
)
async def test_a_message_is_handled_whatever_its_trace_says(shop, watch, attributes):
    async with shop() as app:
        engine, wire = app._running, app._transport._running
        body = engine._codec.encode(engine.router.command(Fail(order_id="o-1"))).decode()
        entry = SendEntry(id="0", body=body, attributes={"type": "Fail", **attributes})
        await wire._sqs.send_message_batch(wire._provisioned.queues["tries"].url, [entry])
        await app.drained()

    handled = watch.span("process tries")
    assert handled.parent is None
    assert handled.attributes["sourceflow.outcome"] == "done"


async def test_what_others_have_put_into_a_tracestate_goes_on(shop, watch):
    async with shop() as app:
        engine, wire = app._running, app._transport._running
        body = engine._codec.encode(engine.router.command(Create(order_id="o-1"))).decode()
        trace_of_others = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "acme=7"}
        entry = SendEntry(
            id="0",
            body=body,
            attributes={"type": "Create", **trace_of_others},
            group_id="o-1",
            deduplication_id="o-1",
        )
        await wire._sqs.send_message_batch(wire._provisioned.queues["orders.fifo"].url, [entry])
        await app.drained()

    spans = [each for each in watch.spans if each.kind is not SpanKind.INTERNAL]
    assert len(spans) > 5
    assert {each.context.trace_id for each in spans} == {int("a" * 32, 16)}
    assert {each.context.trace_state["acme"] for each in spans} == {"7"}


async def test_what_is_not_sampled_makes_no_spans_and_says_so_on_its_way(shop):
    watch = Watch(sampler=ALWAYS_OFF)
    seen = []

    async def inside(_saga):
        seen.append(trace.get_current_span().get_span_context())

    Orders.inside = inside
    async with shop(telemetry=watch.telemetry(details=True)) as app:
        await order(app, watch)

    assert watch.spans == ()
    assert [each.is_valid for each in seen] == [True]
    assert not seen[0].trace_flags.sampled


async def test_a_failure_is_told_without_what_is_sensitive(shop, watch):
    Orders.failures = 1
    async with shop(telemetry=watch.telemetry(details=True)) as app:
        await order(app, watch, Fail(order_id="o-1"))

    failed = [each for each in watch.spans if each.status.status_code is StatusCode.ERROR]
    assert {each.name for each in failed} == {"process tries", "sourceflow.commandbus.dispatch"}
    for each in failed:
        assert each.attributes["error.type"] == "ValueError"
        assert each.status.description == "ValueError: the card ***REDACTED*** is no good"
        (event,) = each.events
        assert event.attributes["exception.message"] == "the card ***REDACTED*** is no good"
    assert SECRET not in "".join(each.to_json() for each in watch.spans)


async def test_nothing_of_a_messages_content_is_in_its_spans(shop, watch):
    async with shop(telemetry=watch.telemetry(details=True)) as app:
        await order(app, watch)

    told = "".join(each.to_json() for each in watch.spans)
    assert "o-1" not in told
    assert SECRET not in told


async def test_a_send_that_is_refused_is_an_error_of_its_span(aws, shop, watch):
    async with shop() as app:
        aws.refuse("SendMessageBatch", "InvalidParameterValue")
        with pytest.raises(AwsRequestError):
            await app.send(Pay(order_id="o-1"))

    sent = watch.span("send orders.fifo")
    assert sent.status.status_code is StatusCode.ERROR
    assert sent.attributes["error.type"] == "AwsRequestError"


async def test_a_rejected_message_is_an_error_and_a_discarded_one_is_none(shop, watch):
    async with shop() as app:
        await order(app, watch, Refuse(order_id="o-1"))

    processed = watch.span("process orders.fifo")
    assert processed.attributes["sourceflow.outcome"] == "rejected"
    assert processed.status.status_code is StatusCode.ERROR
