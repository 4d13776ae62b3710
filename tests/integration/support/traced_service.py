"""Services whose traces are written to files: ``traced_service.py ROLE URL PREFIX FOLDER [links]``.

``orders`` handles commands and raises events; ``reports`` projects those events. Each says that it is
ready, then names each subscriber or command that it is done with, and ends when its input does.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from sourceflow import (
    App,
    Command,
    Entity,
    Event,
    Key,
    Observer,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
)
from sourceflow.stores.sql import SqlStores
from sourceflow.telemetry.otel import Telemetry
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import StaticCredentials


class Create(Command):
    order_id: Key[str]


class Created(Event):
    order_id: Key[str]


class Order(Entity):
    order_id: Key[str]


class Line(ViewModel):
    order_id: Key[str]


class Orders(Saga[Order]):
    @handles(creates=True)
    async def create(self, command: Create) -> Order:
        self.raise_event(Created(order_id=command.order_id))
        return Order(order_id=command.order_id)


class Report(View[Line]):
    lifecycle = "async"

    @projects
    async def created(self, event: Created) -> Line:
        return Line(order_id=event.order_id)


class Says(Observer):
    def handled(self, envelope, sequence, seconds):
        print(envelope.type_name, flush=True)  # noqa: T201 - read by the test

    def projected(self, envelope, subscriber):
        print(subscriber, flush=True)  # noqa: T201 - read by the test


def tracers(name, file):
    """Return what writes each span as a line of JSON."""
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    exporter = ConsoleSpanExporter(out=file, formatter=lambda span: span.to_json(None) + "\n")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def transport(url, prefix, configure):
    options = AwsOptions(
        region="us-east-1",
        endpoint_url=url,
        resource_prefix=prefix,
        wait_time=timedelta(seconds=1),
    )
    return AwsTransport(options, configure, credentials=StaticCredentials("test", "test"))


ROLES = {
    "sender": ([Create], lambda bus: bus.send.command(Create, queue="orders.fifo")),
    "orders": (
        [Orders, Created],
        lambda bus: bus.raise_.event(Created, topic="order-events").listen.to.command_queue(
            "orders.fifo"
        ),
    ),
    "reports": ([Report], lambda bus: bus.subscribe.to.topic("order-events")),
}


def service(role, url, prefix, folder, provider, *, links=False):
    """Return an App that writes its spans to a file of its own."""
    components, configure = ROLES[role]
    return App(
        components,
        name=role,
        stores=SqlStores(f"sqlite:///{folder / f'{role}.db'}"),
        telemetry=Telemetry(tracer_provider=provider, links=links, details=True),
        observer=Says(),
    ).use(transport(url, prefix, configure))


async def main(role, url, prefix, folder, *options):
    with closing((Path(folder) / f"{role}.spans").open("w")) as file:
        provider = tracers(role, file)
        app = service(role, url, prefix, Path(folder), provider, links="links" in options)
        async with app:
            print("ready", flush=True)  # noqa: T201 - read by the test
            await asyncio.to_thread(sys.stdin.read)
        provider.shutdown()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
