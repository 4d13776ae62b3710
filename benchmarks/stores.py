"""One command a transaction on SQLite and PostgreSQL, beside pyeventsourcing on the same databases.

A command loads an account, changes it and saves it, with its entry in the command log, an event in
the event log and that event's outbox row, which a transport takes at once. pyeventsourcing loads
the aggregate, triggers an event and saves it with its notification. Each account gets
``COMMANDS_EACH`` commands, so that its aggregates stay short.

Run it: ``python -m benchmarks.stores``; ``BENCH_ACCOUNTS`` sets how many accounts a round takes for
50 callers, ``BENCH_ROUNDS`` how many rounds. Rounds alternate between the two; what counts is the
ratio. A disk that is slow to sync makes both slow for one caller.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bus import Confirms
from benchmarks.eventsourcing_peer import Peer, peer_on_postgresql, peer_on_sqlite
from benchmarks.payments import NOTE, LoudSaga, Paid, Pay
from sourceflow import App
from sourceflow.bus.routes import Routes
from sourceflow.stores.sql import SqlStores

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from postgres_server import postgres_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ACCOUNTS = int(os.environ.get("BENCH_ACCOUNTS", "300"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
COMMANDS_EACH = 10
CALLERS = (1, 50)

Round = tuple[float, float]
"""Seconds, and seconds of CPU, a command."""


class Takes(Confirms):
    """A transport that takes every event at once."""

    routes = Routes(events={Paid: "paid"})


def accounts_of(callers: int) -> list[list[str]]:
    """Return new accounts for each caller; one caller alone gets fewer, as it takes longer."""
    each = max(1, (ACCOUNTS if callers > 1 else ACCOUNTS // 3) // callers)
    return [[secrets.token_hex(8) for _ in range(each)] for _ in range(callers)]


async def ours(url: str, callers: int) -> Round:
    """Measure one round of sourceflow."""
    accounts = accounts_of(callers)
    async with App([LoudSaga], name="bench", stores=SqlStores(url)).use(Takes()) as app:

        async def call(keys: Sequence[str]) -> None:
            for key in keys:
                for _ in range(COMMANDS_EACH):
                    await app.send(Pay(id=key, amount=Decimal("9.99"), note=NOTE))

        began, cpu = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as tasks:
            for keys in accounts:
                tasks.create_task(call(keys))
        await app.drained()
        return _each(accounts, began, cpu)


def theirs(peer: Peer, callers: int) -> Round:
    """Measure one round of pyeventsourcing: a thread for each caller."""
    accounts = accounts_of(callers)

    def call(keys: Sequence[str]) -> None:
        for key in keys:
            for _ in range(COMMANDS_EACH):
                peer.pay(key, Decimal("9.99"), NOTE)

    began, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, accounts))
    return _each(accounts, began, cpu)


def _each(accounts: Sequence[Sequence[str]], began: float, cpu: float) -> Round:
    count = sum(map(len, accounts)) * COMMANDS_EACH
    return (time.perf_counter() - began) / count, (time.process_time() - cpu) / count


def compare(product: str, url: str, make_peer: Callable[[], Peer]) -> None:
    """Run both in turn and print what each took."""
    for callers in CALLERS:
        mine: list[Round] = []
        other: list[Round] = []
        for _ in range(ROUNDS):
            mine.append(asyncio.run(ours(url, callers)))
            with make_peer() as peer:
                other.append(theirs(peer, callers))
        ratios = [b[0] / a[0] for a, b in zip(mine, other, strict=True)]
        print(
            f"{product:10} {callers:2} at once: {_rate(mine):6.0f} commands/s "
            f"({_cpu(mine):4.0f} us CPU), pyeventsourcing {_rate(other):6.0f} ({_cpu(other):4.0f}): "
            f"{statistics.median(ratios):.2f} times as fast"
        )


def _rate(rounds: Sequence[Round]) -> float:
    return 1 / statistics.median(seconds for seconds, _ in rounds)


def _cpu(rounds: Sequence[Round]) -> float:
    return statistics.median(cpu for _, cpu in rounds) * 1e6


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="sourceflow-bench-") as folder:
        compare(
            "SQLite",
            f"sqlite:///{folder}/ours.db",
            lambda: peer_on_sqlite(f"{folder}/theirs.db"),
        )
    url = postgres_url()
    compare("PostgreSQL", url, lambda: peer_on_postgresql(url))


if __name__ == "__main__":
    main()
