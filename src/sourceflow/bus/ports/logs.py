"""The two logs: what was asked of each entity, and what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from sourceflow.bus.changes import Stream
    from sourceflow.messages import Envelope, KeyType

__all__ = (
    "CommandLog",
    "EventLog",
    "Logged",
)


class Logged(NamedTuple):
    """One entry of a log.

    Attributes:
        position: The number in its stream, or the position in the event log.
        envelope: The message.
        stream: The stream that it belongs to; None for an event that arrived from elsewhere.
    """

    position: int
    envelope: Envelope[Any]
    stream: Stream | None


class CommandLog(Protocol):
    """The histories of entities: append-only, numbered 1, 2, 3 … without a gap in each stream."""

    def read(self, stream: Stream, *, after: int = 0) -> AsyncIterator[Logged]:
        """Return a stream's commands in order.

        Raises:
            ReplayError: A stored command can no longer be read; says which.
        """
        ...


class EventLog(Protocol):
    """Own events and arrived ones that a view uses: append-only, with a global position."""

    def read(
        self, *, after: int = 0, types: Collection[str] | None = None, key: KeyType | None = None
    ) -> AsyncIterator[Logged]:
        """Return events in order of position, of certain wire names or of one key only.

        Raises:
            ReplayError: A stored event can no longer be read; says which.
        """
        ...

    async def position(self) -> int:
        """Return the last position; 0 where there is none."""
        ...
