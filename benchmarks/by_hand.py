"""What a careful team writes without a framework: aiohttp, msgspec, a cached signing key, full batches."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from sourceflow.transports.aws.client import Credentials
from sourceflow.transports.aws.client.signer import RequestTemplate, Signer

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

CALLERS = 8


class Payment(msgspec.Struct):
    """The same message as the framework's."""

    id: str
    amount: str
    note: str


class ByHand:
    """One queue, by hand."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._signer = Signer(service="sqs", region="us-east-1")
        self._credentials = Credentials("test", "test")
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder()
        self._payments = msgspec.json.Decoder(Payment)
        self.calls = 0

    async def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Sign and post a request."""
        self.calls += 1
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"AmazonSQS.{operation}",
        }
        body = self._encoder.encode(request)
        template = RequestTemplate(self._url, headers)
        signed = self._signer.sign(template, body, self._credentials, datetime.now(UTC))
        async with self._session.post(self._url, headers=signed, data=body) as answer:
            answer.raise_for_status()
            found: dict[str, Any] = self._decoder.decode(await answer.read())
            return found

    async def send(self, queue: str, payments: list[Payment]) -> None:
        """Send messages, ten at a time."""
        starts = iter(range(0, len(payments), 10))

        async def sender() -> None:
            for start in starts:
                entries = [
                    {
                        "Id": str(at),
                        "MessageBody": self._encoder.encode(payment).decode(),
                        "MessageAttributes": {
                            "type": {"DataType": "String", "StringValue": "Payment"}
                        },
                    }
                    for at, payment in enumerate(payments[start : start + 10])
                ]
                answer = await self.call(
                    "SendMessageBatch", {"QueueUrl": queue, "Entries": entries}
                )
                assert len(answer["Successful"]) == len(entries)

        await asyncio.gather(*(sender() for _ in range(CALLERS)))

    async def receive(self, queue: str, count: int, handle: Callable[[Payment], None]) -> None:
        """Receive, decode, handle and delete messages, ten at a time."""
        left = count

        async def receiver() -> None:
            nonlocal left
            while left > 0:
                answer = await self.call(
                    "ReceiveMessage",
                    {
                        "QueueUrl": queue,
                        "MaxNumberOfMessages": 10,
                        "MessageAttributeNames": ["All"],
                    },
                )
                messages = answer.get("Messages", [])
                if not messages:
                    return
                for message in messages:
                    handle(self._payments.decode(message["Body"]))
                left -= len(messages)
                entries = [
                    {"Id": str(at), "ReceiptHandle": message["ReceiptHandle"]}
                    for at, message in enumerate(messages)
                ]
                await self.call("DeleteMessageBatch", {"QueueUrl": queue, "Entries": entries})

        await asyncio.gather(*(receiver() for _ in range(CALLERS)))
