"""Measures LocalAws: messages a second with one client in its own process, and what a backlog costs.

Run it: ``python -m benchmarks.local_aws``
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

from sourceflow.testing import LocalAws
from sourceflow.testing.local_aws.sqs.service import Sqs
from sourceflow.transports.aws.client import (
    AiohttpClient,
    DeleteEntry,
    Endpoint,
    SendEntry,
    SqsClient,
    StaticCredentials,
)

MESSAGES = 20_000
CALLERS = 8
BODY = "x" * 500


async def client(url: str) -> None:
    """Send, receive and delete; print both rates. Runs in its own process."""
    async with AiohttpClient() as http:
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

        rates = {}
        for name, work in (("sent", send), ("received and deleted", receive)):
            started = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(CALLERS)))
            rates[name] = round(MESSAGES / (time.perf_counter() - started))
        print(json.dumps(rates))


async def serve() -> dict[str, int]:
    """Serve a client process; return its rates and the CPU seconds that serving took."""
    async with LocalAws() as aws:
        used = time.process_time()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.local_aws", aws.endpoint_url, stdout=subprocess.PIPE
        )
        output, _ = await process.communicate()
        rates: dict[str, int] = json.loads(output)
        spent = time.process_time() - used
    print(f"server CPU: {spent / MESSAGES * 1e6:.0f} us a message")
    return rates


def backlog_ratio() -> float:
    """Return what send, receive and delete cost with 100,000 waiting, over none."""

    def cost(waiting: int) -> float:
        sqs = Sqs(region="us-east-1", account_id="1", base_url=lambda: "http://x")
        url = json.loads(sqs.call("CreateQueue", b'{"QueueName":"q"}', 0.0))["QueueUrl"]
        entries = [{"Id": str(at), "MessageBody": BODY} for at in range(10)]
        send = json.dumps({"QueueUrl": url, "Entries": entries}).encode()
        ask = json.dumps({"QueueUrl": url, "MaxNumberOfMessages": 10}).encode()
        for _ in range(waiting // 10):
            sqs.call("SendMessageBatch", send, 0.0)
        started = time.process_time()
        for _ in range(300):
            sqs.call("SendMessageBatch", send, 1.0)
            answer = sqs.receive(ask).try_now(1.0)
            handles = [each["ReceiptHandle"] for each in json.loads(answer or b"")["Messages"]]
            delete = [{"Id": str(at), "ReceiptHandle": each} for at, each in enumerate(handles)]
            body = json.dumps({"QueueUrl": url, "Entries": delete}).encode()
            sqs.call("DeleteMessageBatch", body, 1.0)
        return time.process_time() - started

    pairs = [(cost(0), cost(100_000)) for _ in range(3)]
    return min(many / few for few, many in pairs)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(client(sys.argv[1]))
    else:
        print(asyncio.run(serve()))
        print(f"100,000 waiting cost {backlog_ratio():.2f} times none")
