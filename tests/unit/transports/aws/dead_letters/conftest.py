"""Dead letter queues on LocalAws, and an operator of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta

import pytest

from sourceflow import Command, Event, Key
from sourceflow.bus.observer import Observer
from sourceflow.messages import Codec, Envelope, Registry, new_message_id
from sourceflow.stores.memory import MemoryStores
from sourceflow.transports.aws.client import DeleteEntry, SendEntry
from sourceflow.transports.aws.dead_letters import (
    DeadLetterOperator,
    DeadLetterQueue,
    DeadLetterSender,
    MoveTarget,
    Records,
)

MAX_BYTES = 1_048_576
MOST_SECONDS = 3_600


class Pay(Command):
    order: Key[str]
    amount: int = 0


class Paid(Event):
    order: Key[str]
    amount: int = 0


@dataclass
class Queues:
    """A queue with its dead letter queue."""

    name: str
    url: str
    dead_url: str
    arn: str


class Post:
    """Sends messages and gives them up, as sender and listener do."""

    def __init__(self, sqs, records, clock, receive_all):
        self._sqs = sqs
        self._records = records
        self._clock = clock
        self._receive_all = receive_all
        self.codec = Codec(Registry([Pay, Paid]))

    def body(self, message, message_id):
        envelope = Envelope(
            message=message,
            id=message_id,
            source="/tests",
            time=self._clock.now(),
            correlation_id=message_id,
        )
        return self.codec.encode(envelope).decode()

    async def send(self, queues, order="o-1", *, amount=0, message_id=None, event=False):
        message_id = message_id or new_message_id()
        message = (Paid if event else Pay)(order=order, amount=amount)
        await self.send_body(
            queues.url,
            self.body(message, message_id),
            group=order,
            deduplication_id=message_id,
            attributes={"type": type(message).__name__},
        )
        return message_id

    async def send_body(self, url, body, *, group="g", deduplication_id=None, attributes=None):
        fifo = url.endswith(".fifo")
        result = await self._sqs.send_message_batch(
            url,
            [
                SendEntry(
                    id="0",
                    body=body,
                    attributes=attributes or {},
                    group_id=group if fifo else None,
                    deduplication_id=(deduplication_id or new_message_id()) if fifo else None,
                )
            ],
        )
        assert not result.failed

    async def give_up(self, queues, *, reason="RetriesExhausted", subscribers=(), only=None):
        """Give up what waits in a queue, all of it or up to so many."""
        sender = DeadLetterSender(
            sqs=self._sqs,
            queue=queues.name,
            dead_letter_url=queues.dead_url,
            is_fifo=queues.name.endswith(".fifo"),
            records=self._records,
            observer=Observer(),
            clock=self._clock,
        )
        count = 0
        while only is None or count < only:
            messages = await self._sqs.receive_message(
                queues.url, max_messages=10 if only is None else min(10, only - count)
            )
            if not messages:
                break
            for message in messages:
                await sender.send(
                    message,
                    reason=reason,
                    error=ValueError("no such account"),
                    handled=None,
                    attempts=5,
                    subscribers=subscribers,
                )
                await self._sqs.delete_message_batch(
                    queues.url, [DeleteEntry("0", message.receipt_handle)]
                )
            count += len(messages)
        return count

    async def take(self, url):
        """Return what a queue holds as pairs of group and amount, and delete it."""
        found = []
        while messages := await self._sqs.receive_message(url):
            found += messages
            await self._sqs.delete_message_batch(
                url, [DeleteEntry(str(at), each.receipt_handle) for at, each in enumerate(messages)]
            )
        return found


def amounts(messages, order=None):
    data = [json.loads(message.body)["data"] for message in messages]
    return [each["amount"] for each in data if order in {None, each["order"]}]


@pytest.fixture
def records():
    return MemoryStores().dead_letters


@pytest.fixture
def post(sqs, records, clock, receive_all):
    return Post(sqs, records, clock, receive_all)


@pytest.fixture
def make_queues(sqs, make_queue):
    async def make(name="orders.fifo"):
        stem, fifo, _ = name.partition(".fifo")
        dead_url = await make_queue(f"{stem}-dlq{fifo}")
        dead_arn = (await sqs.get_queue_attributes(dead_url))["QueueArn"]
        url = await make_queue(
            name,
            RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": "3"}),
        )
        arn = (await sqs.get_queue_attributes(url))["QueueArn"]
        return Queues(name, url, dead_url, arn)

    return make


@pytest.fixture
def operate(sqs, records, post, clock):
    def operate(*all_queues, cipher=None, encrypted=()):
        return DeadLetterOperator(
            {
                queues.name: DeadLetterQueue(
                    source=queues.name,
                    source_arn=queues.arn,
                    source_url=queues.url,
                    url=queues.dead_url,
                    is_fifo=queues.name.endswith(".fifo"),
                    destinations=frozenset({queues.arn}),
                )
                for queues in all_queues
            },
            {
                queues.name: MoveTarget(
                    url=queues.url,
                    arn=queues.arn,
                    is_fifo=queues.name.endswith(".fifo"),
                    max_bytes=MAX_BYTES,
                    encrypts=queues.name in encrypted,
                )
                for queues in all_queues
            },
            sqs=sqs,
            records=Records(records, clock),
            codec=post.codec,
            clock=clock,
            app="shop",
            cipher=cipher,
        )

    return operate


@pytest.fixture
def run(clock):
    """Run something to its end, moving the clock whenever it waits for it."""

    async def run(work, *, step=timedelta(seconds=1)):
        task = asyncio.ensure_future(work)
        waited = timedelta(0)
        try:
            while not task.done():
                await clock.advance(step)
                waited += step
                assert waited.total_seconds() < MOST_SECONDS, "it does not end"
        finally:
            if not task.done():
                task.cancel()
        return await task

    return run
