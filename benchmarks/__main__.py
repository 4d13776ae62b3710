"""CPU and API calls a message, beside a hand-written loop in the same run.

Run it: ``make bench``; ``BENCH_MESSAGES`` sets how many messages a round takes, ``BENCH_ROUNDS`` how
many rounds. Rounds alternate, so that a busy machine is busy for both; the medians are printed, and
the ratio is the figure to look at: microseconds differ from machine to machine.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

import aiohttp

from benchmarks.by_hand import ByHand, Payment
from benchmarks.payments import NOTE, AccountRows, LoudSaga, Pay, QuietSaga, payments
from benchmarks.server import local_aws
from sourceflow import App
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.client import StaticCredentials
from sourceflow.transports.aws.client.base import ServiceClient

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "3000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))


class Cost(NamedTuple):
    """What one message costs: microseconds of CPU in this process, and API calls."""

    cpu: float
    calls: float


class Meter:
    """Counts API calls and CPU between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self._count = 0
        self._began = 0.0
        original = ServiceClient._call

        async def counted(
            client: ServiceClient, operation: str, body: bytes, *, waiting: float = 0.0
        ) -> bytes:
            self._count += operation != "GetQueueAttributes"  # asked by drained(), not by the work
            return await original(client, operation, body, waiting=waiting)

        ServiceClient._call = counted  # type: ignore[method-assign]

    def start(self) -> None:
        self._count = 0
        self._began = time.process_time()

    def stop(self, calls: int | None = None) -> Cost:
        cpu = time.process_time() - self._began
        made = self._count if calls is None else calls
        return Cost(cpu / MESSAGES * 1e6, made / MESSAGES)


def sending_app(url: str, *, listen: bool) -> App:
    options = AwsOptions(
        region="us-east-1",
        endpoint_url=url,
        max_concurrent_calls=100,
        enable_command_listener=listen,
        wait_time=timedelta(seconds=1),
    )
    transport = AwsTransport(
        options,
        lambda bus: bus.send.command(Pay, queue="pay").listen.to.command_queue("pay"),
        credentials=StaticCredentials("test", "test"),
    )
    return App([QuietSaga], name="bench").use(transport)


async def framework_round(url: str, meter: Meter) -> tuple[Cost, Cost]:
    commands = payments(MESSAGES)
    async with sending_app(url, listen=False) as app:
        meter.start()
        await app.send_many(commands)
        sent = meter.stop()
    async with sending_app(url, listen=True) as app:
        meter.start()  # to start, provisioning included, costs the same for any number of messages
        await app.drained(timeout=120)
        received = meter.stop()
    return sent, received


async def hand_round(url: str, meter: Meter) -> tuple[Cost, Cost]:
    by_hand = [Payment(id=str(at), amount="9.99", note=NOTE) for at in range(MESSAGES)]
    handled: dict[str, Decimal] = defaultdict(Decimal)

    def handle(payment: Payment) -> None:
        handled[payment.id] += Decimal(payment.amount)

    async with aiohttp.ClientSession() as session:
        hand = ByHand(session, url)
        queue = (await hand.call("CreateQueue", {"QueueName": "by-hand"}))["QueueUrl"]
        hand.calls = 0
        meter.start()
        await hand.send(queue, by_hand)
        sent = meter.stop(hand.calls)
        hand.calls = 0
        meter.start()
        await hand.receive(queue, MESSAGES, handle)
        received = meter.stop(hand.calls)
    assert len(handled) == MESSAGES
    return sent, received


async def in_process_round(meter: Meter) -> Cost:
    async with App([LoudSaga, AccountRows], name="bench") as app:
        commands = payments(MESSAGES)
        meter.start()
        for command in commands:
            await app.send(command)
        return meter.stop()


def median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


async def main() -> None:
    meter = Meter()
    costs: dict[str, list[Cost]] = defaultdict(list)
    async with local_aws() as url:
        for _ in range(ROUNDS):
            for name, play in (("by hand", hand_round), ("sourceflow", framework_round)):
                sent, received = await play(url, meter)
                costs[f"{name}: send"].append(sent)
                costs[f"{name}: receive, handle, delete"].append(received)
            costs["sourceflow: in process, to the view"].append(await in_process_round(meter))
    medians = {name: median(values) for name, values in costs.items()}
    for name, cost in medians.items():
        print(f"{name:42} {cost.cpu:7.1f} us CPU {cost.calls:6.2f} calls a message")
    for part in ("send", "receive, handle, delete"):
        ratio = medians[f"sourceflow: {part}"].cpu / medians[f"by hand: {part}"].cpu
        print(f"{part}: {ratio:.2f} times the hand-written loop")


if __name__ == "__main__":
    asyncio.run(main())
