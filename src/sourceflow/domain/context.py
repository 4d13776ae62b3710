"""What a handler knows about the message it handles."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ("Context", "handling")

handling: ContextVar[str | None] = ContextVar("sourceflow_handling", default=None)
"""The handler that runs now, ``Class.method``; for the guard of ``app.send`` and for telemetry only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The circumstances of one message.

    Attributes:
        message_id: Id of the message; one id means one effect.
        correlation_id: Id shared by everything that one first message caused.
        causation_id: Id of the message that caused this one; None at the edge.
        sequence: Number of the command in its entity's stream, or of the command that raised the
            event; None where there is no stream.
        time: When the message was made, in UTC.
        is_replay: Whether history is run again; nothing leaves the process then.
        attempt: 1 for the first handling, then counting up.
        headers: The caller's own headers.
    """

    message_id: str
    correlation_id: str
    causation_id: str | None
    sequence: int | None
    time: datetime
    is_replay: bool
    attempt: int
    headers: Mapping[str, str]
