"""SQLite: one thread that writes, one that reads."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from sourceflow.errors import DependencyError, StoreConfigurationError
from sourceflow.resilience.uncut import uncut
from sourceflow.stores.sql.database.port import Unfulfilled
from sourceflow.stores.sql.database.sqlite_session import SqliteSession
from sourceflow.stores.sql.database.sqlite_steps import fetch, run_steps
from sourceflow.stores.sql.database.sqlite_thread import SqliteThread

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from sqlalchemy import Connection

    from sourceflow.stores.sql.database.port import Step
    from sourceflow.stores.sql.database.statement import Statement
    from sourceflow.stores.sql.url import DatabaseUrl

__all__ = ("SqliteDatabase",)

ResultT = TypeVar("ResultT")

OLDEST: Final = (3, 35)
"""The first version with RETURNING (https://www.sqlite.org/lang_returning.html)."""


class SqliteDatabase:
    """See ``sourceflow.stores.sql.database.Database``.

    Transactions that wait at the same time are committed together, with a savepoint each: the
    disk is waited for once. Write-ahead logging lets readers go on meanwhile; ``synchronous=FULL``
    keeps what is committed over a loss of power (https://www.sqlite.org/wal.html).
    """

    product: Literal["sqlite"] = "sqlite"

    def __init__(self, url: DatabaseUrl, *, timeout: timedelta) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise StoreConfigurationError(
                f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or newer is needed"
            )
        self._url = url
        connect = partial(_connect, url.path, timeout.total_seconds())
        self._writer = SqliteThread("write", connect, groups=True)
        in_memory = url.path == ":memory:"  # such a database belongs to one connection
        self._reader = self._writer if in_memory else SqliteThread("read", connect, groups=False)
        self.reads_beside_transactions = not in_memory

    async def open(self) -> None:
        """Open the file; it is made where it is not there."""
        try:
            await self._writer.start()
            await self._reader.start()
        except sqlite3.Error as error:
            await self.aclose()
            raise StoreConfigurationError(f"{self._url} cannot be opened: {error}") from error

    async def aclose(self) -> None:
        """End both threads, after what waits has run."""
        await self._reader.stop()
        await self._writer.stop()

    async def read(self, statement: Statement, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Return the rows of a query."""
        job = partial(fetch, statement.text, statement.arguments(values))
        return statement.rows(await self._answer(self._reader.submit(job)))

    async def write(self, statement: Statement, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Run one statement that writes."""
        job = partial(fetch, statement.text, statement.arguments(values))
        return statement.rows(await uncut(self._answer(self._writer.submit(job))))

    async def commit(self, steps: Sequence[Step]) -> list[list[Any]]:
        """Run steps in one transaction."""
        prepared = [(each, each.statement.arguments(each.values)) for each in steps]
        return await uncut(self._answer(self._writer.submit(partial(run_steps, prepared))))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqliteSession]:
        """Open a transaction; nobody else writes meanwhile."""
        session = SqliteSession()
        ended = self._writer.submit(session.serve, alone=True)
        with self._named():
            try:
                await session.begun(ended)
                yield session
            except BaseException:
                session.end(commit=False)
                await uncut(ended)
                raise
            session.end(commit=True)
            await uncut(ended)

    async def administer(self, work: Callable[[Connection], ResultT]) -> ResultT:
        """Run something on a SQLAlchemy connection, in one transaction."""
        job = self._writer.submit(partial(_administer, work), alone=True)
        result: ResultT = await uncut(self._answer(job))
        return result

    async def _answer(self, future: asyncio.Future[Any]) -> Any:
        with self._named():
            return await future

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Give the driver's errors the names of the port."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise Unfulfilled(str(error)) from error
        except sqlite3.OperationalError as error:
            if _is_outage(error):
                raise DependencyError(f"{self._url}: {error}") from error
            raise

    def __repr__(self) -> str:
        return f"SqliteDatabase({str(self._url)!r})"


def _connect(path: str, timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, cached_statements=512)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _administer(work: Callable[[Connection], ResultT], raw: sqlite3.Connection) -> ResultT:
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            raw.execute("BEGIN IMMEDIATE")
            result = work(connection)
            raw.execute("COMMIT")
        return result
    finally:
        if raw.in_transaction:
            raw.execute("ROLLBACK")


_OUTAGES: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}
"""Faults of the disk and of the neighbours, not of the statement
(https://www.sqlite.org/rescode.html)."""


def _is_outage(error: sqlite3.OperationalError) -> bool:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF in _OUTAGES
