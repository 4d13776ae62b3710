"""Everything that memory stores hold, in one object: a commit changes it in one go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from sourceflow.bus.changes import Claim, Destination, OutboxRow, Stream
    from sourceflow.messages import KeyType

__all__ = ("State", "StreamState")


class StreamState(msgspec.Struct):
    """One stream.

    Attributes:
        number: The head.
        entity: The entity as it is kept, or None.
        commands: The kept envelopes; the one at index n has number n + 1.
    """

    number: int = 0
    entity: Any | None = None
    commands: list[Any] = []


@dataclass(slots=True)
class State:
    """All streams, rows, logs, claims and rows of the outbox.

    Attributes:
        streams: By stream.
        rows: View model to key to version and kept row.
        events: The event log: kept envelope and stream; the one at index n has position n + 1.
        event_ids: Source and id of all events in the log.
        claims: What was handled, with the monotonic second it was claimed in; oldest first.
        command_claims: Source and id of all commands that were handled.
        outboxes: App to what of its has not arrived yet, oldest first.
    """

    streams: dict[Stream, StreamState] = field(default_factory=dict)
    rows: dict[type[Any], dict[KeyType, tuple[int, Any]]] = field(default_factory=dict)
    events: list[tuple[Any, Stream | None]] = field(default_factory=list)
    event_ids: set[tuple[str, str]] = field(default_factory=set)
    claims: dict[Claim, float] = field(default_factory=dict)
    command_claims: set[tuple[str, str]] = field(default_factory=set)
    outboxes: dict[str, dict[tuple[str, str, Destination], OutboxRow]] = field(default_factory=dict)
