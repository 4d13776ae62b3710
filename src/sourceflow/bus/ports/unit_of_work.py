"""One transaction, and what it reads before its handler runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sourceflow.bus.changes import Changes, Claim, OutboxRow, Stream
    from sourceflow.bus.ports.stores import Reads
    from sourceflow.domain.connection import Connection
    from sourceflow.messages import KeyType

__all__ = (
    "Head",
    "Row",
    "UnitOfWork",
)

StateT = TypeVar("StateT")


class Head(NamedTuple):
    """What one read finds before a command is handled.

    Attributes:
        number: The last number of the stream; 0 before the first.
        entity: The entity, or None.
        claimed: Whether the command was handled before.
    """

    number: int
    entity: Any | None
    claimed: bool


class Row(NamedTuple, Generic[StateT]):
    """One row of a view model.

    Attributes:
        version: Counts its changes; 0 where there is no row.
        value: The row, or None.
    """

    version: int
    value: StateT | None


class UnitOfWork(Protocol):
    """One transaction around the handling of one message.

    Reads come first and take no write lock, unless a handler asks for a ``connection``. ``commit``
    is atomic, with all that was done on the connection: all of it or nothing. Leaving without a
    commit leaves nothing behind.

    A commit is shielded from cancellation: one that has begun is waited for, and only then does
    the cancellation go on. So nothing is written after the task that asked for it has ended.
    """

    @property
    def reads(self) -> Reads:
        """Where handlers read: it sees what was done on the connection."""
        ...

    async def connection(self) -> Connection:
        """Begin the transaction, if it has not begun, for SQL of the handler's own.

        Raises:
            NoConnectionError: The stores have no SQL.
            DependencyError: The database does not answer.
        """
        ...

    def check(self) -> None:
        """Say whether everything on the connection has succeeded; else nothing will be committed.

        Raises:
            SourceflowError: What the first failure was.
        """
        ...

    async def save(self) -> int:
        """Return a mark: the place between what one handler and the next do on the connection."""
        ...

    async def restore(self, mark: int) -> None:
        """Undo what was done on the connection since a mark, failures included.

        Args:
            mark: What ``save`` returned; 0 is the beginning.

        Raises:
            ConflictError: The database has undone more than that by itself.
        """
        ...

    async def head(self, stream: Stream, entity_type: type[Any], claim: Claim | None) -> Head:
        """Return the head of a stream and whether a claim is taken, in one read."""
        ...

    async def number(self, stream: Stream) -> int:
        """Return the number of a head, whatever its entity looks like; 0 before the first."""
        ...

    async def claimed(self, claims: Sequence[Claim]) -> Collection[Claim]:
        """Return those of the claims that are taken."""
        ...

    async def row(self, row_type: type[StateT], key: KeyType) -> Row[StateT]:
        """Return a row of a view model."""
        ...

    async def version(self, row_type: type[Any], key: KeyType) -> int:
        """Return the version of a row, whatever it looks like; 0 where there is none."""
        ...

    async def commit(self, changes: Changes) -> Sequence[OutboxRow]:
        """Write everything, or nothing.

        Returns:
            The outbox rows that may leave at once; others wait behind older rows of their stream.

        Raises:
            DuplicateError: A claim, or the command's place in the log, is taken.
            ConflictError: The stream's head or a row has moved on since it was read, or a
                scheduled command waits no more that is to be taken back.
            StatementError: What was done on the connection cannot be committed.
            DependencyError: The store does not answer; nothing is known to be written.
        """
        ...
