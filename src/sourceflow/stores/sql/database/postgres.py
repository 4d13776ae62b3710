"""PostgreSQL by asyncpg."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from sourceflow.errors import (
    ConflictError,
    ConstraintError,
    DependencyError,
    StatementError,
    StoreConfigurationError,
)
from sourceflow.resilience.uncut import uncut
from sourceflow.stores.sql.database.combined import Combined, combine
from sourceflow.stores.sql.database.port import Unfulfilled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from sqlalchemy import Connection

    from sourceflow.stores.sql.database.port import Step
    from sourceflow.stores.sql.database.statement import Statement
    from sourceflow.stores.sql.url import DatabaseUrl

__all__ = ("PostgresDatabase",)

STEPS: Final = 60
"""Steps that are joined in one statement at most; longer transactions take several."""

_Connection = Any

ResultT = TypeVar("ResultT")


class PostgresDatabase:
    """See ``sourceflow.stores.sql.database.Database``.

    The steps of a transaction are joined into one statement, which is a transaction by itself:
    one round trip, and nothing is held between a handler's steps.
    """

    product: Literal["postgresql"] = "postgresql"
    reads_beside_transactions = True

    def __init__(self, url: DatabaseUrl, *, pool_size: int, timeout: timedelta) -> None:
        self._url = url
        self._pool_size = pool_size
        self._timeout = timeout.total_seconds()
        self._connecting: dict[str, Any] = {
            "dsn": url.url.set(drivername="postgresql").render_as_string(hide_password=False),
            "timeout": self._timeout,
            "server_settings": {"application_name": "sourceflow"},
        }
        self._pool: asyncpg.Pool | None = None
        self._combined: dict[tuple[tuple[Statement, int | None], ...], Combined] = {}

    async def open(self) -> None:
        """Connect once, to see that the address is right; other connections come as needed."""
        with self._named():
            self._pool = await asyncpg.create_pool(
                **self._connecting,
                min_size=1,
                max_size=self._pool_size,
                command_timeout=self._timeout,
                init=_see_what_was_committed,
                reset=_keep,
            )

    async def aclose(self) -> None:
        """Close the connections, after what runs on them has ended."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def read(self, statement: Statement, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Return the rows of a query."""
        async with self._connection() as connection:
            return statement.rows(
                await connection.fetch(statement.text, *statement.arguments(values))
            )

    async def write(self, statement: Statement, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Run one statement that writes."""
        return await uncut(self.read(statement, values))

    async def probe(self, nothing: Statement) -> None:
        """See that a write would be taken."""
        async with self._connection() as connection:
            try:
                await connection.execute(nothing.text)
            except asyncio.CancelledError:
                connection.terminate()  # whoever got it next would wait for what does not answer
                raise

    async def commit(self, steps: Sequence[Step]) -> list[list[Any]]:
        """Run steps in one transaction."""
        return await uncut(self._commit(steps))

    async def _commit(self, steps: Sequence[Step]) -> list[list[Any]]:
        async with self._connection() as connection:
            if len(steps) <= STEPS:
                return await self._run(connection, steps)
            async with connection.transaction():
                return await self.run_all(connection, steps)

    async def run_all(self, connection: _Connection, steps: Sequence[Step]) -> list[list[Any]]:
        """Run steps in a transaction that is open."""
        results: list[list[Any]] = []
        for start in range(0, len(steps), STEPS):
            results += await self._run(connection, steps[start : start + STEPS])
        return results

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresSession]:
        """Open a transaction."""
        async with self._connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            session = PostgresSession(self, connection)
            try:
                yield session
            except BaseException:
                await uncut(transaction.rollback())
                raise
            try:
                await uncut(transaction.rollback() if session.undone else transaction.commit())
            except asyncpg.IntegrityConstraintViolationError as error:
                raise ConstraintError(_said(error)) from error  # no table of ours waits that long

    async def administer(self, work: Callable[[Connection], ResultT]) -> ResultT:
        """Run something on a SQLAlchemy connection, in one transaction; one instance at a time."""
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect,
            isolation_level="READ COMMITTED",  # who has waited for the lock must see what was done
        )
        try:
            with self._named():
                async with engine.begin() as connection:
                    await connection.execute(_WAIT, {"time": f"{self._timeout * 1000:.0f}ms"})
                    await connection.execute(_LOCK)
                    return await connection.run_sync(work)
        finally:
            await engine.dispose()

    async def _connect(self) -> _Connection:
        return await asyncpg.connect(**self._connecting)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Give faults of opening the database and of changing its schema the names of the port."""
        try:
            yield
        except Exception as error:
            cause = _driver_error(error)
            if isinstance(cause, _REFUSED):
                raise StoreConfigurationError(f"{self._url} refuses: {cause}") from error
            if isinstance(cause, asyncpg.LockNotAvailableError):
                raise DependencyError(
                    f"{self._url}: somebody else is changing the schema, or uses a table that is "
                    f"to be changed, and has not ended after {self._timeout:g} s"
                ) from error
            if isinstance(cause, _OUTAGES):
                raise self.away(cause) from error
            raise

    async def _run(self, connection: _Connection, steps: Sequence[Step]) -> list[list[Any]]:
        combined = self._combine(steps)
        arguments: list[Any] = []
        for step in steps:
            arguments += step.statement.arguments(step.values)
        row = await connection.fetchrow(combined.text, *arguments)
        return [each or [] for each in list(row)[combined.checks :]]

    def _combine(self, steps: Sequence[Step]) -> Combined:
        """Return the steps as one statement; the shapes of transactions are few, and kept."""
        shape = tuple((step.statement, step.rows) for step in steps)
        found = self._combined.get(shape)
        if found is None:
            if len(self._combined) >= SHAPES:
                self._combined.clear()
            found = self._combined[shape] = combine(steps)
        return found

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        if self._pool is None:
            raise DependencyError("the stores are closed")
        with self.named():
            async with self._pool.acquire(timeout=self._timeout) as connection:
                yield connection

    @contextmanager
    def named(self) -> Iterator[None]:
        """Give the driver's errors the names of the port."""
        try:
            yield
        except _UNFULFILLED as error:
            raise Unfulfilled(str(error)) from error
        except asyncpg.InsufficientPrivilegeError as error:
            raise StoreConfigurationError(f"{self._url} refuses: {error}") from error
        except _OUTAGES as error:
            raise self.away(error) from error

    def away(self, error: BaseException) -> DependencyError:
        """Return what it means that the server does not answer."""
        return DependencyError(f"{self._url} does not answer: {str(error) or type(error).__name__}")

    def __repr__(self) -> str:
        return f"PostgresDatabase({str(self._url)!r})"


class PostgresSession:
    """See ``sourceflow.stores.sql.database.Session``."""

    __slots__ = ("_connection", "_database", "undone")

    def __init__(self, database: PostgresDatabase, connection: _Connection) -> None:
        self._database = database
        self._connection = connection
        self.undone = False

    async def read(self, statement: Statement, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Return the rows of a query."""
        arguments = statement.arguments(values)
        with self._database.named():
            return statement.rows(await self._connection.fetch(statement.text, *arguments))

    write = read

    async def run(self, steps: Sequence[Step]) -> list[list[Any]]:
        """Run steps."""
        with self._database.named():
            return await self._database.run_all(self._connection, steps) if steps else []

    async def execute(self, text: str, arguments: Sequence[Any]) -> list[Sequence[Any]]:
        """Run a statement that a user has written."""
        try:
            rows: list[Sequence[Any]] = await self._connection.fetch(text, *arguments)
        except _YIELDED as error:
            raise ConflictError(_said(error)) from error
        except asyncpg.IntegrityConstraintViolationError as error:
            raise ConstraintError(_said(error)) from error
        except (asyncpg.PostgresError, *_OUTAGES) as error:
            if self._is_away(error):
                raise self._database.away(error) from error
            raise StatementError(_said(error)) from error
        return rows

    def _is_away(self, error: Exception) -> bool:
        """Whether it is the server's fault: the driver complains of statements in the same words."""
        if not isinstance(error, asyncpg.InterfaceError):
            return isinstance(error, _OUTAGES)
        try:
            return bool(self._connection.is_closed())
        except asyncpg.InterfaceError:  # closed, and back in the pool
            return True

    async def save(self, name: str) -> None:
        """Set a savepoint."""
        with self._database.named():
            await self._connection.execute(f"SAVEPOINT {name}")

    async def restore(self, name: str) -> None:
        """Go back to a savepoint."""
        with self._database.named():
            try:
                await self._connection.execute(f"ROLLBACK TO {name}")
            except asyncpg.InvalidSavepointSpecificationError as error:
                raise Unfulfilled(_said(error)) from error

    async def undo(self) -> None:
        """Leave nothing behind."""
        self.undone = True


_LOCK: Final = text("SELECT pg_advisory_xact_lock(7311602954308871465)")
"""Waits until nobody else changes a schema: the number may be any that nobody else takes."""

_WAIT: Final = text("SELECT set_config('lock_timeout', :time, true)")
"""Says how long to wait for a lock, that one and those of tables, within this transaction."""

SHAPES: Final = 1_000
"""Shapes of transactions that are kept."""

_REFUSED: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedObjectError,  # a setting in the URL that there is not
    asyncpg.InvalidParameterValueError,
    asyncpg.ClientConfigurationError,
)
"""What no later try will mend."""

_YIELDED: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""Another transaction goes first; this one may go again."""

_UNFULFILLED: Final = (
    asyncpg.DivisionByZeroError,  # how a combined statement stops itself
    asyncpg.UniqueViolationError,
    *_YIELDED,
)

_OUTAGES: Final = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""Faults of the server and of the way to it (PostgreSQL manual, appendix A, error codes)."""


async def _see_what_was_committed(connection: _Connection) -> None:
    """Let each statement see what was committed before it, whatever the server's default is.

    Who has waited for a row, or for a table, must see what was done to it meanwhile.
    """
    await connection.execute(
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED"
    )


async def _keep(_connection: _Connection) -> None:
    """Save the round trip that would clean a connection: nothing here leaves anything on one."""


def _driver_error(error: Exception) -> BaseException:
    """Return what asyncpg has raised, out of what SQLAlchemy has made of it."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


def _said(error: Exception) -> str:
    """Return what the server has said, without the details, which quote values."""
    return str(error.args[0]) if error.args else type(error).__name__
