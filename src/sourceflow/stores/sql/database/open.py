"""Chooses the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.errors import MissingExtraError

if TYPE_CHECKING:
    from datetime import timedelta

    from sourceflow.stores.sql.database.port import Database
    from sourceflow.stores.sql.url import DatabaseUrl

__all__ = ("open_database",)


def open_database(
    url: DatabaseUrl, *, pool_size: int, timeout: timedelta, create: bool
) -> Database:
    """Return the database behind an address, not connected yet.

    Args:
        url: The address.
        pool_size: Connections to PostgreSQL at most.
        timeout: How long one statement, or getting hold of the database, may take.
        create: Whether a file that is not there is made (SQLite).

    Raises:
        MissingExtraError: The driver is not installed.
    """
    if url.product == "sqlite":
        from sourceflow.stores.sql.database.sqlite import SqliteDatabase  # noqa: PLC0415 - only where used

        return SqliteDatabase(url, timeout=timeout, create=create)
    try:
        from sourceflow.stores.sql.database.postgres import PostgresDatabase  # noqa: PLC0415 - needs asyncpg
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise MissingExtraError("postgres", "asyncpg") from error
    return PostgresDatabase(url, pool_size=pool_size, timeout=timeout)
