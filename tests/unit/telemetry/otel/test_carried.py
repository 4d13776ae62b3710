"""What a message takes along of the context that it is sent in, and what stays behind."""

from __future__ import annotations

from opentelemetry import baggage, context
from watched_shop import Create, Orders

from sourceflow.messages import TraceContext
from sourceflow.telemetry.otel.context import current_trace
from sourceflow.transports.aws.client import SendEntry, SqsClient


async def test_what_others_do_not_sample_is_not_sampled_here_and_further_on(shop, watch):
    seen = []

    async def inside(_saga):
        seen.append(current_trace())

    Orders.inside = inside
    not_sampled = TraceContext(f"00-{'a' * 32}-{'b' * 16}-00")
    async with shop() as app:
        engine, wire = app._running, app._transport._running
        body = engine._codec.encode(engine.router.command(Create(order_id="o-1"))).decode()
        attributes = {"type": "Create", "traceparent": not_sampled.traceparent}
        entry = SendEntry(
            id="0", body=body, attributes=attributes, group_id="1", deduplication_id="1"
        )
        await wire._sqs.send_message_batch(wire._provisioned.queues["orders.fifo"].url, [entry])
        await app.drained()

    assert watch.spans == ()  # by the SDK's default, which asks the parent
    assert [(each.trace_id, each.is_sampled) for each in seen] == [("a" * 32, False)]


async def test_baggage_stays_in_its_process(shop, watch, monkeypatch):
    carried, seen = [], []

    async def inside(_saga):
        seen.append(baggage.get_all())

    async def send(self, url, entries):
        carried.extend({**each.attributes, "body": each.body} for each in entries)
        return await real(self, url, entries)

    real = SqsClient.send_message_batch
    monkeypatch.setattr(SqsClient, "send_message_batch", send)
    Orders.inside = inside
    token = context.attach(baggage.set_baggage("tenant", "north"))
    try:
        async with shop() as app:  # its listeners begin where there is some, too
            await app.send(Create(order_id="o-1"))
            await app.drained()
    finally:
        context.detach(token)

    assert carried
    assert "north" not in str(carried)
    assert seen == [{}]
