"""A database of a test's own, which several processes may open."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
from encrypted_stores import EncryptedStores
from postgres_server import own_schema, postgres_url

from sourceflow.stores.sql import SqlStores
from sourceflow.transports.aws import LocalKeyProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ("SqlDatabase", "own_database")


@dataclass(frozen=True)
class SqlDatabase:
    """Where it is.

    Attributes:
        url: Its address.
        schema: The schema in it that is the test's own; None on SQLite.
        key: Encrypts what is kept; None in clear.
    """

    url: str
    schema: str | None = None
    key: bytes | None = None

    @property
    def product(self) -> str:
        """Which database it is."""
        return "sqlite" if self.schema is None else "postgresql"

    @property
    def path(self) -> str:
        """The file of a SQLite database."""
        return self.url.removeprefix("sqlite:///")

    def stores(self, **options: Any) -> SqlStores:
        """Return stores in it."""
        if self.key is None:
            return SqlStores(self.url, schema=self.schema, **options)
        keys = LocalKeyProvider(self.key)
        return EncryptedStores(self.url, keys, schema=self.schema, **options)

    def name(self, table: str) -> str:
        """Return a table's name with the schema."""
        return table if self.schema is None else f"{self.schema}.{table}"

    async def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement beside the stores, as a user's tool does; return its rows."""
        if self.schema is None:
            path = self.url.removeprefix("sqlite:///")
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as file:
                return file.execute(statement).fetchall()
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()


@asynccontextmanager
async def own_database(product: str, folder: Path) -> AsyncIterator[SqlDatabase]:
    """Make a database, and remove it afterwards."""
    if product == "sqlite":
        yield SqlDatabase(f"sqlite:///{folder / 'stores.db'}")
        return
    async with own_schema() as schema:
        yield SqlDatabase(postgres_url(), schema)
