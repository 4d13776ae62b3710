"""Keys in a database."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from sqlalchemy import bindparam, case, delete, false, func, select, update

from sourceflow.bus.ports import ClaimState, Finding, HealthCheck, IdempotencyStatistics, KeyClaim
from sourceflow.bus.ports.idempotency import DAY
from sourceflow.clock import SystemClock
from sourceflow.errors import NotRunningError
from sourceflow.stores.sql.database import Statement, Statements, check_limits, open_database
from sourceflow.stores.sql.expiry import CLEANUP_INTERVAL, Expiry, check_interval
from sourceflow.stores.sql.migrations import Migrations
from sourceflow.stores.sql.schema import PREFIX, build_schema
from sourceflow.stores.sql.url import parse_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sourceflow.bus.ports import HealthOptions
    from sourceflow.clock import Clock
    from sourceflow.stores.sql.database import Database
    from sourceflow.stores.sql.schema import Schema

__all__ = ("SqlIdempotency",)

POOL_SIZE: Final = 10
"""Connections to PostgreSQL at most."""

LONGEST_KEY: Final = 500
"""Characters of a key that are kept as they are: PostgreSQL indexes at most 2,704 bytes of a value
(PostgreSQL manual, 65.1.4.1, B-tree structure)."""


class SqlIdempotency:
    """See ``sourceflow.bus.ports.Idempotency``: for all processes that work on one database.

    Each call is one statement, so it is atomic in every process. Times are those of the machines
    that ask: their clocks must agree to a small part of a lease.

    An App opens it when it starts, and closes it. One object may serve several Apps.

    Args:
        url: Where the database is: ``sqlite:///orders.db``, ``postgresql://user@host/orders``.
        cleanup_interval: How long an App waits between two deletions of expired keys.
        prefix: What the names of tables begin with. They are those of ``SqlStores``, which may share
            them.
        schema: The schema they stand in (PostgreSQL); None for the connection's own.
        create_schema: Whether tables are made, and brought up to date, when an App starts.
        pool_size: Connections to PostgreSQL at most.
        timeout: How long one statement, or getting hold of the database, may take.
        clock: The time.

    Raises:
        StoreConfigurationError: The URL cannot be read, or is of a database that is not supported.
        MissingExtraError: The driver is not installed.
        TypeError: ``pool_size`` is no whole number, or ``timeout`` no duration.
        ValueError: ``pool_size`` is less than 1, or a duration not positive.
    """

    def __init__(
        self,
        url: str,
        *,
        cleanup_interval: timedelta = CLEANUP_INTERVAL,
        prefix: str = PREFIX,
        schema: str | None = None,
        create_schema: bool = True,
        pool_size: int = POOL_SIZE,
        timeout: timedelta = timedelta(seconds=30),
        clock: Clock | None = None,
    ) -> None:
        self._url = parse_url(url)
        check_limits(pool_size=pool_size, timeout=timeout)
        self._cleanup_interval = check_interval(cleanup_interval)
        self._schema = build_schema(prefix=prefix, schema=schema)
        self._migrations = Migrations(self._url, self._schema)
        self._create_schema = create_schema
        self._pool_size = pool_size
        self._timeout = timeout
        self._clock = SystemClock() if clock is None else clock
        self._keys: _Keys | None = None
        self._inspected: _Keys | None = None
        self._users = 0
        self._opening = asyncio.Lock()
        self._checks = 0
        self._duplicates = 0

    @property
    def cleanup_interval(self) -> timedelta:
        """How long an App waits between two cleanings."""
        return self._cleanup_interval

    async def __aenter__(self) -> Self:
        """Connect, and bring the tables up to date; only the first of several Apps does.

        Raises:
            StoreConfigurationError: The database is not as it must be.
            DependencyError: It does not answer.
        """
        async with self._opening:
            if self._keys is None:
                self._keys = await self._open()
            self._users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect, when the last App has left."""
        async with self._opening:
            self._users -= 1
            if self._users:
                return
            keys, self._keys = self._open_keys, None
            await keys.database.aclose()

    @asynccontextmanager
    async def inspect(self) -> AsyncIterator[None]:
        """Connect to look at ``health_checks``; change nothing.

        Raises:
            StoreConfigurationError: The database cannot be opened.
            MissingExtraError: The driver is not installed.
            DependencyError: It does not answer.
        """
        database = await self._connect(create=False)
        self._inspected = _Keys.of(database, self._schema)
        try:
            yield
        finally:
            self._inspected = None
            await database.aclose()

    async def _connect(self, *, create: bool) -> Database:
        database = open_database(
            self._url, pool_size=self._pool_size, timeout=self._timeout, create=create
        )
        await database.open()
        return database

    async def _open(self) -> _Keys:
        create = self._create_schema
        database = await self._connect(create=create)
        migrations = self._migrations
        try:
            await database.administer(migrations.upgrade if create else migrations.check)
        except BaseException:
            await database.aclose()
            raise
        return _Keys.of(database, self._schema)

    @property
    def _open_keys(self) -> _Keys:
        if self._keys is None:
            raise NotRunningError(f"{self!r} is not open: start the App first")
        return self._keys

    async def claim(self, key: str, lease: timedelta) -> KeyClaim:
        """Claim a key for some time, unless it is processed or another owner's."""
        token = secrets.token_hex(8)
        now = self._clock.now()
        ((owner, expires),) = await self._write(
            "claim", key, token=token, now=now, expires=now + lease
        )
        if owner == token:
            self._count(is_duplicate=False)
            return KeyClaim(ClaimState.CLAIMED, token)
        if owner is None:
            self._count(is_duplicate=True)
            return KeyClaim(ClaimState.DONE)
        return KeyClaim(ClaimState.IN_PROGRESS, remaining=expires - now)

    async def extend(self, key: str, lease: timedelta, *, token: str) -> bool:
        """Let a claim last for the time of the lease from now."""
        expires = self._clock.now() + lease
        return bool(await self._write("extend", key, token=token, expires=expires))

    async def complete(self, key: str, ttl: timedelta = DAY, *, token: str) -> bool:
        """End a claim: the key is processed, and stays so for some time."""
        expires = self._clock.now() + ttl
        return bool(await self._write("complete", key, token=token, expires=expires))

    async def release(self, key: str, *, token: str) -> bool:
        """End a claim as if it had never been."""
        return bool(await self._write("release", key, token=token))

    async def has_processed(self, key: str) -> bool:
        """Return whether a key is processed."""
        keys = self._open_keys
        values = {"key": _kept(key), "now": self._clock.now()}
        processed = bool(await keys.database.read(keys.sql.processed, values))
        self._count(is_duplicate=processed)
        return processed

    async def mark_as_processed(self, key: str, ttl: timedelta = DAY) -> None:
        """Note that a key is processed, whoever has claimed it."""
        await self._write("mark", key, expires=self._clock.now() + ttl)

    async def remove(self, key: str) -> None:
        """Forget a key, claimed or processed."""
        await self._write("remove", key)

    async def statistics(self) -> IdempotencyStatistics:
        """Return what this object was asked, and how many keys are in the table."""
        keys = self._open_keys
        ((size,),) = await keys.database.read(keys.sql.size, {})
        return IdempotencyStatistics(self._checks, self._duplicates, size)

    async def clean(self) -> int:
        """Delete everything that has expired, in batches; return how many keys that were."""
        return await self._open_keys.expiry.delete(self._clock.now())

    def health_checks(self, options: HealthOptions) -> Sequence[HealthCheck]:  # noqa: ARG002 - the port's
        """Return the check of its database, where a health report needs one."""
        return (HealthCheck("idempotency", self._look),)

    async def _look(self) -> Finding:
        keys = self._inspected or self._open_keys
        await keys.database.probe(keys.sql.write_nothing)
        return Finding.healthy(f"{self._url} takes writes")

    async def _write(self, name: str, key: str, **values: Any) -> list[Any]:
        keys = self._open_keys
        statement: Statement = getattr(keys.sql, name)
        return await keys.database.write(statement, {"key": _kept(key), **values})

    def _count(self, *, is_duplicate: bool) -> None:
        self._checks += 1
        self._duplicates += is_duplicate

    def __repr__(self) -> str:
        return f"SqlIdempotency({str(self._url)!r})"


