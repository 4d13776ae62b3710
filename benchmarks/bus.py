"""CPU a message inside the process: no transport, stores in memory.

Run it: ``python -m benchmarks.bus``; ``BENCH_MESSAGES`` sets how many messages a round takes,
``BENCH_ROUNDS`` how many rounds. Compare two versions by running each in turn, several times.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from benchmarks.payments import AccountRows, LoudSaga, Pay, QuietSaga, payments
from sourceflow import App
from sourceflow.bus.outcome import Done
from sourceflow.bus.ports import Delivery
from sourceflow.bus.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sourceflow.bus.ports import Outgoing

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "3000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))


class Confirms:
    """A transport that confirms everything at once."""

    routes = Routes(commands={Pay: "pay"})

    async def open(self, context: Any) -> None: ...

    async def start(self, receive: Any) -> None: ...

    async def stop(self, grace: Any = None) -> None: ...

    async def aclose(self) -> None: ...

    def admit(self, outgoing: Outgoing) -> None: ...

    async def send(self, outgoing: Sequence[Outgoing]) -> Sequence[None]:
        return [None] * len(outgoing)

    async def depths(self) -> Sequence[Any]:
        return ()

    def describe(self) -> dict[str, object]:
        return {}


async def in_process(measure: Callable[[Awaitable[None]], Awaitable[None]]) -> None:
    """Send an unrouted command: saga, entity, event, view."""
    commands = payments(MESSAGES)

    async def work(app: App) -> None:
        for command in commands:
            await app.send(command)

    async with App([LoudSaga, AccountRows], name="bench") as app:
        await measure(work(app))


async def receive(measure: Callable[[Awaitable[None]], Awaitable[None]]) -> None:
    """Receive a written command: decode it, run its saga, commit."""
    async with App([QuietSaga], name="bench") as app:
        engine = app._running
        envelopes = [engine.router.command(each) for each in payments(MESSAGES)]
        bodies = [engine._codec.encode(each) for each in envelopes]

        async def work() -> None:
            for body in bodies:
                outcome = await engine.receiver.receive(Delivery(body, "Pay", "command", "pay"))
                assert type(outcome) is Done

        await measure(work())


async def send_many(measure: Callable[[Awaitable[None]], Awaitable[None]]) -> None:
    """Send routed commands: envelope, document, checks."""
    commands = payments(MESSAGES)

    async def work(app: App) -> None:
        await app.send_many(commands)

    async with App([Pay], name="bench").use(Confirms()) as app:
        await measure(work(app))


async def main() -> None:
    costs: dict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for path in (in_process, receive, send_many):

            async def measure(work: Awaitable[None], name: str = path.__name__) -> None:
                gc.collect()
                began = time.process_time()
                await work
                costs[name].append((time.process_time() - began) / MESSAGES * 1e6)

            await path(measure)
    for name, each in costs.items():
        print(f"{name:12} {statistics.median(each):7.1f} us CPU a message")


if __name__ == "__main__":
    asyncio.run(main())
