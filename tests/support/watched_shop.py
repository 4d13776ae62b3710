"""A shop, and all that it tells OpenTelemetry's real SDK."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from msgspec.structs import replace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sourceflow import (
    CARD,
    Aggregate,
    Command,
    Entity,
    Event,
    Key,
    Reject,
    Saga,
    Sensitive,
    View,
    ViewModel,
    handles,
    projects,
    subscribes,
)
from sourceflow.telemetry.otel import Telemetry
from sourceflow.transports.aws import AwsOptions, AwsTransport, LocalKeyProvider

SECRET = "4111-1111-1111-1111"


class Create(Command):
    order_id: Key[str]


class Pay(Command):
    order_id: Key[str]
    card: Annotated[str, Sensitive(CARD)] = SECRET


class Fail(Command):
    order_id: Key[str]
    card: Annotated[str, Sensitive(CARD)] = SECRET


class Refuse(Command):
    order_id: Key[str]


class Created(Event):
    order_id: Key[str]


class Unheard(Event):
    order_id: Key[str]


class Order(Entity):
    order_id: Key[str]
    is_paid: bool = False


class Summary(ViewModel):
    order_id: Key[str]


class Orders(Saga[Order]):
    inside = None  #: what the handlers do besides, as a test wants it
    failures = 0

    @handles(creates=True)
    async def create(self, command: Create) -> Order:
        self.raise_event(Created(order_id=command.order_id))
        self.raise_event(Unheard(order_id=command.order_id))
        if Orders.inside is not None:
            await Orders.inside(self)
        return Order(order_id=command.order_id)

    @handles
    async def pay(self, order: Order, command: Pay) -> Order:
        return replace(order, is_paid=True)

    @handles
    async def fail(self, order: Order | None, command: Fail) -> None:
        if Orders.failures:
            Orders.failures -= 1
            raise ValueError(f"the card {command.card} is no good")

    @handles
    async def refuse(self, order: Order | None, command: Refuse) -> None:
        raise Reject("never")


class Payments(Aggregate[Order]):
    @subscribes
    async def created(self, event: Created) -> None:
        await self.send(Pay(order_id=event.order_id))


class Summaries(View[Summary]):
    lifecycle = "async"

    @projects
    async def created(self, event: Created) -> Summary:
        return Summary(order_id=event.order_id)


COMPONENTS = (Orders, Payments, Summaries)


def routes(bus):
    return (
        bus.send.command(Create, queue="orders.fifo")
        .command(Pay, queue="orders.fifo")
        .command(Fail, queue="tries")
        .command(Refuse, queue="orders.fifo")
        .raise_.event(Created, topic="order-events")
        .event(Unheard, topic="order-events")
        .listen.to.command_queue("orders.fifo")
        .command_queue("tries")
        .subscribe.to.topic("order-events")
    )


@dataclass
class Watch:
    """What the SDK was told."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    sampler: object = None

    def __post_init__(self):
        self.tracers = TracerProvider(sampler=self.sampler)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])

    def telemetry(self, **options):
        return Telemetry(tracer_provider=self.tracers, meter_provider=self.meters, **options)

    def request(self):
        """A span of the program around us."""
        return self.tracers.get_tracer("test").start_as_current_span("request")

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    def span(self, name):
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def path(self, span):
        """The names of the spans above one, from the root on."""
        by_id = {each.context.span_id: each for each in self.spans}
        names = [span.name]
        while span.parent is not None and span.parent.span_id in by_id:
            span = by_id[span.parent.span_id]
            names.insert(0, span.name)
        return names

    def metrics(self):
        """Return (scope, metric) by name."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: (scoped.scope.name, metric)
            for resource in (data.resource_metrics if data else ())
            for scoped in resource.scope_metrics
            for metric in scoped.metrics
        }

    async def sample(self, app):
        """Let an App that runs take readings now."""
        await app._running._following._sampler.sample()

    def value(self, name, **attributes):
        """Return the sum of the points of a metric that have these attributes."""
        found = self.metrics().get(str(name))
        if found is None:
            return 0
        return sum(
            getattr(point, "value", None) or getattr(point, "count", 0)
            for point in found[1].data.data_points
            if attributes.items() <= dict(point.attributes).items()
        )


def transport(aws, *, encrypted=False, configure=routes, **options):
    """Return what carries the shop's messages."""
    return AwsTransport(
        AwsOptions(
            region="us-east-1",
            endpoint_url=aws.endpoint_url,
            wait_time=timedelta(seconds=1),
            enable_encryption=encrypted,
            **options,
        ),
        configure,
        credentials=aws.static_credentials(),
        keys=LocalKeyProvider() if encrypted else None,
    )
