"""The global provider may be set at any time; it can be set once in a process, hence one for each test."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio
import json

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from sourceflow import App
from sourceflow.telemetry.otel import Telemetry
from watched_shop import COMPONENTS, Fail


async def run(name):
    async with App(COMPONENTS, name=name, telemetry=Telemetry()) as app:
        await app.send(Fail(order_id=name))
        await app.drained()


async def main():
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    await run("before")
    metrics.set_meter_provider(provider)
    await run("after")
    async with App(COMPONENTS, name="named", telemetry=Telemetry(meter_provider=provider)) as app:
        await app.send(Fail(order_id="named"))
        await app.drained()
    found = [
        (metric.name, [point.value for point in metric.data.data_points])
        for resource in reader.get_metrics_data().resource_metrics
        for scoped in resource.scope_metrics
        for metric in scoped.metrics
        if metric.name == "sourceflow.domain.commands.executed"
    ]
    print(json.dumps(found))


asyncio.run(main())
"""


def test_apps_from_before_and_after_it_is_set_are_counted_together():
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout == '[["sourceflow.domain.commands.executed", [3]]]\n'
    assert "already" not in ran.stderr  # no second instrument of a name
