"""The way to the database for SQL of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Clause", "Connection")


class Clause(Protocol):
    """A statement of SQLAlchemy Core: ``select``, ``insert``, ``update``, ``delete``, ``text``."""

    def compile(self, bind: Any = None, dialect: Any = None) -> Any:
        """Make the SQL of it."""
        ...


class Connection(Protocol):
    """What ``await self.connection()`` returns: runs statements in the handler's transaction.

    Statements run one after the other, also where several tasks of the handler ask for them.
    """

    async def execute(
        self, statement: str | Clause, parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement.

        A Core statement takes and gives values as its columns' types say. A text has parameters
        as ``:name``, written as for SQLAlchemy's ``text``; its rows are as the driver gives them.
        A statement is compiled once: keep the object, and give what changes as parameters.

        Args:
            statement: The SQL; it cannot begin or end transactions.
            parameters: The values of its parameters; of an INSERT or UPDATE, also of its columns.

        Returns:
            Its rows; none for a statement that yields none.

        Raises:
            StatementError: It cannot be run, or has failed; the handler then fails, whatever it
                does. ``ConstraintError`` says that a constraint was broken.
            ConflictError: The database has ended it for the sake of another transaction: the
                handler runs again.
            HandlerEndedError: The handler has returned.
            DependencyError: The database does not answer.
        """
        ...
