"""Ctrl-C, and Ctrl-C again because it takes too long."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from sourceflow import App, Command, Key
from sourceflow.testing import LocalAws
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import Endpoint, SqsClient

PROGRAM = Path(__file__).parent / "programs" / "slow_worker.py"


class Nap(Command):
    id: Key[str]


async def send_nap(aws):
    transport = AwsTransport(
        AwsOptions(region="us-east-1", endpoint_url=aws.endpoint_url),
        lambda bus: bus.send.command(Nap, queue="naps.fifo"),
        credentials=aws.static_credentials(),
    )
    async with App([], name="bed").use(transport) as app:
        await app.send(Nap(id="1"))


async def left(aws):
    """Messages that are visible, and hidden."""
    client = SqsClient(
        endpoint=Endpoint(service="sqs", region="us-east-1", url=aws.endpoint_url),
        credentials=aws.static_credentials(),
        http=aws,
    )
    found = await client.get_queue_attributes(await client.get_queue_url("naps.fifo"))
    return tuple(int(found[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible"))


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_hands_back_at_once_and_ends_the_worker(second):
    async with LocalAws() as aws:
        await send_nap(aws)
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            aws.endpoint_url,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(30):
                assert await worker.stdout.readline() == b"asleep\n"
                worker.send_signal(signal.SIGINT)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(worker.wait(), 0.5)  # it drains
                assert await left(aws) == (0, 1)
                worker.send_signal(second)
                _, said = await worker.communicate()
        finally:
            if worker.returncode is None:
                worker.kill()
        assert worker.returncode == 0
        assert b"another signal" in said
        assert b"Traceback" not in said
        assert await left(aws) == (1, 0)
