"""A unit of work's transaction, opened early for SQL of the user's own."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from sourceflow.errors import (
    ConflictError,
    DependencyError,
    HandlerEndedError,
    SourceflowError,
    StatementError,
)
from sourceflow.resilience.uncut import uncut
from sourceflow.stores.sql.database import Unfulfilled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sourceflow.domain.connection import Clause
    from sourceflow.stores.sql.database import Database, Session, Statement, Step
    from sourceflow.stores.sql.own_statements import OwnStatements

__all__ = ("SqlConnection",)

log = logging.getLogger(__name__)


class SqlConnection:
    """See ``sourceflow.domain.Connection``: the transaction between ``begin`` and its end.

    Everything that its unit of work reads meanwhile goes through it too: it sees its own writes,
    and takes no second connection, of which there might be none left.

    Invariants: one thing at a time, in the order in which they were asked for, so a savepoint
    stands exactly around what one handler has asked for. After a failure nothing runs and nothing
    is committed before ``restore``: PostgreSQL would pretend to commit, and SQLite would commit
    half of what was meant.
    """

    __slots__ = ("_count", "_database", "_fault", "_lock", "_saved", "_session", "_sql", "_stack")

    def __init__(self, database: Database, sql: OwnStatements) -> None:
        self._database = database
        self._sql = sql
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._session: Session | None = None
        self._count = 0
        self._saved = 0
        self._fault: SourceflowError | None = None

    @property
    def is_open(self) -> bool:
        """Whether the transaction has begun and not ended."""
        return self._session is not None

    async def begin(self) -> None:
        """Begin the transaction, if it is not open."""
        async with self._lock:
            self._session = self._session or await self._stack.enter_async_context(
                self._database.transaction()
            )

    async def execute(
        self, statement: str | Clause, parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run a statement of the user's."""
        async with self._turn() as session:
            ready = self._sql.ready(statement, {} if parameters is None else parameters)
            await self._step(session)
            return ready.rows(await session.execute(ready.text, ready.arguments))

    async def read(self, statement: Statement, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Return the rows of a query of the stores."""
        async with self._turn() as session:
            await self._step(session)
            return await session.read(statement, values)

    async def run(self, steps: Sequence[Step]) -> list[list[Any]]:
        """Run steps of the stores that are no part of the commit."""
        async with self._turn() as session:
            await self._step(session)
            return await session.run(steps)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Session]:
        """Wait for one's turn; what fails in it is the end of the transaction."""
        async with self._lock:
            session = self._running()
            try:
                yield session
            except Unfulfilled as error:
                self._fault = ConflictError(str(error))
                raise self._fault from error
            except SourceflowError as error:
                self._fault = error
                raise
            except BaseException:
                self._fault = StatementError("a statement was cut off")
                raise

    async def _step(self, session: Session) -> None:
        """Count what follows, and set the savepoint that waits for it."""
        is_first = 0 < self._count == self._saved
        self._count += 1
        if is_first:
            await session.save(_name(self._saved))

    def _running(self) -> Session:
        self.check()
        if self._session is None:
            raise HandlerEndedError("a statement of its own")
        return self._session

    def check(self) -> None:
        """Say whether all statements have succeeded.

        Raises:
            SourceflowError: What the first failure was.
        """
        if self._fault is not None:
            raise self._fault

    async def save(self) -> int:
        """Return a mark to go back to; a savepoint is only set once a statement follows."""
        async with self._lock:
            self._saved = self._count
            return self._count

    async def restore(self, mark: int) -> None:
        """Undo what was done since a mark; from the beginning the transaction begins anew.

        Raises:
            ConflictError: The database has undone everything by itself.
        """
        async with self._lock:
            if self._session is None or (self._count == mark and self._fault is None):
                return
            if mark == 0:
                await uncut(self._end(commit=False))
            elif self._count > mark:
                try:
                    await uncut(self._session.restore(_name(mark)))
                except Unfulfilled as error:
                    raise ConflictError(str(error)) from error
            self._count, self._fault = mark, None

    async def commit(self, steps: Sequence[Step]) -> list[list[Any]]:
        """Run steps and commit; see ``Database.commit``.

        Raises:
            Unfulfilled: A step found other rows than it needed; nothing is left.
            StatementError: A statement had failed, or the transaction breaks a constraint.
        """
        return await uncut(self._commit(steps))

    async def _commit(self, steps: Sequence[Step]) -> list[list[Any]]:
        async with self._lock:
            session = self._running()
            try:
                results = await session.run(steps)
            except BaseException:
                await self._end(commit=False)
                raise
            await self._end(commit=True)
            return results

    async def roll_back(self) -> None:
        """Leave nothing behind."""
        await uncut(self._roll_back())

    async def _roll_back(self) -> None:
        async with self._lock:
            await self._end(commit=False)

    async def _end(self, *, commit: bool) -> None:
        session, self._session = self._session, None
        self._count, self._fault = 0, None
        if session is None:
            return
        if commit:
            await self._stack.aclose()
            return
        await session.undo()
        try:
            await self._stack.aclose()
        except DependencyError as error:  # what is not committed goes with its connection
            log.warning("a transaction ended before it could be rolled back: %s", error)


def _name(mark: int) -> str:
    return f"sourceflow_{mark}"
