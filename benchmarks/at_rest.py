"""CPU that ``encrypt_at_rest`` adds to a command on SQLite, and to reading what is kept.

A command loads an account, changes it and saves it, with its entry in the command log, an event in
the event log and that event's outbox row: four records that are encrypted, and one decrypted. Then
each account is replayed, which reads its log and its events.

Run it: ``python -m benchmarks.at_rest``; ``BENCH_ACCOUNTS`` and ``BENCH_ROUNDS`` as they are named;
``BENCH_CLEAR=1`` measures only in clear, to compare two versions of the code by running it on each
in turn. Rounds in clear and encrypted alternate, and the medians are printed.
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
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

from benchmarks.bus import Confirms
from benchmarks.payments import NOTE, Account, LoudSaga, Paid, Pay
from sourceflow import App
from sourceflow.bus.routes import Routes
from sourceflow.stores.sql import SqlStores

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

ACCOUNTS = int(os.environ.get("BENCH_ACCOUNTS", "100"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
ONLY_CLEAR = bool(os.environ.get("BENCH_CLEAR"))
COMMANDS_EACH = 10
KEY_ID = "arn:aws:kms:us-east-1:000000000000:key/0198c5b0-7d2c-7c3e-9b7e-2f6d1f0a1b2c"


class Takes(Confirms):
    """A transport that takes every event at once."""

    routes = Routes(events={Paid: "paid"})


def stores(url: str, *, encrypt: bool) -> SqlStores:
    if not encrypt:
        return SqlStores(url)
    from encrypted_stores import EncryptedStores  # noqa: PLC0415 - a version may have none

    from sourceflow.transports.aws import LocalKeyProvider  # noqa: PLC0415 - only here

    return EncryptedStores(url, LocalKeyProvider(bytes(32), key_id=KEY_ID))


async def measure(folder: str, costs: dict[str, list[float]], *, encrypt: bool) -> None:
    """Measure one round."""
    kind = "encrypted" if encrypt else "clear"
    kept = stores(f"sqlite:///{folder}/{kind}.db", encrypt=encrypt)
    keys = [secrets.token_hex(8) for _ in range(ACCOUNTS)]
    async with App([LoudSaga], name="bench", stores=kept).use(Takes()) as app:
        await app.send(Pay(id="warm", amount=Decimal("9.99"), note=NOTE))
        await app.drained()
        began = time.process_time()
        for key in keys:
            for _ in range(COMMANDS_EACH):
                await app.send(Pay(id=key, amount=Decimal("9.99"), note=NOTE))
        await app.drained()
        costs[f"write: {kind}"].append(time.process_time() - began)
        began = time.process_time()
        for key in keys:
            await app.replay(Account, key)
        costs[f"read: {kind}"].append(time.process_time() - began)


def show(costs: dict[str, list[float]]) -> None:
    commands = ACCOUNTS * COMMANDS_EACH
    each = {name: [cost / commands * 1e6 for cost in found] for name, found in costs.items()}
    for step in ("write", "read"):
        clear = each[f"{step}: clear"]
        line = f"{step:5} clear {statistics.median(clear):6.1f} us CPU a command"
        if encrypted := each.get(f"{step}: encrypted"):
            ratios = [b / a for a, b in zip(clear, encrypted, strict=True)]
            more = statistics.median(b - a for a, b in zip(clear, encrypted, strict=True))
            line += (
                f", encrypted {statistics.median(encrypted):6.1f}: {more:+.1f} us, "
                f"{statistics.median(ratios):.2f} times"
            )
        print(line)


async def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    costs: dict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for encrypt in (False,) if ONLY_CLEAR else (False, True):
            with tempfile.TemporaryDirectory(prefix="sourceflow-bench-") as folder:
                await measure(folder, costs, encrypt=encrypt)
    show(costs)


if __name__ == "__main__":
    asyncio.run(main())
