"""The examples run as their users run them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def start(path, *arguments, **more):
    return subprocess.Popen(
        [sys.executable, EXAMPLES / path, *arguments],
        env={**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def finish(process):
    out, err = await asyncio.to_thread(process.communicate, timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("store", [(), ("--store", "memory")], ids=["sqlite", "memory"])
async def test_the_bank_tells_the_story_of_john_doe(store):
    assert await finish(start("bank/bank.py", *store)) == (
        0,
        (
            "John Doe: balance 1400 after 3 transactions\n"
            "replayed: as it was\n"
            "deposit refused: the account is closed\n"
        ),
        "",
    )


ORDERED = (
    "order 10248: 2 lines, 226.1000, shipped: True\nFrance: 1 order, 226.1000 and 32.38 freight\n"
)


async def test_the_orders_service_runs_by_itself():
    assert await finish(start("orders/orders.py", AWS_ENDPOINT_URL="")) == (0, ORDERED, "")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_the_orders_service_works_until_it_is_told_to_end(local_aws, stop):
    worker = start("orders/orders.py", "work", AWS_ENDPOINT_URL=local_aws.endpoint_url)
    try:
        while not local_aws.calls["ReceiveMessage"]:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.01)
        worker.send_signal(stop)
        assert await finish(worker) == (0, "", "")
    finally:
        worker.kill()


async def test_the_orders_service_runs_where_aws_is(local_aws):
    process = start("orders/orders.py", AWS_ENDPOINT_URL=local_aws.endpoint_url)

    assert await finish(process) == (0, ORDERED, "")
    assert local_aws.calls["SendMessageBatch"]
