"""Stores in SQLite or PostgreSQL."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sourceflow.bus.ports import Finding, HealthCheck
from sourceflow.errors import NotRunningError
from sourceflow.stores.sql.database import check_limits, open_database
from sourceflow.stores.sql.dead_letters import SqlDeadLetters
from sourceflow.stores.sql.expiry import CLEANUP_INTERVAL, check_interval
from sourceflow.stores.sql.migrations import Migrations
from sourceflow.stores.sql.parts import Parts
from sourceflow.stores.sql.reads import SqlReads
from sourceflow.stores.sql.schema import PREFIX, build_schema
from sourceflow.stores.sql.shadow import SqlShadow
from sourceflow.stores.sql.unit_of_work import SqlUnitOfWork
from sourceflow.stores.sql.url import parse_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from sqlalchemy import Connection

    from sourceflow.bus.changes import Stream
    from sourceflow.bus.ports import HealthOptions, StoresContext
    from sourceflow.bus.query import Query
    from sourceflow.messages import KeyType
    from sourceflow.stores.sql.command_log import SqlCommandLog
    from sourceflow.stores.sql.database import Database
    from sourceflow.stores.sql.event_log import SqlEventLog
    from sourceflow.stores.sql.inbox import SqlInbox
    from sourceflow.stores.sql.migrations import SchemaState
    from sourceflow.stores.sql.outbox import SqlOutbox
    from sourceflow.stores.sql.schedule import SqlSchedule

__all__ = ("SqlStores",)

ResultT = TypeVar("ResultT")
StateT = TypeVar("StateT")

POOL_SIZE: Final = 20
"""Connections to PostgreSQL at most."""


class SqlStores:
    """Keeps everything in SQLite or PostgreSQL; an effect happens once, over crashes too.

    Where the App's transport says ``encrypt_at_rest``, messages, entities and rows of view models
    are encrypted in it.

    Args:
        url: Where the database is: ``sqlite:///orders.db``, ``postgresql://user@host/orders``.
        prefix: What the names of all tables begin with.
        schema: The schema they stand in (PostgreSQL); None for the connection's own.
        create_schema: Whether tables are made, and brought up to date, when an App starts. Otherwise
            it does not start until `sourceflow db upgrade` or ``migrate`` has done it.
        cleanup_interval: How long to wait between two deletions of expired claims.
        pool_size: Connections to PostgreSQL at most.
        timeout: How long one statement, or getting hold of the database, may take.

    Raises:
        StoreConfigurationError: The URL cannot be read, is of a database that is not supported, or
            tables cannot be named like this.
        TypeError: ``pool_size`` is no whole number, or ``timeout`` no duration.
        ValueError: ``pool_size`` is less than 1, or a duration not positive.
    """

    durable = True
    """A commit outlives the process."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str = PREFIX,
        schema: str | None = None,
        create_schema: bool = True,
        cleanup_interval: timedelta = CLEANUP_INTERVAL,
        pool_size: int = POOL_SIZE,
        timeout: timedelta = timedelta(seconds=30),
    ) -> None:
        self._url = parse_url(url)
        check_limits(pool_size=pool_size, timeout=timeout)
        self._schema = build_schema(prefix=prefix, schema=schema)
        self._migrations = Migrations(self._url, self._schema)
        self._create_schema = create_schema
        self._cleanup_interval = check_interval(cleanup_interval)
        self._pool_size = pool_size
        self._timeout = timeout
        self._opened: Parts | None = None
        self._dead_letters: SqlDeadLetters | None = None

    async def open(self, context: StoresContext) -> None:
        """Connect, and bring the tables up to date or see that they are.

        Raises:
            StoreConfigurationError: The database is not as it must be.
            MissingExtraError: The driver is not installed.
            DependencyError: It does not answer.
        """
        create = self._create_schema and not context.operating
        database = await self._connect(create=create)
        parts = Parts.of(database, self._schema, context)
        migrations = self._migrations
        try:
            await database.administer(migrations.upgrade if create else migrations.check)
            await parts.events.open()
            await parts.view_models.open(context.view_models)
        except BaseException:
            await database.aclose()
            raise
        self._dead_letters = SqlDeadLetters(database, self._schema, parts.vault)
        self._opened = parts

    async def migrate(self) -> tuple[str, ...]:
        """Bring the tables up to date, whether an App runs on them or not.

        An App does it when it starts, unless ``create_schema`` is False. Several may do it at the
        same time: they wait for each other.

        Returns:
            The revisions that have run, oldest first; none where nothing was to be done.

        Raises:
            StoreConfigurationError: The database is not as it must be.
            MissingExtraError: The driver is not installed.
            DependencyError: It does not answer.
        """
        return await self._administer(self._migrations.upgrade, create=True)

    async def schema_state(self) -> SchemaState:
        """Look at which revision the tables are, without changing anything.

        Raises:
            StoreConfigurationError: The database is not as it must be.
            MissingExtraError: The driver is not installed.
            DependencyError: It does not answer.
        """
        return await self._administer(self._migrations.state, create=False)

    def schema_sql(self) -> str:
        """Return what makes the tables in an empty database, as SQL to be run by hand."""
        return self._migrations.sql()

    async def _administer(self, work: Callable[[Connection], ResultT], *, create: bool) -> ResultT:
        if self._opened is not None:
            return await self._opened.database.administer(work)
        database = await self._connect(create=create)
        try:
            return await database.administer(work)
        finally:
            await database.aclose()

    async def _connect(self, *, create: bool) -> Database:
        database = open_database(
            self._url, pool_size=self._pool_size, timeout=self._timeout, create=create
        )
        await database.open()
        return database

    async def aclose(self) -> None:
        """Give the outbox rows of this instance up to others, and disconnect."""
        opened, self._opened = self._opened, None
        if opened is not None:
            try:
                await opened.outbox.leave()
            finally:
                await opened.database.aclose()

    @property
    def _open(self) -> Parts:
        if self._opened is None:
            raise NotRunningError("the stores are not open: start the App first")
        return self._opened

    @property
    def cleanup_interval(self) -> timedelta:
        """How long an App waits between two cleanings."""
        return self._cleanup_interval

    async def clean(self) -> int:
        """Delete the claims that have expired, in batches; return how many.

        Raises:
            DependencyError: The database does not answer.
        """
        return await self._open.inbox.clean()

    def health_checks(self, options: HealthOptions) -> Sequence[HealthCheck]:  # noqa: ARG002 - the port's
        """Return the check of the database: that it answers, and would take a write."""
        return (HealthCheck("database", self._look),)

    async def _look(self) -> Finding:
        await self._open.outbox.probe()
        return Finding.healthy(f"{self._url} takes writes")

    @asynccontextmanager
    async def inspect(self, context: StoresContext) -> AsyncIterator[None]:
        """Connect to look at the outbox, at dead letters and at ``health_checks``; change nothing.

        Raises:
            StoreConfigurationError: The database cannot be opened, or its tables are not as this
                version needs them.
            MissingExtraError: The driver is not installed.
            DependencyError: It does not answer.
        """
        database = await self._connect(create=False)
        self._opened = Parts.of(database, self._schema, context)
        self._dead_letters = SqlDeadLetters(database, self._schema, self._opened.vault)
        try:
            await database.administer(self._migrations.check)
            yield
        finally:
            self._opened = None
            await database.aclose()

    def begin(self) -> SqlUnitOfWork:
        """Begin a unit of work."""
        return SqlUnitOfWork(self._open)

    @property
    def _reads(self) -> SqlReads:
        return SqlReads(self._open, None)

    async def load(self, stream: Stream, entity_type: type[StateT]) -> StateT | None:
        """Return an entity, or None."""
        return await self._reads.load(stream, entity_type)

    async def find(self, row_type: type[StateT], key: KeyType) -> StateT | None:
        """Return a row, or None."""
        return await self._reads.find(row_type, key)

    async def query(self, query: Query[StateT]) -> list[StateT]:
        """Return rows."""
        return await self._reads.query(query)

    async def shadow(self, row_type: type[Any], *, resume: bool) -> SqlShadow:
        """Begin rows beside those that count."""
        parts = self._open
        await parts.view_models.ready(row_type)
        shadow = SqlShadow(
            database=parts.database,
            sql=parts.view_models.shadow_statements(row_type),
            codec=parts.codec,
            vault=parts.vault,
            events=parts.events,
            inbox=parts.inbox,
            row_type=row_type,
        )
        await shadow.begin(resume=resume)
        return shadow

    @property
    def outbox(self) -> SqlOutbox:
        """Messages on their way out."""
        return self._open.outbox

    @property
    def inbox(self) -> SqlInbox:
        """What has been handled."""
        return self._open.inbox

    @property
    def schedule(self) -> SqlSchedule:
        """Commands that wait until they are due."""
        return self._open.schedule

    @property
    def commands(self) -> SqlCommandLog:
        """The command log."""
        return self._open.commands

    @property
    def events(self) -> SqlEventLog:
        """The event log."""
        return self._open.events

    @property
    def dead_letters(self) -> SqlDeadLetters:
        """Messages that were given up."""
        if self._dead_letters is None:
            raise NotRunningError("the stores are not open: start the App first")
        return self._dead_letters

    def __repr__(self) -> str:
        return f"SqlStores({str(self._url)!r})"
