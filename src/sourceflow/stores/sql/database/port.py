"""What the stores ask of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import Connection

    from sourceflow.stores.sql.database.statement import Statement
    from sourceflow.stores.sql.url import Product

__all__ = ("Database", "Reader", "Session", "Step", "Transaction", "Unfulfilled")

ResultT = TypeVar("ResultT")


class Unfulfilled(Exception):  # noqa: N818 - says what happened; the stores find out what it means
    """A step found other rows than it needed, or a row that must be new was there already.

    The transaction left nothing behind. Which step it was is not said: PostgreSQL runs them all
    in one statement. Who asked looks at the rows again to tell.
    """


class Step(NamedTuple):
    """One statement of a transaction.

    Attributes:
        statement: It writes; it may return the columns ``position`` and ``value``.
        values: The values of its parameters.
        rows: How many rows it must touch; None for any number.
    """

    statement: Statement
    values: Mapping[str, Any]
    rows: int | None = None


class Reader(Protocol):
    """What answers queries: a database, or a transaction on it."""

    async def read(self, statement: Statement, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Return the rows of a query."""
        ...


class Transaction(Reader, Protocol):
    """A transaction that is open: what the stores do in it when it is somebody else's."""

    async def run(self, steps: Sequence[Step]) -> list[list[Any]]:
        """Run steps; see ``Database.commit``."""
        ...


class Session(Transaction, Protocol):
    """A transaction that stays open over several statements.

    Every call raises ``DependencyError`` where the database does not answer.
    """

    async def write(self, statement: Statement, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Run a statement that writes; return what it returns."""
        ...

    async def execute(self, text: str, arguments: Sequence[Any]) -> list[Sequence[Any]]:
        """Run a statement that a user has written; return its rows.

        Raises:
            StatementError: It has failed. PostgreSQL takes nothing more then until ``restore``.
            ConflictError: The database has ended it for the sake of another transaction.
        """
        ...

    async def save(self, name: str) -> None:
        """Set a savepoint."""
        ...

    async def restore(self, name: str) -> None:
        """Go back to a savepoint, which stays.

        Raises:
            Unfulfilled: It is not there: the database has undone the whole transaction by itself.
        """
        ...

    async def undo(self) -> None:
        """Leave nothing behind, although the transaction ends without an exception."""
        ...


class Database(Reader, Protocol):
    """A database: short transactions and reads, nothing that waits for a handler.

    Every call raises ``DependencyError`` where the database does not answer. A write that was cut
    off may have taken effect.
    """

    @property
    def product(self) -> Product:
        """Which database it is."""
        ...

    @property
    def reads_beside_transactions(self) -> bool:
        """Whether ``read`` is answered while a ``transaction`` is open."""
        ...

    async def open(self) -> None:
        """Connect.

        Raises:
            StoreConfigurationError: It cannot be opened with this address.
        """
        ...

    async def aclose(self) -> None:
        """Let go of all connections, after what runs has ended."""
        ...

    async def write(self, statement: Statement, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Run one statement that writes, in a transaction of its own; return what it returns.

        A call that has begun is waited for when its task is cancelled.

        Raises:
            Unfulfilled: A row that must be new is there already.
        """
        ...

    async def commit(self, steps: Sequence[Step]) -> list[list[Any]]:
        """Run steps in one transaction: all of them, or none.

        No step may depend on rows that another one writes: their order is not promised. A call
        that has begun is waited for when its task is cancelled.

        Returns:
            For each step that returns something, the values of its rows in order of position.

        Raises:
            Unfulfilled: A step touched another number of rows than it must, or a row that must be
                new is there already; nothing was written.
        """
        ...

    async def probe(self, nothing: Statement) -> None:
        """See that it answers and would take a write; may be cancelled at any time.

        Args:
            nothing: A statement that asks to write and touches no row.

        Raises:
            DependencyError: It would not.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """Open a transaction; it is committed on leaving, and undone by an exception.

        On SQLite nobody else writes meanwhile.

        Raises:
            ConstraintError: A constraint that is looked at when it is committed is broken.
        """
        ...

    async def administer(self, work: Callable[[Connection], ResultT]) -> ResultT:
        """Run something on a SQLAlchemy connection, in one transaction that excludes its likes.

        For schemas, not for messages.
        """
        ...
