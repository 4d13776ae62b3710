"""A transaction on SQLite that stays open over several statements."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sourceflow.errors import ConstraintError, StatementError
from sourceflow.stores.sql.database.port import Unfulfilled
from sourceflow.stores.sql.database.sqlite_steps import fetch, run_steps
from sourceflow.stores.sql.database.sqlite_thread import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sourceflow.stores.sql.database.port import Step
    from sourceflow.stores.sql.database.sqlite_thread import Job
    from sourceflow.stores.sql.database.statement import Statement

__all__ = ("SqliteSession",)


class _Call(NamedTuple):
    job: Job
    future: asyncio.Future[Any]


class SqliteSession:
    """See ``sourceflow.stores.sql.database.Session``: keeps the writing thread until it ends.

    Invariant: ``serve`` ends only after ``end`` was called, and leaves no transaction open.

    Args:
        named: Gives the driver's errors the names of the port.
    """

    def __init__(self, named: Callable[[], AbstractContextManager[None]]) -> None:
        self._named = named
        self._loop: Final = asyncio.get_running_loop()
        self._calls: queue.SimpleQueue[_Call | bool] = queue.SimpleQueue()
        self._undone = False
        self._begun: asyncio.Future[None] = self._loop.create_future()

    async def begun(self, ended: asyncio.Future[Any]) -> None:
        """Wait until the thread is ours.

        Raises:
            sqlite3.Error: It could not begin.
        """
        await asyncio.wait((self._begun, ended), return_when=asyncio.FIRST_COMPLETED)
        if not self._begun.done():
            ended.result()

    async def read(self, statement: Statement, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Return the rows of a query."""
        job = partial(fetch, statement.text, statement.arguments(values))
        return statement.rows(await self._call(job))

    write = read

    async def run(self, steps: Sequence[Step]) -> list[list[Any]]:
        """Run steps."""
        prepared = [(each, each.statement.arguments(each.values)) for each in steps]
        results: list[list[Any]] = await self._call(partial(run_steps, prepared))
        return results

    async def execute(self, text: str, arguments: Sequence[Any]) -> list[Sequence[Any]]:
        """Run a statement that a user has written."""
        try:
            rows: list[Sequence[Any]] = await self._call(partial(fetch, text, arguments))
        except Unfulfilled as error:
            raise ConstraintError(str(error)) from error
        except (sqlite3.Error, OverflowError, ValueError) as error:
            raise StatementError(str(error)) from error
        return rows

    async def save(self, name: str) -> None:
        """Set a savepoint."""
        await self._call(partial(fetch, f"SAVEPOINT {name}", ()))

    async def restore(self, name: str) -> None:
        """Go back to a savepoint."""
        try:
            await self._call(partial(fetch, f"ROLLBACK TO {name}", ()))
        except sqlite3.OperationalError as error:
            raise Unfulfilled(str(error)) from error

    async def undo(self) -> None:
        """Leave nothing behind."""
        self._undone = True

    async def _call(self, job: Job) -> Any:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._calls.put(_Call(job, future))
        with self._named():
            return await future

    def end(self, *, commit: bool) -> None:
        """Let the thread go, after what was asked for."""
        self._calls.put(commit and not self._undone)

    def serve(self, connection: sqlite3.Connection) -> None:
        """Be the thread's job: run calls until the end.

        Raises:
            sqlite3.Error: The transaction could not begin, or not be committed.
        """
        connection.execute("BEGIN IMMEDIATE")
        self._loop.call_soon_threadsafe(settle, self._begun, None, None)
        try:
            while not isinstance(call := self._calls.get(), bool):
                try:
                    _check(connection)
                    result, error = call.job(connection), None
                except Exception as caught:  # noqa: BLE001 - it belongs to who asked
                    result, error = None, caught
                self._loop.call_soon_threadsafe(settle, call.future, result, error)
            if call:
                connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _check(connection: sqlite3.Connection) -> None:
    """Let nothing run outside of the transaction, where it would be committed by itself.

    Raises:
        Unfulfilled: SQLite has rolled it back: the disk is full, or a statement has said so
            (https://www.sqlite.org/lang_conflict.html).
    """
    if not connection.in_transaction:
        raise Unfulfilled("SQLite has rolled the transaction back")
