"""What one command costs in a store with 1,000 rows and in one with 1,000,000.

Both stores are filled with entities, logged commands, events, claims and rows of a view; then the
same commands run on either in turn. What counts is the ratio of the times.

Run it: ``python -m benchmarks.growth``; ``BENCH_ROWS`` sets how many rows the large store has,
``BENCH_ROUNDS`` how many rounds are run.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import asyncpg

from benchmarks.payments import NOTE, AccountRows, LoudSaga, Pay
from sourceflow import App
from sourceflow.stores.sql import SqlStores

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from postgres_server import postgres_url

SMALL = 1_000
LARGE = int(os.environ.get("BENCH_ROWS", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
COMMANDS = 200
NOW = int(time.time() * 1e6)
DAY = 86_400_000_000
WARMING = 4
"""Rounds that do not count: caches fill, and PostgreSQL writes whole pages after a checkpoint."""

EVENT = (
    '{"specversion":"1.0","id":"old-%s","source":"/bench","type":"Paid","subject":"old-%s",'
    '"time":"2026-01-01T00:00:00Z","datacontenttype":"application/json",'
    '"data":{"id":"old-%s","amount":"1"},"kind":"event","dataversion":1,"correlationid":"x"}'
)


STATE = '{"id":"old","paid":"1"}'

FILLED = {
    "streams (entity, key, number, state)": "'Account', {key}, 1, {state}",
    "commands (entity, key, number, source, message_id, type, time, body)": (
        "'Account', {key}, 1, '/bench', {key}, 'Pay', {time}, {command}"
    ),
    "events (xid, entity, stream_key, key, source, message_id, type, time, body)": (
        "0, 'Account', {key}, {key}, '/bench', {key}, 'Paid', {time}, {event}"
    ),
    "claims (source, message_id, subscriber, expires)": (
        "'/bench', {key}, 'AccountRows.paid', {later}"
    ),
    "view_account_row (generation, key, version, document, filled)": "1, {key}, 1, {state}, ''",
}


def fill_statements(*, number: str, json: str, time: str, later: str, numbers: str) -> list[str]:
    """Return what fills the tables.

    Args:
        number: The number of a row, as text.
        json: The type of documents.
        time: A point of time.
        later: When claims expire: what has expired would be deleted while commands are measured.
        numbers: What the numbers are taken from.
    """

    def document(text: str) -> str:
        return f"CAST({text} AS {json})"

    values = {
        "key": f"'old-' || {number}",
        "time": time,
        "later": later,
        "state": document(f"'{STATE}'"),
        "command": document(f"'\"{NOTE}\"'"),
        "event": document("'" + EVENT.replace("%s", f"' || {number} || '") + "'"),
    }
    return [
        f"INSERT INTO sourceflow_{table} SELECT {columns.format(**values)} FROM {numbers}"
        for table, columns in FILLED.items()
    ]


def fill_sqlite(path: str, rows: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TEMP TABLE n (i INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO n VALUES (?)", ((number,) for number in range(rows)))
    for statement in fill_statements(
        number="i", json="TEXT", time=str(NOW), later=str(NOW + 10 * DAY), numbers="n"
    ):
        connection.execute(statement)
    connection.execute("ANALYZE")
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    os.sync()  # what was loaded is not to be written while commands are measured


async def fill_postgresql(schema: str, rows: int) -> None:
    connection = await asyncpg.connect(postgres_url())
    await connection.execute(f"SET search_path TO {schema}")
    for statement in fill_statements(
        number="i::text",
        json="json",
        time="now()",
        later="now() + interval '10 days'",
        numbers=f"generate_series(1, {rows}) AS n(i)",
    ):
        await connection.execute(statement)
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()
    os.sync()


class Store:
    """One store of a size, and what commands took on it."""

    def __init__(self, url: str, schema: str | None, rows: int) -> None:
        self.url = url
        self.schema = schema
        self.rows = rows
        self.times: list[float] = []

    def app(self) -> App:
        stores = SqlStores(self.url, schema=self.schema)
        return App([LoudSaga, AccountRows], name="bench", stores=stores)

    async def fill(self) -> None:
        async with self.app():
            pass
        if self.schema is None:
            await asyncio.to_thread(fill_sqlite, self.url.removeprefix("sqlite:///"), self.rows)
        else:
            await fill_postgresql(self.schema, self.rows)

    async def measure(self) -> None:
        """Run commands of old and new accounts."""
        keys = [f"old-{1 + secrets.randbelow(self.rows)}" for _ in range(COMMANDS // 2)]
        keys += [secrets.token_hex(8) for _ in range(COMMANDS // 2)]
        async with self.app() as app:
            began = time.perf_counter()
            for key in keys:
                await app.send(Pay(id=key, amount=Decimal("9.99"), note=NOTE))
            self.times.append((time.perf_counter() - began) / COMMANDS)


async def compare(product: str, small: Store, large: Store) -> None:
    for store in (small, large):
        await store.fill()
        for _ in range(WARMING):
            await store.measure()
        store.times.clear()
    for _ in range(ROUNDS):
        await small.measure()
        await large.measure()
    ratios = [b / a for a, b in zip(small.times, large.times, strict=True)]
    print(
        f"{product:10} {small.rows:,} rows {statistics.median(small.times) * 1e6:6.0f} us, "
        f"{large.rows:,} rows {statistics.median(large.times) * 1e6:6.0f} us: "
        f"ratio {statistics.median(ratios):.2f}"
    )


async def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="sourceflow-bench-") as folder:
        await compare(
            "SQLite",
            Store(f"sqlite:///{folder}/small.db", None, SMALL),
            Store(f"sqlite:///{folder}/large.db", None, LARGE),
        )
    schemas = [f"bench_{secrets.token_hex(4)}" for _ in range(2)]
    await compare(
        "PostgreSQL",
        Store(postgres_url(), schemas[0], SMALL),
        Store(postgres_url(), schemas[1], LARGE),
    )
    connection = await asyncpg.connect(postgres_url())
    for schema in schemas:
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