def _kept(key: str) -> str:
    """Return a key as the table has it: what no database takes stands there as its digest."""
    if len(key) <= LONGEST_KEY and key.isprintable():
        return key
    return f"sha256:{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()}"


class _Keys(NamedTuple):
    """The table and what works on it."""

    database: Database
    sql: _KeyStatements
    expiry: Expiry

    @classmethod
    def of(cls, database: Database, schema: Schema) -> Self:
        sql = _KeyStatements(schema, database.product)
        return cls(database, sql, Expiry(database, schema, schema.idempotency))


class _KeyStatements(Statements):
    """Statements on the table; a row without an owner is processed."""

    @cached_property
    def claim(self) -> Statement:
        """Take a key that is new or whose time is over; return whose it is now, and until when.

        A row that counts is written as it was: a conflict locks it and shows it, so there is
        nothing between the look and the claim.
        """
        table = self._schema.idempotency
        insert = self._insert(table).values(
            key=bindparam("key"), owner=bindparam("token"), expires=bindparam("expires")
        )
        is_over = table.c.expires <= bindparam("now")
        return self._compile(
            insert.on_conflict_do_update(
                index_elements=[table.c.key],
                set_={
                    name: case((is_over, insert.excluded[name]), else_=table.c[name])
                    for name in ("owner", "expires")
                },
            ).returning(table.c.owner, table.c.expires)
        )

    @cached_property
    def write_nothing(self) -> Statement:
        """Ask to write, and touch no row."""
        return self._compile(delete(self._schema.idempotency).where(false()))

    @cached_property
    def extend(self) -> Statement:
        return self._compile(self._update(expires=bindparam("expires")))

    @cached_property
    def complete(self) -> Statement:
        return self._compile(self._update(owner=None, expires=bindparam("expires")))

    @cached_property
    def release(self) -> Statement:
        table = self._schema.idempotency
        return self._compile(delete(table).where(*self._is_owners()).returning(table.c.key))

    @cached_property
    def processed(self) -> Statement:
        table = self._schema.idempotency
        return self._compile(
            select(table.c.key).where(
                table.c.key == bindparam("key"),
                table.c.owner.is_(None),
                table.c.expires > bindparam("now"),
            )
        )

    @cached_property
    def mark(self) -> Statement:
        table = self._schema.idempotency
        insert = self._insert(table).values(
            key=bindparam("key"), owner=None, expires=bindparam("expires")
        )
        return self._compile(
            insert.on_conflict_do_update(
                index_elements=[table.c.key],
                set_={"owner": None, "expires": insert.excluded.expires},
            ).inline()
        )

    @cached_property
    def remove(self) -> Statement:
        table = self._schema.idempotency
        return self._compile(delete(table).where(table.c.key == bindparam("key")))

    @cached_property
    def size(self) -> Statement:
        return self._compile(select(func.count()).select_from(self._schema.idempotency))

    def _update(self, **values: Any) -> Any:
        table = self._schema.idempotency
        return update(table).where(*self._is_owners()).values(values).returning(table.c.key)

    def _is_owners(self) -> tuple[Any, Any]:
        table = self._schema.idempotency
        return table.c.key == bindparam("key"), table.c.owner == bindparam("token")
