"""What is on its way out, and what has been handled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sourceflow.bus.changes import Claim, Destination, OutboxRow

__all__ = (
    "Inbox",
    "Outbox",
    "Parked",
)


class Parked(NamedTuple):
    """An outbox row that nobody could read.

    Attributes:
        position: Its number in the outbox.
        type_name: The wire name of its message's type.
        message_id: The message's id.
        destination: Where it should have gone.
        reason: ``UnknownType`` or ``Malformed``.
        created: When it was written.
    """

    position: int
    type_name: str
    message_id: str
    destination: Destination
    reason: str
    created: datetime


class Outbox(Protocol):
    """Messages on their way out. A row stays until it is known to have arrived.

    It shows the rows of the App that the stores were opened for; those of other Apps are theirs.
    """

    @property
    def behind(self) -> bool:
        """Whether ``take`` should be called soon: it may have rows that this process waits for."""
        ...

    async def take(self) -> Sequence[OutboxRow]:
        """Take over what nobody sends: rows of instances that have ended, and what was held back.

        To be called every few seconds: it also tells other instances that this one is alive.

        Returns:
            Rows to be sent, those of a lane (a source stream and a destination) in the order of
            their commits, and after all that were given out before.
        """
        ...

    async def unsent(self) -> Sequence[OutboxRow]:
        """Return the rows of this App that wait, in the order of their commits."""
        ...

    async def sent(self, rows: Sequence[OutboxRow]) -> None:
        """Forget rows that have arrived."""
        ...

    async def depth(self) -> int:
        """Return how many rows of this App wait."""
        ...

    async def oldest(self) -> datetime | None:
        """Return when the oldest row of this App that waits was written; None without any."""
        ...

    async def parked(self, *, limit: int = 100, after: int = 0) -> Sequence[Parked]:
        """Return what was set aside because nobody could read it for a day, oldest first.

        Args:
            limit: How many at most.
            after: The position of the last one of the page before.
        """
        ...

    async def unpark(self, positions: Sequence[int]) -> int:
        """Let parked rows wait for a sender again, for another day; return how many."""
        ...


class Inbox(Protocol):
    """The claims of what has been handled."""

    async def claimed(self, claims: Sequence[Claim]) -> Collection[Claim]:
        """Return those of the claims that are taken."""
        ...
