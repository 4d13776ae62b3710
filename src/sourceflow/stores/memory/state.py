"""Everything that memory stores hold, in one object: a commit changes it in one go.

There is an entry for each message, so entries are of types that the garbage collector need not
look at (``gc=False``): what is kept is data, and cannot refer back to its entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.bus.changes import Stream
from sourceflow.messages import Envelope

if TYPE_CHECKING:
    from sourceflow.bus.changes import Claim, Destination, OutboxRow
    from sourceflow.messages import KeyType

__all__ = (
    "NO_ROW",
    "LoggedEvent",
    "RowState",
    "ScheduleState",
    "ShadowState",
    "State",
    "StreamState",
)


class HandledCommand(msgspec.Struct, frozen=True, gc=False):
    """One entry of the command log.

    Attributes:
        envelope: The kept envelope.
        handled_at: When it took effect.
    """

    envelope: Envelope[Any]
    handled_at: datetime


class StreamState(msgspec.Struct, gc=False):
    """One stream.

    Attributes:
        number: The head.
        entity: The entity as it is kept, or None.
        commands: What was handled; the one at index n has number n + 1.
    """

    number: int = 0
    entity: Any | None = None
    commands: list[HandledCommand] = []


class RowState(msgspec.Struct, frozen=True, gc=False):
    """One row of a view model.

    Attributes:
        version: Counts its changes.
        kept: The row as it is kept; None where it was removed.
    """

    version: int
    kept: Any | None


NO_ROW: Final = RowState(0, None)
"""A row that never was."""


class LoggedEvent(msgspec.Struct, frozen=True, gc=False):
    """One entry of the event log.

    Attributes:
        envelope: The kept envelope.
        stream: What raised it; None where it arrived from elsewhere.
    """

    envelope: Envelope[Any]
    stream: Stream | None


@dataclass(slots=True)
class ScheduleState:
    """The scheduled commands of one App.

    Attributes:
        rows: Message id to place in ``order`` and outbox row.
        order: When each is due, its number and its message id; sorted.
        count: The last number.
    """

    rows: dict[str, tuple[tuple[datetime, int, str], OutboxRow]] = field(default_factory=dict)
    order: list[tuple[datetime, int, str]] = field(default_factory=list)
    count: int = 0


@dataclass(slots=True)
class ShadowState:
    """Rows of a view model that are being built.

    Attributes:
        rows: As they are kept, by key.
        position: The last position of the event log that they take in.
    """

    rows: dict[KeyType, Any] = field(default_factory=dict)
    position: int = 0

    def copy(self) -> ShadowState:
        """Return one of the same rows."""
        return ShadowState(dict(self.rows), self.position)


@dataclass(slots=True)
class State:
    """All streams, rows, logs, claims, rows of the outbox and scheduled commands.

    Attributes:
        streams: By stream.
        rows: View model to key to row.
        shadows: View model to the rows of it that are being built.
        events: The event log; the entry at index n has position n + 1.
        event_ids: Source and id of all events in the log.
        claims: What was handled, with the monotonic second it was claimed in; oldest first.
        command_claims: Source and id of all commands that were handled.
        outboxes: App to what of its has not arrived yet, oldest first.
        schedules: App to its scheduled commands.
    """

    streams: dict[Stream, StreamState] = field(default_factory=dict)
    rows: dict[type[Any], dict[KeyType, RowState]] = field(default_factory=dict)
    shadows: dict[type[Any], ShadowState] = field(default_factory=dict)
    events: list[LoggedEvent] = field(default_factory=list)
    event_ids: set[tuple[str, str]] = field(default_factory=set)
    claims: dict[Claim, float] = field(default_factory=dict)
    command_claims: set[tuple[str, str]] = field(default_factory=set)
    outboxes: dict[str, dict[tuple[str, str, Destination], OutboxRow]] = field(default_factory=dict)
    schedules: dict[str, ScheduleState] = field(default_factory=dict)
