"""A message that has arrived and is not read yet: who reads it tells its span what it is."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from sourceflow.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from sourceflow.messages import Envelope

__all__ = ("Arrival", "arriving")


class Arrival:
    """A message that is handled, from before it is read.

    Args:
        span: Covers its handling.
    """

    __slots__ = ("_is_read", "_span")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._is_read = not span.is_recording()

    def read(self, envelope: Envelope[Any]) -> None:
        """Note what the message is; what is read after it are others."""
        if self._is_read:
            return
        self._is_read = True
        self._span.set_attributes(
            {
                names.MESSAGE_ID.name: envelope.id,
                names.CONVERSATION_ID.name: envelope.correlation_id,
            }
        )


arriving: Final[ContextVar[Arrival | None]] = ContextVar("sourceflow_arriving", default=None)
"""The message that is handled here, for who reads it."""
