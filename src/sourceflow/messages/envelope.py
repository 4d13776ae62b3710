"""A message with its metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import msgspec

from sourceflow.errors import InvalidMessageError
from sourceflow.messages.key import KeyType, key_text
from sourceflow.messages.limits import LimitError, check_text
from sourceflow.messages.trace import TraceContext
from sourceflow.messages.type_info import Kind, TypeInfo, type_info

__all__ = ("RESERVED_HEADERS", "Envelope", "check_headers", "check_message_id")

MessageT = TypeVar("MessageT")

RESERVED_HEADERS: Final = frozenset(
    {
        "id", "source", "type", "subject", "time", "data", "specversion", "datacontenttype",
        "dataschema", "kind", "dataversion", "entitysequence", "correlationid", "causationid",
        "depth", "traceparent", "tracestate",
    }
)  # fmt: skip
"""Names of CloudEvents and of ours, which no header may take."""

_HEADER_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,19}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_is_message_id: Final = re.compile(r"[!-~]{1,80}").fullmatch


class Envelope(msgspec.Struct, Generic[MessageT], frozen=True, kw_only=True, gc=False):
    """A message with its metadata.

    The garbage collector need not look at it (``gc=False``): it holds data, and nothing in a message
    can refer back to its envelope.

    Attributes:
        message: The command or event.
        id: Its id; one id of one source means one effect.
        source: Who made it, ``/{app}``.
        time: When it was made, in UTC.
        correlation_id: Id shared by everything that one first message caused.
        causation_id: Id of the message that caused it; None at the edge.
        depth: How many messages stand in the chain of causes before it.
        sequence: For an event, the number of the command that raised it in its entity's stream.
        headers: The sender's own metadata.
        trace: What was under way in its trace when it was made; None where nobody traces.
    """

    message: MessageT
    id: str
    source: str
    time: datetime
    correlation_id: str
    causation_id: str | None = None
    depth: int = 0
    sequence: int | None = None
    headers: Mapping[str, str] = {}
    trace: TraceContext | None = None

    @property
    def info(self) -> TypeInfo:
        """What is known of the message's type."""
        return type_info(type(self.message))

    @property
    def type_name(self) -> str:
        """The wire name."""
        return self.info.name

    @property
    def kind(self) -> Kind:
        """Command or event."""
        return self.info.kind

    @property
    def key(self) -> KeyType:
        """The key of what the message is about."""
        return type_info(type(self.message)).key_of(self.message)

    @property
    def subject(self) -> str:
        """The key as text."""
        return key_text(self.key)

    def with_headers(self, headers: Mapping[str, str]) -> Envelope[MessageT]:
        """Return this envelope with headers added or replaced.

        Raises:
            InvalidMessageError: A header cannot be sent.
        """
        check_headers(headers)
        return msgspec.structs.replace(self, headers={**self.headers, **headers})


def check_headers(headers: Mapping[str, Any]) -> None:
    """Check that headers can be sent.

    Raises:
        InvalidMessageError: One of them cannot; names it, never its value.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise InvalidMessageError(
                f"the header {name!r} must be 1 to 20 small letters and digits, a letter first"
            )
        if name in RESERVED_HEADERS:
            raise InvalidMessageError(f"the header {name!r} is reserved")
        if not isinstance(value, str):
            raise InvalidMessageError(
                f"the header {name!r} must be a text, not {type(value).__name__}"
            )
        if _CONTROL.search(value):
            raise InvalidMessageError(f"the header {name!r} holds a control character")
        try:
            check_text(value)
        except LimitError as error:
            raise InvalidMessageError(f"the header {name!r} {error}") from None


def check_message_id(message_id: Any) -> None:
    """Check that an id can be sent: it is also the deduplication id of FIFO queues.

    Raises:
        InvalidMessageError: It cannot.
    """
    if not isinstance(message_id, str) or not _is_message_id(message_id):
        raise InvalidMessageError(
            "a message id is 1 to 80 letters, digits and punctuation characters, without spaces"
        )
