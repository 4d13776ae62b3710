"""Who shares a transaction with whom on SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest

from sourceflow.errors import DependencyError
from sourceflow.stores.sql.database.sqlite_thread import SqliteThread


def connect():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (x INTEGER UNIQUE)")
    return connection


@pytest.fixture
async def thread():
    thread = SqliteThread("test", connect, groups=True)
    await thread.start()
    yield thread
    await thread.stop()


def insert(number):
    return lambda connection: connection.execute("INSERT INTO t VALUES (?)", (number,)).rowcount


def in_transaction(connection):
    return connection.in_transaction


def count(connection):
    return connection.execute("SELECT count(*) FROM t").fetchone()[0]


async def behind_one_that_waits(thread, *jobs):
    """Hand jobs over while the thread is busy: it finds them together."""
    gate = threading.Event()
    first = thread.submit(lambda _: gate.wait(10))
    futures = [thread.submit(job, alone=alone) for job, alone in jobs]
    gate.set()
    await first
    return await asyncio.gather(*futures, return_exceptions=True)


async def test_jobs_that_wait_together_share_a_transaction_and_one_alone_does_not(thread):
    found = await behind_one_that_waits(
        thread, (in_transaction, False), (in_transaction, True), (in_transaction, False)
    )
    assert found == [True, False, True]


async def test_a_job_that_fails_takes_only_itself_back(thread):
    await thread.submit(insert(1))
    one, error, other = await behind_one_that_waits(
        thread, (insert(2), False), (insert(1), False), (insert(3), False)
    )
    assert (one, other, type(error)) == (1, 1, sqlite3.IntegrityError)
    assert await thread.submit(count, alone=True) == 3


async def test_a_single_job_that_fails_leaves_nothing_behind(thread):
    def insert_and_fail(connection):
        insert(1)(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await thread.submit(insert_and_fail)
    assert await thread.submit(count, alone=True) == 0


async def test_what_waits_is_done_before_it_stops_and_nothing_after(thread):
    gate = threading.Event()
    first = thread.submit(lambda _: gate.wait(10))
    last = thread.submit(insert(1))
    stopping = asyncio.create_task(thread.stop())
    await asyncio.sleep(0)
    with pytest.raises(DependencyError, match="closed"):
        await thread.submit(insert(2))
    gate.set()
    await stopping
    assert (first.result(), last.result()) == (True, 1)
