"""CPU that encryption adds to a message of 1 KB, on each side, with data keys at hand.

Run it: ``python -m benchmarks.encryption``; ``BENCH_MESSAGES`` and ``BENCH_ROUNDS`` as they are named.
Rounds in clear and encrypted alternate, and the medians are printed: first of the step that encrypts
or decrypts alone, then of the whole way through SQS, where a larger body costs its share too.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from benchmarks.payments import Pay, QuietSaga
from benchmarks.server import local_aws
from sourceflow import App, Envelope, Observer
from sourceflow.bus.changes import Destination
from sourceflow.bus.outcome import Done, Outcome
from sourceflow.bus.ports import Delivery, Outgoing
from sourceflow.clock import SystemClock
from sourceflow.messages import Codec, Registry
from sourceflow.resilience.task_scope import TaskScope
from sourceflow.transports.aws import AwsOptions, AwsTransport, LocalKeyProvider
from sourceflow.transports.aws.client import StaticCredentials
from sourceflow.transports.aws.encryption import Cipher, DecryptingReceiver
from sourceflow.transports.aws.packing import Target, pack, pack_encrypted

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "3000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
DOCUMENT_BYTES = 1024
QUEUE = "arn:aws:sqs:us-east-1:000000000000:payments"
KEY_ID = "arn:aws:kms:us-east-1:000000000000:key/0198c5b0-7d2c-7c3e-9b7e-2f6d1f0a1b2c"
MESSAGE_ID = "0198c5b0-7d2c-7c3e-9b7e-2f6d1f0a1b2c"

Costs = dict[str, list[float]]


def command(note: int) -> Pay:
    return Pay(id="1", amount=Decimal("9.99"), note="x" * note)


def outgoing() -> Outgoing:
    """Return a message whose document has 1 KB."""
    codec = Codec(Registry([Pay]))

    def made(note: int) -> tuple[Envelope[Any], bytes]:
        envelope = Envelope(
            message=command(note),
            id=MESSAGE_ID,
            source="/bench",
            time=datetime(2026, 1, 1, tzinfo=UTC),
            correlation_id=MESSAGE_ID,
        )
        return envelope, codec.encode(envelope)

    _, short = made(0)
    envelope, document = made(DOCUMENT_BYTES - len(short))
    assert len(document) == DOCUMENT_BYTES
    return Outgoing(envelope, Destination("queue", "payments"), document)


async def steps(costs: Costs) -> None:
    """Measure the step that encrypts, and the one that decrypts, beside what they stand for."""
    message = outgoing()
    target = Target(
        name="payments",
        address="",
        is_topic=False,
        is_fifo=False,
        max_bytes=2**20,
        arn=QUEUE,
        encrypts=True,
    )

    async def receive(_delivery: Delivery) -> Outcome:
        return Done()

    async with TaskScope() as tasks:
        cipher = Cipher.of(
            LocalKeyProvider(key_id=KEY_ID),
            tasks=tasks,
            clock=SystemClock(),
            lifetime=timedelta(hours=1),
        )
        decrypting = DecryptingReceiver(
            receive,
            cipher=cipher,
            destinations={QUEUE},
            subscribed=(),
            requires=True,
            observer=Observer(),
        )
        sealed = (await pack_encrypted(message, target, cipher)).body.encode()
        clear = Delivery(message.body, "Pay", "command", "payments")
        encrypted = Delivery(sealed, "Pay", "command", "payments")
        assert isinstance(await decrypting(encrypted), Done)
        for _ in range(ROUNDS):
            began = time.process_time()
            for _ in range(MESSAGES):
                pack(message, target)
            costs["send: clear"].append(time.process_time() - began)
            began = time.process_time()
            for _ in range(MESSAGES):
                await pack_encrypted(message, target, cipher)
            costs["send: encrypted"].append(time.process_time() - began)
            began = time.process_time()
            for _ in range(MESSAGES):
                await receive(clear)
            costs["receive: clear"].append(time.process_time() - began)
            began = time.process_time()
            for _ in range(MESSAGES):
                await decrypting(encrypted)
            costs["receive: encrypted"].append(time.process_time() - began)


def app(url: str, *, encrypt: bool, listen: bool) -> App:
    queue = "encrypted" if encrypt else "clear"
    transport = AwsTransport(
        AwsOptions(
            region="us-east-1",
            endpoint_url=url,
            max_concurrent_calls=100,
            enable_command_listener=listen,
            wait_time=timedelta(seconds=1),
            enable_encryption=encrypt,
            data_key_lifetime=timedelta(hours=1),
        ),
        lambda bus: bus.send.command(Pay, queue=queue).listen.to.command_queue(queue),
        credentials=StaticCredentials("test", "test"),
        keys=LocalKeyProvider(bytes(32), key_id=KEY_ID) if encrypt else None,
    )
    return App([QuietSaga], name="bench").use(transport)


async def way(url: str, costs: Costs, *, encrypt: bool) -> None:
    """Measure the whole way through SQS."""
    note = len(outgoing().envelope.message.note)
    commands = [Pay(id=str(at), amount=Decimal("9.99"), note="x" * note) for at in range(MESSAGES)]
    name = "encrypted" if encrypt else "clear"
    async with app(url, encrypt=encrypt, listen=False) as sender:
        began = time.process_time()
        await sender.send_many(commands)
        costs[f"send: {name}"].append(time.process_time() - began)
    async with app(url, encrypt=encrypt, listen=True) as receiver:
        began = time.process_time()
        await receiver.drained(timeout=120)
        costs[f"receive: {name}"].append(time.process_time() - began)


def show(title: str, costs: Costs) -> None:
    print(title)
    medians = {name: statistics.median(each) / MESSAGES * 1e6 for name, each in costs.items()}
    for side in ("send", "receive"):
        clear, encrypted = medians[f"{side}: clear"], medians[f"{side}: encrypted"]
        print(
            f"  {side:8} clear {clear:6.1f} us, encrypted {encrypted:6.1f} us CPU a message: "
            f"{encrypted - clear:+.1f} us, {encrypted / clear:.2f} times"
        )


async def main() -> None:
    alone: Costs = defaultdict(list)
    await steps(alone)
    show("the step alone", alone)
    whole: Costs = defaultdict(list)
    async with local_aws() as url:
        for _ in range(ROUNDS):
            for encrypt in (False, True):
                await way(url, whole, encrypt=encrypt)
    show("the whole way through SQS", whole)


if __name__ == "__main__":
    asyncio.run(main())
