"""The two logs: what was asked of each entity, and what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection
    from datetime import datetime

    from sourceflow.bus.changes import Stream
    from sourceflow.messages import Envelope, KeyType

__all__ = (
    "CommandLog",
    "EventLog",
    "Logged",
    "LoggedCommand",
)


class LoggedCommand(NamedTuple):
    """One entry of the command log.

    Attributes:
        position: The number in its stream.
        envelope: The message; its ``time`` is when it was made.
        stream: The stream that it belongs to.
        handled_at: When it took effect, in UTC, by the clock of the instance that handled it.
    """

    position: int
    envelope: Envelope[Any]
    stream: Stream
    handled_at: datetime


class Logged(NamedTuple):
    """One entry of the event log.

    Attributes:
        position: The position.
        envelope: The message.
        stream: The stream that raised it; None for an event that arrived from elsewhere.
    """

    position: int
    envelope: Envelope[Any]
    stream: Stream | None


class CommandLog(Protocol):
    """The histories of entities: append-only, numbered 1, 2, 3 … without a gap in each stream."""

    def read(self, stream: Stream, *, after: int = 0) -> AsyncGenerator[LoggedCommand, None]:
        """Return a stream's commands in order, from behind a number on; may be left at any time.

        Raises:
            ReplayError: A stored command can no longer be read; says which.
        """
        ...


class EventLog(Protocol):
    """Own events and arrived ones that a view uses: append-only, with a global position."""

    def read(
        self, *, after: int = 0, types: Collection[str] | None = None, key: KeyType | None = None
    ) -> AsyncGenerator[Logged, None]:
        """Return events in order of position, of certain wire names or of one key only.

        Raises:
            ReplayError: A stored event can no longer be read; says which.
        """
        ...

    async def position(self) -> int:
        """Return the last position; 0 where there is none."""
        ...
