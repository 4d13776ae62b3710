"""SQLite: one thread that writes, one that reads."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from sourceflow.errors import ConstraintError, DependencyError, StoreConfigurationError
from sourceflow.resilience.uncut import uncut
from sourceflow.stores.sql.database.port import Unfulfilled
from sourceflow.stores.sql.database.sqlite_faults import is_busy, is_outage, refusal
from sourceflow.stores.sql.database.sqlite_session import SqliteSession
from sourceflow.stores.sql.database.sqlite_steps import fetch, run_steps
from sourceflow.stores.sql.database.sqlite_thread import SqliteThread

if TYPE_CHECKING:
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

_READ: Final = "SELECT count(*) FROM sqlite_master"
"""Reads the first page: it fails where the file cannot be read, or is no database any more."""


class SqliteDatabase:
    """See ``sourceflow.stores.sql.database.Database``.

    Transactions that wait at the same time are committed together, with a savepoint each: the
    disk is waited for once. Write-ahead logging lets readers go on meanwhile; ``synchronous=FULL``
    keeps what is committed over a loss of power (https://www.sqlite.org/wal.html).
    """

    product: Literal["sqlite"] = "sqlite"

    def __init__(self, url: DatabaseUrl, *, timeout: timedelta, create: bool) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise StoreConfigurationError(
                f"SQLite {sqlite3.sqlite_version} is too old: 3.35 or newer is needed"
            )
        self._url = url
        self._create = create
        connect = partial(_connect, url, timeout.total_seconds())
        self._writer = SqliteThread("write", connect, groups=True)
        # A database in memory belongs to one connection.
        self._reader = (
            self._writer if url.is_in_memory else SqliteThread("read", connect, groups=False)
        )
        self.reads_beside_transactions = not url.is_in_memory
        self._file: tuple[int, int] | None = None
        self._transactions = 0

    async def open(self) -> None:
        """Open the file; see ``sourceflow.stores.sql.database.Database``."""
        self._look()
        try:
            with self._refused():
                await self._writer.start()
                await self._reader.start()
        except BaseException:
            await self.aclose()
            raise
        if not self._url.is_in_memory:
            self._file = await asyncio.to_thread(_identity, self._url.path)

    def _look(self) -> None:
        """Say what is wrong with a path; SQLite itself only says that it cannot open it."""
        path = Path(self._url.path)
        if path.is_dir():
            raise StoreConfigurationError(f"{self._url} is a folder, not a file")
        if not path.parent.is_dir():
            raise StoreConfigurationError(
                f"{self._url} cannot be opened: the folder {path.parent} is not there"
            )
        if not (self._create or self._url.is_in_memory or path.exists()):
            raise StoreConfigurationError(
                f"{self._url} is not there: `sourceflow db upgrade` makes the file"
            )

    async def aclose(self) -> None:
        """End both threads, after what waits has run."""
        await self._reader.stop()
        await self._writer.stop()

    async def read(self, statement: Statement, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Return the rows of a query."""
        job = partial(fetch, statement.text, statement.arguments(values))
        with self._named():
            found = await self._reader.submit(job)
        return statement.rows(found)

    async def write(self, statement: Statement, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Run one statement that writes."""
        job = partial(fetch, statement.text, statement.arguments(values))
        with self._named():
            found = await uncut(self._writer.submit(job))
        return statement.rows(found)

    async def commit(self, steps: Sequence[Step]) -> list[list[Any]]:
        """Run steps in one transaction."""
        prepared = [(each, each.statement.arguments(each.values)) for each in steps]
        with self._named():
            return await uncut(self._writer.submit(partial(run_steps, prepared)))

    async def probe(self, nothing: Statement) -> None:
        """See that the file is the one that was opened, and that a write would be taken.

        SQLite goes on with a file that was removed, as if nothing had happened. While a transaction
        of our own is open others wait for it, and that is no fault: then only a read is tried.
        """
        if self._file is not None and self._file != await asyncio.to_thread(
            _identity, self._url.path
        ):
            raise DependencyError(
                f"{self._url}: the file that was opened is not there any more: what is written is lost"
            )
        with self._named():
            await self._reader.submit(partial(fetch, _READ, ()))
            if not self._transactions:
                await self._writer.submit(partial(fetch, nothing.text, ()))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqliteSession]:
        """Open a transaction; nobody else writes meanwhile."""
        self._transactions += 1
        try:
            async with self._transaction() as session:
                yield session
        finally:
            self._transactions -= 1

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[SqliteSession]:
        session = SqliteSession(self._named)
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
            try:
                await uncut(ended)
            except sqlite3.IntegrityError as error:  # no table of ours waits for the commit
                raise ConstraintError(str(error)) from error

    async def administer(self, work: Callable[[Connection], ResultT]) -> ResultT:
        """Run something on a SQLAlchemy connection, in one transaction."""
        job = self._writer.submit(partial(_administer, work), alone=True)
        with self._refused():
            result: ResultT = await uncut(job)
        return result

    @contextmanager
    def _refused(self) -> Iterator[None]:
        """Give faults of opening the file and of changing its schema the names of the port."""
        try:
            yield
        except sqlite3.Error as error:
            raise refusal(self._url, error) from error

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Give the driver's errors the names of the port."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise Unfulfilled(str(error)) from error
        except sqlite3.OperationalError as error:
            if is_outage(error):
                raise DependencyError(f"{self._url}: {error}") from error
            raise

    def __repr__(self) -> str:
        return f"SqliteDatabase({str(self._url)!r})"


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another one that stands in its place later."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(url: DatabaseUrl, timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        url.path, timeout=timeout, isolation_level=None, cached_statements=512
    )
    try:
        _check_journal(url, _write_ahead(connection))
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection) -> str:
    """Ask for write-ahead logging, which the file keeps; return the journal that it has then.

    SQLite does not wait for others here, as it does elsewhere: where several open a new file at the
    same time it says at once that the database is locked. So wait for them like any writer, and
    ask again.
    """
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        else:
            return str(mode)


def _check_journal(url: DatabaseUrl, mode: str) -> None:
    if mode not in {"wal", "memory"}:
        raise StoreConfigurationError(
            f"{url}: SQLite cannot write ahead here, its journal stays {mode!r}: it needs memory that "
            "processes share, which network file systems do not have"
        )


def _administer(work: Callable[[Connection], ResultT], raw: sqlite3.Connection) -> ResultT:
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    try:
        with engine.connect() as connection, connection.begin():
            raw.execute("BEGIN IMMEDIATE")
            return work(connection)
    except DBAPIError as error:
        raise (error.orig or error) from error  # the driver's own, as everywhere here
