"""What jobs on a connection to SQLite do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow.stores.sql.database.port import Unfulfilled

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from sourceflow.stores.sql.database.port import Step

__all__ = ("fetch", "run_steps")


def fetch(text: str, arguments: Sequence[Any], connection: sqlite3.Connection) -> list[Any]:
    """Run one statement; return its rows."""
    return connection.execute(text, arguments).fetchall()


def run_steps(
    prepared: Sequence[tuple[Step, list[Any]]], connection: sqlite3.Connection
) -> list[list[Any]]:
    """Run steps one after the other; return what they return.

    Raises:
        Unfulfilled: One touched another number of rows than it must.
    """
    results: list[list[Any]] = []
    for step, arguments in prepared:
        cursor = connection.execute(step.statement.text, arguments)
        if step.statement.returns:
            found = cursor.fetchall()
            touched = len(found)
            results.append([value for _, value in sorted(found)])
        else:
            touched = cursor.rowcount
        if step.rows is not None and touched != step.rows:
            raise Unfulfilled(f"{touched} rows, not {step.rows}")
    return results
