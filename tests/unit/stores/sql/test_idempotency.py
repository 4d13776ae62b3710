"""The service as an object: opened, shared, closed."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from contextlib import closing
from datetime import timedelta

import asyncpg
import pytest
from postgres_server import postgres_url

from sourceflow import App
from sourceflow.errors import DependencyError, NotRunningError, StoreConfigurationError
from sourceflow.stores.sql import SqlIdempotency
from sourceflow.stores.sql.idempotency import LONGEST_KEY
from sourceflow.stores.sql.stores import SqlStores
from sourceflow.testing.clock import ManualClock

LEASE = timedelta(seconds=30)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.db"


def names(path):
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name for (name,) in found}


async def test_it_makes_the_tables_that_it_shares_with_stores(path):
    url = f"sqlite:///{path}"
    async with SqlIdempotency(url, prefix="shop_"):
        assert {"shop_idempotency", "shop_version"} < names(path)
    assert await SqlStores(url, prefix="shop_").migrate() == ()


async def test_it_runs_on_no_tables_where_it_must_not_make_them(path):
    path.touch()
    service = SqlIdempotency(f"sqlite:///{path}", create_schema=False)
    with pytest.raises(StoreConfigurationError, match="run `sourceflow db upgrade"):
        await service.__aenter__()
    assert names(path) == set()


async def test_keys_outlive_the_service(path):
    async with SqlIdempotency(f"sqlite:///{path}") as service:
        await service.mark_as_processed("k")
    async with SqlIdempotency(f"sqlite:///{path}") as service:
        assert await service.has_processed("k")


async def test_one_object_serves_several_apps(path):
    service = SqlIdempotency(f"sqlite:///{path}")
    async with App([], name="one", idempotency=service):
        async with App([], name="two", idempotency=service):
            await service.mark_as_processed("k")
        assert await service.has_processed("k")
    with pytest.raises(NotRunningError):
        await service.has_processed("k")
    async with service:
        assert await service.has_processed("k")


async def test_it_is_open_only_while_an_app_runs(path):
    service = SqlIdempotency(f"sqlite:///{path}")
    for work in (
        service.claim("k", LEASE),
        service.has_processed("k"),
        service.statistics(),
        service.clean(),
    ):
        with pytest.raises(NotRunningError, match=r"SqlIdempotency\('sqlite:///.*'\) is not open"):
            await work


async def test_an_app_cleans_it_in_its_interval(path):
    clock = ManualClock()
    service = SqlIdempotency(
        f"sqlite:///{path}", cleanup_interval=timedelta(minutes=5), clock=clock
    )
    async with App([], name="one", idempotency=service, clock=clock):
        await service.mark_as_processed("k", timedelta(minutes=5))
        await clock.advance(timedelta(minutes=4))
        assert (await service.statistics()).cache_size == 1
        while (await service.statistics()).cache_size:
            await clock.advance(timedelta(minutes=1))


async def test_keys_are_readable_unless_they_are_long(path):
    async with SqlIdempotency(f"sqlite:///{path}") as service:
        await service.mark_as_processed("shop /shop m-1")
        await service.mark_as_processed("x" * LONGEST_KEY)
        await service.mark_as_processed("x" * (LONGEST_KEY + 1))
    with closing(sqlite3.connect(path)) as connection:
        kept = {key for (key,) in connection.execute("SELECT key FROM sourceflow_idempotency")}
    assert {"shop /shop m-1", "x" * LONGEST_KEY} < kept
    (long,) = kept - {"shop /shop m-1", "x" * LONGEST_KEY}
    assert long.startswith("sha256:")


async def test_whoever_has_locked_the_file_is_waited_for_as_long_as_the_timeout(path):
    url, short = f"sqlite:///{path}", timedelta(seconds=0.2)
    async with SqlIdempotency(url) as patient, SqlIdempotency(url, timeout=short) as hasty:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(patient.claim("k", LEASE))
            with pytest.raises(DependencyError, match="database is locked"):
                async with asyncio.timeout(10):
                    await hasty.claim("k", LEASE)
            assert not waiting.done()
            other.execute("COMMIT")
            assert (await waiting).token


@pytest.mark.postgresql
@pytest.mark.parametrize("size", [1, 3])
async def test_it_makes_as_many_connections_as_its_pool_may_have(size):
    schema = f"t{secrets.token_hex(8)}"
    own = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{schema}%' AND pid <> $1"
    connection = await asyncpg.connect(postgres_url())
    try:
        async with SqlIdempotency(postgres_url(), schema=schema, pool_size=size) as service:
            await asyncio.gather(*(service.has_processed(f"k-{each}") for each in range(8)))
            assert await connection.fetchval(own, connection.get_server_pid()) == size
    finally:
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")
        await connection.close()


def test_an_interval_is_a_time_to_wait():
    with pytest.raises(ValueError, match="cleanup_interval is more than nothing, not 0:00:00"):
        SqlIdempotency("sqlite://", cleanup_interval=timedelta(0))


def test_an_address_that_cannot_be_read_is_refused_at_once():
    with pytest.raises(StoreConfigurationError):
        SqlIdempotency("mysql://root@host/keys")


async def test_an_app_does_not_start_without_its_service():
    app = App([], name="one", idempotency=SqlIdempotency("sqlite:////no/such/folder/keys.db"))
    with pytest.raises(StoreConfigurationError):
        await app.__aenter__()
    away = SqlIdempotency("postgresql://nobody@127.0.0.1:1/keys")
    with pytest.raises(DependencyError):
        await App([], name="one", idempotency=away).__aenter__()


async def test_a_table_that_cannot_be_made_leaves_nothing_open(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE sourceflow_idempotency_expires (of_whom TEXT)")
    service = SqlIdempotency(f"sqlite:///{path}")
    with pytest.raises(Exception, match="sourceflow_idempotency_expires"):
        await service.__aenter__()
    with pytest.raises(NotRunningError):
        await service.statistics()
