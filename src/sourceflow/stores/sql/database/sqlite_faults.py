"""What SQLite's result codes mean (https://www.sqlite.org/rescode.html)."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from sourceflow.errors import DependencyError, StoreConfigurationError

if TYPE_CHECKING:
    from sourceflow.stores.sql.url import DatabaseUrl

__all__ = ("is_busy", "is_outage", "refusal")

_LASTING: Final = {
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
"""Faults that are there when a file is opened, and that no later try mends."""

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
"""Faults of the disk and of the neighbours, not of the statement."""


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether somebody else has the database."""
    return _code(error) == sqlite3.SQLITE_BUSY


def is_outage(error: sqlite3.Error) -> bool:
    """Return whether what ran well before may run well again."""
    return _code(error) in _OUTAGES


def refusal(url: DatabaseUrl, error: sqlite3.Error) -> Exception:
    """Return what it means that a database cannot be opened, or its tables not be made."""
    if _code(error) in _LASTING:
        return StoreConfigurationError(f"{url} cannot be used: {error}")
    if _code(error) in _OUTAGES:
        return DependencyError(f"{url}: {error}")
    return error


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF
