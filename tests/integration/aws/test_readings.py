"""What gauges show while AWS does not answer."""

from __future__ import annotations

import time

from watched_shop import COMPONENTS, Watch, routes

from database_gate import DatabaseGate
from sourceflow import App
from sourceflow.telemetry import names
from sourceflow.transports.aws import AwsTransport


async def test_an_aws_that_hangs_hides_what_waits_and_not_what_this_process_does(
    on_local_aws_cloud,
):
    cloud, watch = on_local_aws_cloud, Watch()
    async with DatabaseGate(cloud.endpoint_url) as gate:
        transport = AwsTransport(
            cloud.options(endpoint_url=gate.url), routes, credentials=cloud.credentials
        )
        async with App(COMPONENTS, name="shop", telemetry=watch.telemetry()).use(transport) as app:
            await watch.sample(app)
            assert names.QUEUE_DEPTH.name in watch.metrics()

            await gate.hang()
            for circuit in transport.circuits.values():
                circuit.trip()
            begun = time.monotonic()
            await watch.sample(app)
            took = time.monotonic() - begun
            metrics = watch.metrics()
            await gate.open()

            assert 2 <= took < 8  # two seconds, and what a busy machine adds
            assert names.QUEUE_DEPTH.name not in metrics
            points = metrics[names.CIRCUIT_STATE.name][1].data.data_points
            assert {each.value for each in points} == {2}
            await watch.sample(app)
            assert names.QUEUE_DEPTH.name in watch.metrics()
