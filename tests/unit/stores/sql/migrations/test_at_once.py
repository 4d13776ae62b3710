"""Several instances start at the same time on an empty database."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta

import asyncpg
import pytest
from postgres_server import POSTGRESQL

from sourceflow.errors import DependencyError
from sourceflow.stores.sql.schema import PREFIX
from sourceflow.stores.sql.url import parse_url

SHORT = timedelta(seconds=0.2)

INSTANCE = """
import asyncio, sys
from sourceflow.stores.sql.stores import SqlStores
stores = SqlStores(sys.argv[1], schema=sys.argv[2] or None)
print("ready", flush=True)
sys.stdin.readline()
print(len(asyncio.run(stores.migrate())))
"""


@pytest.mark.slow
async def test_processes_wait_for_each_other_and_one_makes_the_tables(place):
    """Slow: four processes import everything, side by side."""
    arguments = ("-c", INSTANCE, place.url, place.schema or "")
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=pipe, stdout=pipe, stderr=pipe
        )
        for _ in range(4)
    ]
    for process in processes:
        assert await process.stdout.readline() == b"ready\n"
    ended = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert [err.decode() for _, err in ended] == [""] * 4
    assert sorted(int(out) > 0 for out, _ in ended) == [False, False, False, True]
    assert len(await place.rows(f"SELECT * FROM {PREFIX}version")) == 1


@pytest.mark.parametrize("round_", range(5))
async def test_apps_of_one_process_wait_for_each_other(place, round_):
    opened = await asyncio.gather(*(place.start() for _ in range(6)))
    for stores in opened:
        assert (await stores.schema_state()).is_latest
        await stores.aclose()


@pytest.mark.parametrize("place", [POSTGRESQL], indirect=True)
async def test_who_has_waited_sees_what_was_done_whatever_the_servers_isolation(place):
    place.url += "&default_transaction_isolation=repeatable%20read"
    done = await asyncio.gather(*(place.stores().migrate() for _ in range(4)))
    assert sorted(map(bool, done)) == [False, False, False, True]


async def test_different_tables_are_made_at_the_same_time(place):
    """Alembic keeps what it works on in global variables, if it is let."""
    stores = [place.stores(prefix=f"p{number}_") for number in range(4)]
    assert all(await asyncio.gather(*(each.migrate() for each in stores)))
    assert all([(await each.schema_state()).is_latest for each in stores])


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_a_writer_is_waited_for_before_the_first_write_ahead(place):
    path = parse_url(place.url).path
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE theirs (id INTEGER)")
        asyncio.get_running_loop().call_later(0.2, other.execute, "COMMIT")
        assert await place.stores().migrate()
    assert "theirs" in await place.names()


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_a_writer_that_does_not_end_is_an_outage(place):
    path = parse_url(place.url).path
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for prepared in ("SELECT 1", "PRAGMA journal_mode=WAL"):
            other.execute(prepared)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DependencyError, match="database is locked"):
                await place.stores(timeout=SHORT).migrate()
            other.execute("ROLLBACK")


@pytest.mark.parametrize("place", [POSTGRESQL], indirect=True)
async def test_a_migration_that_does_not_end_is_an_outage(place):
    connection = await asyncpg.connect(place.url)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(7311602954308871465)")
        with pytest.raises(DependencyError, match="somebody else is changing the schema"):
            await place.stores(timeout=SHORT).migrate()
    await connection.close()
