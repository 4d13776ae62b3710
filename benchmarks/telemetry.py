"""CPU that telemetry adds to a message that goes through SQS, on each side.

Run it: ``python -m benchmarks.telemetry``; ``BENCH_MESSAGES`` and ``BENCH_ROUNDS`` as they are named.
Rounds of all variants alternate, and the medians are printed. Spans go through the SDK's batch
processor to an exporter that drops them: what an exporter costs is its own. Beside the variants stands
what one span costs that the SDK is asked for by itself, with the attributes of ours, and one record of
a histogram: the least that a message with one span, or one duration, can cost.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import NoOpTracerProvider, SpanKind

from benchmarks.payments import Pay, QuietSaga
from benchmarks.server import local_aws
from sourceflow import App
from sourceflow.telemetry.otel import Telemetry
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import StaticCredentials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.sampling import Sampler

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "3000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
ATTRIBUTES = {
    "messaging.system": "aws_sqs",
    "messaging.destination.name": "payments",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
    "aws.sqs.queue.url": "http://127.0.0.1/000000000000/payments",
    "sourceflow.message.type": "Pay",
    "messaging.message.id": "0198c5b0-7d2c-7c3e-9b7e-2f6d1f0a1b2c",
    "messaging.message.conversation_id": "0198c5b0-7d2c-7c3e-9b7e-2f6d1f0a1b2c",
}

Costs = dict[str, list[float]]


class Dropping(SpanExporter):
    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def tracers(sampler: Sampler) -> TracerProvider:
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(BatchSpanProcessor(Dropping(), max_queue_size=100_000))
    return provider


def variants() -> dict[str, Telemetry | None]:
    none = {"tracer_provider": NoOpTracerProvider(), "meter_provider": NoOpMeterProvider()}
    traces = {**none, "tracer_provider": tracers(ALWAYS_ON)}
    meters = MeterProvider([InMemoryMetricReader()])
    return {
        "off": None,
        "off again": None,
        "not sampled": Telemetry(**{**none, "tracer_provider": tracers(ALWAYS_OFF)}),
        "traces": Telemetry(**traces),
        "traces, details": Telemetry(**traces, details=True),
        "metrics": Telemetry(**{**none, "meter_provider": meters}),
        "traces and metrics": Telemetry(**{**traces, "meter_provider": meters}),
    }


def app(url: str, telemetry: Telemetry | None, *, listen: bool) -> App:
    transport = AwsTransport(
        AwsOptions(
            region="us-east-1",
            endpoint_url=url,
            max_concurrent_calls=100,
            enable_command_listener=listen,
            wait_time=timedelta(seconds=1),
        ),
        lambda bus: bus.send.command(Pay, queue="payments").listen.to.command_queue("payments"),
        credentials=StaticCredentials("test", "test"),
    )
    return App([QuietSaga], name="bench", telemetry=telemetry).use(transport)


async def way(url: str, name: str, telemetry: Telemetry | None, costs: Costs) -> None:
    """Measure the whole way through SQS."""
    commands = [Pay(id=str(at), amount=Decimal("9.99"), note="") for at in range(MESSAGES)]
    async with app(url, telemetry, listen=False) as sender:
        began = time.process_time()
        await sender.send_many(commands)
        costs[f"send: {name}"].append(time.process_time() - began)
    async with app(url, telemetry, listen=True) as receiver:
        began = time.process_time()
        await receiver.drained(timeout=120)
        costs[f"receive: {name}"].append(time.process_time() - began)


def alone(work: Callable[[], object]) -> float:
    """Return the CPU of a step by itself, in microseconds."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(MESSAGES):
            work()
        found.append(time.process_time() - began)
    return statistics.median(found) / MESSAGES * 1e6


async def main() -> None:
    costs: Costs = defaultdict(list)
    known = variants()
    async with local_aws() as url:
        for _ in range(ROUNDS):
            for name, telemetry in known.items():
                await way(url, name, telemetry, costs)
    medians = {name: statistics.median(each) / MESSAGES * 1e6 for name, each in costs.items()}
    for side in ("send", "receive"):
        off = medians[f"{side}: off"]
        print(f"{side}: {off:.1f} us CPU a message without telemetry")
        for name in list(known)[1:]:
            found = medians[f"{side}: {name}"]
            print(f"  {name:20} {found - off:+6.1f} us, {found / off:.2f} times")
    tracer = tracers(ALWAYS_ON).get_tracer("bench")
    histogram = MeterProvider([InMemoryMetricReader()]).get_meter("bench").create_histogram("h")
    span = alone(lambda: tracer.start_span("send", None, SpanKind.PRODUCER, ATTRIBUTES).end())
    record = alone(lambda: histogram.record(0.1, {"a": "b", "c": "d"}))
    print(f"the SDK alone: {span:.1f} us a span, {record:.1f} us a record of a histogram")


if __name__ == "__main__":
    asyncio.run(main())
