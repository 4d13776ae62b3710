"""Where messages are kept that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sourceflow.bus.dead_letter import DeadLetter, DeadLetterFilter

__all__ = ("DeadLetters",)


class DeadLetters(Protocol):
    """Messages that were given up, kept for people."""

    async def save(self, letter: DeadLetter) -> DeadLetter:
        """Keep a dead letter, once for each source and message id; the later one replaces.

        Returns:
            The record with its id.
        """
        ...

    async def get(self, letter_id: str) -> DeadLetter | None:
        """Return one record, or None."""
        ...

    async def query(
        self, where: DeadLetterFilter, *, limit: int = 100, skip: int = 0
    ) -> Sequence[DeadLetter]:
        """Return records, newest first."""
        ...

    async def count(self, where: DeadLetterFilter) -> int:
        """Return how many records there are."""
        ...

    async def mark_replayed(self, letter_id: str, time: datetime) -> bool:
        """Note that it was sent again; return whether there is such a record."""
        ...

    async def delete(self, letter_id: str) -> bool:
        """Remove a record; return whether there was one."""
        ...

    async def delete_older_than(self, time: datetime) -> int:
        """Remove what was given up before a time; return how many."""
        ...
