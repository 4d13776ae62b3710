"""Rows of a view model that are built beside those that count."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from sourceflow.bus.ports.logs import Logged
from sourceflow.messages import KeyType

__all__ = ("Project", "Shadow")

Project = Callable[[Sequence[Logged]], Awaitable[Mapping[KeyType, Any | None]]]
"""Projects events: returns the rows that they change, None for one that they remove."""


class Shadow(Protocol):
    """Rows of a view model that are built beside those that count, until they take their place.

    Only the last one begun for a view model can go on.
    """

    @property
    def position(self) -> int:
        """The event log's last position that its rows take in; 0 at the beginning."""
        ...

    async def load(self, keys: Collection[KeyType]) -> Mapping[KeyType, Any]:
        """Return those of its rows that are there."""
        ...

    async def save(self, rows: Mapping[KeyType, Any | None], *, position: int) -> None:
        """Keep rows, None for one that is removed, and the position that they take in.

        Raises:
            ConflictError: Another one was begun.
        """
        ...

    async def swap(
        self, project: Project, *, types: Collection[str], claims: Collection[tuple[str, str]]
    ) -> int | None:
        """Put it in the place of the rows that count, in one transaction.

        Writers of the view model wait meanwhile. Events that came since ``position`` are projected
        by it; who read a row before finds another one, or none, and loses the race.

        Args:
            project: Projects what is left.
            types: The wire names of the events that it takes in.
            claims: Wire name and subscriber: who must not handle an event of such a type any more
                that it takes in.

        Returns:
            How many rows there are now; None, and nothing is changed, where too many events are
            left: ``save`` them first.

        Raises:
            ConflictError: Another one was begun.
        """
        ...
