"""What is on its way out, and what has been handled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sourceflow.bus.changes import Claim, OutboxRow

__all__ = (
    "Inbox",
    "Outbox",
)


class Outbox(Protocol):
    """Messages on their way out. A row stays until it is known to have arrived.

    It shows the rows of the App that the stores were opened for; those of other Apps are theirs.
    """

    async def unsent(self) -> Sequence[OutboxRow]:
        """Return the rows of this App that wait, in the order of their commits."""
        ...

    async def sent(self, rows: Sequence[OutboxRow]) -> None:
        """Forget rows that have arrived."""
        ...

    async def depth(self) -> int:
        """Return how many rows of this App wait."""
        ...


class Inbox(Protocol):
    """The claims of what has been handled."""

    async def claimed(self, claims: Sequence[Claim]) -> Collection[Claim]:
        """Return those of the claims that are taken."""
        ...
