"""A unit of work while handlers run in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sourceflow.bus.event_bus import Rows
    from sourceflow.bus.ports import UnitOfWork

__all__ = ("Savepoint", "Work")


class Savepoint(NamedTuple):
    """A place to go back to.

    Attributes:
        rows: The rows of view models as they were.
        mark: What was done on the connection before.
    """

    rows: dict[Any, Any]
    mark: int


class Work(NamedTuple):
    """What handlers change before the commit, and the savepoint around each of them.

    Attributes:
        uow: The transaction.
        rows: Rows of view models as it sees them.
    """

    uow: UnitOfWork
    rows: Rows

    async def save(self) -> Savepoint:
        """Return a savepoint."""
        return Savepoint(self.rows.save(), await self.uow.save())

    async def restore(self, savepoint: Savepoint) -> None:
        """Go back to a savepoint."""
        self.rows.restore(savepoint.rows)
        await self.uow.restore(savepoint.mark)
