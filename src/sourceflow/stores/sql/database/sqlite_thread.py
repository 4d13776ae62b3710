"""A thread that owns one connection to SQLite, and runs what waits in groups."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from sourceflow.errors import DependencyError

__all__ = ("Job", "SqliteThread", "settle")

GROUP: Final = 100
"""Jobs of one group at most: none waits much longer for its answer than the disk takes."""

Job = Callable[[sqlite3.Connection], Any]
"""Something to do on the connection."""


class SqliteThread:
    """Runs jobs one after the other on a connection of its own.

    Invariant: a job's answer is given only after its group is committed; a job that raises leaves
    nothing behind and does not concern the others.

    Args:
        name: What it does, for people.
        connect: Opens the connection.
        groups: Whether jobs write: those that wait together then share one transaction, with a
            savepoint each. Others run one by one, without any.
    """

    def __init__(
        self, name: str, connect: Callable[[], sqlite3.Connection], *, groups: bool
    ) -> None:
        self._connect = connect
        self._groups = groups
        self._thread = threading.Thread(
            target=self._main, name=f"sourceflow sqlite {name}", daemon=True
        )
        self._jobs: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._next_alone: _Waiting | None = None
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started: asyncio.Future[None] | None = None
        self._ended: asyncio.Event = asyncio.Event()

    async def start(self) -> None:
        """Connect; does nothing where it has begun.

        Raises:
            sqlite3.Error: The file cannot be opened.
            StoreConfigurationError: Its file system does not do.
        """
        if self._started is None:
            self._loop = asyncio.get_running_loop()
            self._started = self._loop.create_future()
            self._thread.start()
        await asyncio.shield(self._started)

    async def stop(self) -> None:
        """Run what waits, then end; does nothing where it never began."""
        if self._started is None:
            return
        self._stopping = True
        self._jobs.put(None)
        await self._ended.wait()

    def submit(self, job: Job, *, alone: bool = False) -> asyncio.Future[Any]:
        """Hand over a job; its result comes by the future.

        Args:
            job: What to do.
            alone: Whether it begins and ends transactions itself, and shares none.
        """
        assert self._loop is not None  # started
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._stopping:
            future.set_exception(DependencyError("the stores are closed"))
        else:
            self._jobs.put(_Waiting(job, future, alone))
        return future

    def _main(self) -> None:
        """Be the thread."""
        assert self._loop is not None
        assert self._started is not None
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 - it belongs to who has started us
            self._tell([_Answer(self._started, None, error)])
            self._loop.call_soon_threadsafe(self._ended.set)
            return
        self._tell([_Answer(self._started, None, None)])
        try:
            while jobs := self._next():
                self._tell(self._run_group(connection, jobs))
        finally:
            connection.close()
            self._loop.call_soon_threadsafe(self._ended.set)

    def _next(self) -> list[_Waiting]:
        """Wait for jobs; return none where it is time to end."""
        first, self._next_alone = self._next_alone or self._jobs.get(), None
        if first is None:
            return []
        group = [first]
        while not first.alone and len(group) < GROUP:
            try:
                each = self._jobs.get_nowait()
            except queue.Empty:
                break
            if each is None:
                self._jobs.put(None)  # the last there is
                break
            if each.alone:
                self._next_alone = each
                break
            group.append(each)
        return group

    def _tell(self, answers: list[_Answer]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(_settle_all, answers)

    def _run_group(self, connection: sqlite3.Connection, jobs: list[_Waiting]) -> list[_Answer]:
        if jobs[0].alone or not self._groups:
            return [_run_one(connection, each) for each in jobs]
        try:
            connection.execute("BEGIN IMMEDIATE")
            if len(jobs) == 1:  # who is alone needs no savepoint
                answers = [_Answer(jobs[0].future, jobs[0].job(connection), None)]
            else:
                answers = [_run_in_savepoint(connection, each) for each in jobs]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - it belongs to who asked
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return [_Answer(each.future, None, error) for each in jobs]
        return answers


class _Waiting(NamedTuple):
    job: Job
    future: asyncio.Future[Any]
    alone: bool


class _Answer(NamedTuple):
    future: asyncio.Future[Any]
    result: Any
    error: BaseException | None


def _run_one(connection: sqlite3.Connection, waiting: _Waiting) -> _Answer:
    try:
        return _Answer(waiting.future, waiting.job(connection), None)
    except Exception as error:  # noqa: BLE001 - it belongs to who asked
        return _Answer(waiting.future, None, error)


def _run_in_savepoint(connection: sqlite3.Connection, waiting: _Waiting) -> _Answer:
    """Run a job so that its failure takes only itself back.

    Raises:
        sqlite3.Error: The whole transaction is lost (disk full, for one): SQLite has rolled it back.
    """
    connection.execute("SAVEPOINT job")
    try:
        result = waiting.job(connection)
    except Exception as error:
        if not connection.in_transaction:  # SQLite has undone everybody's part
            raise
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return _Answer(waiting.future, None, error)
    connection.execute("RELEASE job")
    return _Answer(waiting.future, result, None)


def _settle_all(answers: list[_Answer]) -> None:
    for answer in answers:
        settle(*answer)


def settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    """Give an answer to who still waits for it; to be called in the event loop."""
    if future.done():  # who asked has given up
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
