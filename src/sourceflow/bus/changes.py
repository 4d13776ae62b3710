"""What one unit of work writes: data only, handed to the store as a whole."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, NamedTuple

import msgspec

from sourceflow.domain.handlers import Delete
from sourceflow.messages import Envelope, KeyType
from sourceflow.messages.body import bodiless_repr

__all__ = (
    "UNCHANGED",
    "Changes",
    "Claim",
    "Destination",
    "OutboxRow",
    "RowChange",
    "Stream",
    "StreamChange",
    "Unchanged",
)


class Unchanged(Enum):
    """The type of ``UNCHANGED``."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""The state stays as it is."""


class Stream(NamedTuple):
    """The history of one entity.

    Attributes:
        entity: The entity type's name.
        key: The entity's key.
    """

    entity: str
    key: KeyType


class Claim(NamedTuple):
    """The fact that a message was handled by somebody: taken once, in the transaction of its effect.

    Attributes:
        source: Who sent the message, ``/{app}``.
        message_id: Its id, unique within the source.
        subscriber: Who handled it; the empty text for a command.
    """

    source: str
    message_id: str
    subscriber: str


class Destination(NamedTuple):
    """Where a message goes.

    Attributes:
        kind: ``queue`` and ``topic`` leave the process; ``command`` and ``subscriber`` are handled
            here, after the commit.
        name: The queue, the topic, or the subscriber; empty for a command.
    """

    kind: str
    name: str

    @property
    def is_local(self) -> bool:
        """Whether it is handled in this process."""
        return self.kind in {"command", "subscriber"}

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


class OutboxRow(NamedTuple):
    """A message that leaves after the commit.

    Attributes:
        envelope: The message.
        destination: Where to.
        stream: What caused it: rows of one stream leave in order for each destination.
        body: The message as it goes on the wire; None where it is handled here.
    """

    envelope: Envelope[Any]
    destination: Destination
    stream: Stream
    body: bytes | None = None

    def __repr__(self) -> str:
        return bodiless_repr(self)

    @property
    def id(self) -> tuple[str, str, Destination]:
        """What tells the row from all others."""
        return self.envelope.source, self.envelope.id, self.destination


class StreamChange(msgspec.Struct, kw_only=True):
    """The step of one stream from number ``expected`` to the next.

    Attributes:
        stream: Whose history it is.
        entity_type: The class of its entity.
        expected: The head's number that the handler saw; 0 where there was none.
        entity: The new state, ``DELETE`` or ``UNCHANGED``.
        command: The log entry; None swaps the entity in without a step (replay).
    """

    stream: Stream
    entity_type: type[Any]
    expected: int
    entity: Any | Delete | Unchanged
    command: Envelope[Any] | None


class RowChange(msgspec.Struct, kw_only=True):
    """The new value of one row of a view model.

    Attributes:
        row_type: The view model.
        key: The row's key.
        expected: The row's version that the handler saw; 0 where there was none.
        row: The new row, or ``DELETE``.
    """

    row_type: type[Any]
    key: KeyType
    expected: int
    row: Any | Delete


class Changes(msgspec.Struct):
    """Everything one unit of work writes.

    Attributes:
        claims: What is handled by it.
        stream: The step of the entity's stream, if the message has one.
        rows: Rows of view models.
        events: Entries of the event log, with the stream that raised each; None for one that
            arrived from elsewhere.
        outbox: What leaves after the commit.
        schedule: What becomes of scheduled commands, by message id: the row that waits until the
            time of its envelope, or None for one that must still wait and is taken back.
    """

    claims: list[Claim] = []
    stream: StreamChange | None = None
    rows: list[RowChange] = []
    events: list[tuple[Envelope[Any], Stream | None]] = []
    outbox: list[OutboxRow] = []
    schedule: dict[str, OutboxRow | None] = {}
