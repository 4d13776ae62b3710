"""Measures LocalAws: messages a second with one client in its own process, and what a backlog costs.

Run it: ``python -m benchmarks.local_aws``. What is promised: at least 10,000 messages a second sent,
and 10,000 received and deleted; an operation costs with 100,000 messages waiting what it costs with
none (at most 1.2 times as much). Rates by the wall clock need a machine that has nothing else to do;
the CPU time of the server does not.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time

from sourceflow.testing import LocalAws
from sourceflow.testing.local_aws.sqs.service import Sqs
from sourceflow.transports.aws.client import (
    DeleteEntry,
    DirectClient,
    Endpoint,
    SendEntry,
    SqsClient,
    StaticCredentials,
)

MESSAGES = 40_000
CALLERS = 8
BODY = "x" * 500
BACKLOG = 100_000


async def client(url: str) -> None:
    """Send, then receive and delete; print the rate of each. Runs in its own process."""
    async with DirectClient() as http:
        sqs = SqsClient(
            endpoint=Endpoint(url=url, region="us-east-1", service="sqs"),
            credentials=StaticCredentials("test", "test"),
            http=http,
        )
        queue = await sqs.create_queue("bench")
        batches = MESSAGES // 10 // CALLERS

        async def send() -> None:
            for _ in range(batches):
                entries = [SendEntry(id=str(at), body=BODY) for at in range(10)]
                await sqs.send_message_batch(queue, entries)

        async def receive() -> None:
            for _ in range(batches):
                messages = await sqs.receive_message(queue)
                entries = [
                    DeleteEntry(str(at), each.receipt_handle) for at, each in enumerate(messages)
                ]
                await sqs.delete_message_batch(queue, entries)

        for name, work in (("sent", send), ("received and deleted", receive)):
            started, used = time.perf_counter(), time.process_time()
            await asyncio.gather(*(work() for _ in range(CALLERS)))
            wall, cpu = time.perf_counter() - started, time.process_time() - used
            print(json.dumps([name, wall, cpu]), flush=True)


async def serve() -> None:
    """Serve a client process; print its rates, and the CPU time of both."""
    async with LocalAws() as aws:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.local_aws", aws.endpoint_url, stdout=subprocess.PIPE
        )
        assert process.stdout is not None  # it is a pipe
        used = time.process_time()
        async for line in process.stdout:
            name, wall, client_cpu = json.loads(line)
            server_cpu, used = time.process_time() - used, time.process_time()
            print(
                f"{name:>20}: {MESSAGES / wall:8,.0f} a second; CPU a message: "
                f"{server_cpu / MESSAGES * 1e6:.0f} us here "
                f"({MESSAGES / server_cpu:,.0f} a second), "
                f"{client_cpu / MESSAGES * 1e6:.0f} us in the client"
            )
        await process.wait()


class Loop:
    """Sends, receives and deletes ten at a time while so many others wait."""

    def __init__(self, waiting: int) -> None:
        self._sqs = Sqs(region="us-east-1", account_id="1", base_url=lambda: "http://x")
        made = self._sqs.call("CreateQueue", b'{"QueueName":"q"}', 0.0)
        self._url = json.loads(made)["QueueUrl"]
        self._send = self._body(Entries=[{"Id": str(at), "MessageBody": BODY} for at in range(10)])
        self._ask = self._body(MaxNumberOfMessages=10)
        for _ in range(waiting // 10):
            self._sqs.call("SendMessageBatch", self._send, 0.0)

    def _body(self, **parameters: object) -> bytes:
        return json.dumps({"QueueUrl": self._url, **parameters}).encode()

    def run(self, rounds: int) -> float:
        """Return the CPU seconds that it took."""
        started = time.process_time()
        for _ in range(rounds):
            self._sqs.call("SendMessageBatch", self._send, 1.0)
            answer = self._sqs.receive(self._ask).try_now(1.0)
            handles = [each["ReceiptHandle"] for each in json.loads(answer or b"")["Messages"]]
            entries = [{"Id": str(at), "ReceiptHandle": each} for at, each in enumerate(handles)]
            self._sqs.call("DeleteMessageBatch", self._body(Entries=entries), 1.0)
        return time.process_time() - started


def backlog_ratio() -> float:
    """Return what send, receive and delete cost with a backlog, over none."""
    few, many = Loop(0), Loop(BACKLOG)
    gc.collect()
    pairs = [(few.run(100), many.run(100)) for _ in range(15)]
    return statistics.median(many for _, many in pairs) / statistics.median(few for few, _ in pairs)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(client(sys.argv[1]))
    else:
        asyncio.run(serve())
        print(f"{BACKLOG:,} waiting cost {backlog_ratio():.2f} times none")
