"""Messages as they look on SQS and SNS."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec

from sourceflow.messages import TraceContext, key_text
from sourceflow.messages.meta import MAX_NAME
from sourceflow.transports.aws.client import AttributeValue
from sourceflow.transports.aws.encryption import CONTENT_TYPE, is_sealed, sealed_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sourceflow.bus.ports import Outgoing
    from sourceflow.messages import Envelope
    from sourceflow.transports.aws.client import ReceivedMessage

__all__ = (
    "CONTENT_TYPE_ATTRIBUTE",
    "DEAD_LETTER_ATTRIBUTE",
    "MAX_ATTRIBUTES",
    "TRACEPARENT_ATTRIBUTE",
    "TRACESTATE_ATTRIBUTE",
    "TYPE_ATTRIBUTE",
    "Arrived",
    "WireAttributes",
    "envelope_id",
    "group_of",
    "message_size",
    "read_arrived",
    "trace_of",
    "traced",
    "wire_attributes",
)

CONTENT_TYPE_ATTRIBUTE: Final = "content-type"
"""The message attribute that says that the body is encrypted; messages in clear have none."""

TYPE_ATTRIBUTE: Final = "type"
"""The message attribute that names the message's type beside the body."""

TRACEPARENT_ATTRIBUTE: Final = "traceparent"
"""The message attribute that says where the message stands in its trace (W3C Trace Context)."""

TRACESTATE_ATTRIBUTE: Final = "tracestate"
"""The message attribute with what tracing systems add for themselves; left out where it is empty."""

DEAD_LETTER_ATTRIBUTE: Final = "sourceflow-dead-letter"
"""The message attribute that a dead letter carries beside its own."""

MAX_ATTRIBUTES: Final = 10
"""Message attributes that SQS takes (SQS developer guide, "Amazon SQS message metadata")."""

_STRING: Final = "String"
_TRACEPARENT_BYTES: Final = len(TRACEPARENT_ATTRIBUTE) + len(_STRING) + 55
_GROUP_CHARACTERS: Final = frozenset(map(chr, range(ord("!"), ord("~") + 1)))
_MAX_GROUP: Final = 128


def group_of(envelope: Envelope[Any], *, hidden: bool = False) -> str:
    """Return the message group: one for each key.

    SQS takes 1 to 128 letters, digits and punctuation characters; any other key is named by its
    SHA-256 behind a tilde.

    Args:
        envelope: The message.
        hidden: Whether the key may not stand in clear: the message itself is encrypted.
    """
    text = key_text(envelope.key)
    if not hidden and 0 < len(text) <= _MAX_GROUP and _GROUP_CHARACTERS.issuperset(text):
        return text
    digest = hashlib.sha256(text.encode()).digest()
    return "~" + urlsafe_b64encode(digest).rstrip(b"=").decode()


class WireAttributes(NamedTuple):
    """The message attributes of a message.

    Attributes:
        values: By name.
        size: The bytes that SQS counts for them: each one's name, type and value.
    """

    values: Mapping[str, AttributeValue]
    size: int


@lru_cache(maxsize=4096)
def wire_attributes(type_name: str, *, encrypted: bool = False) -> WireAttributes:
    """Return the message attributes of messages of a type."""
    values = {TYPE_ATTRIBUTE: type_name}
    if encrypted:
        values[CONTENT_TYPE_ATTRIBUTE] = CONTENT_TYPE
    size = sum(len(name) + len(_STRING) + len(value.encode()) for name, value in values.items())
    return WireAttributes(
        {name: AttributeValue(_STRING, value) for name, value in values.items()}, size
    )


def traced(attributes: WireAttributes, trace: TraceContext | None, room: int) -> WireAttributes:
    """Return message attributes with where the message stands in its trace.

    Args:
        attributes: What travels anyway.
        trace: Where it stands; None changes nothing.
        room: The bytes that there are for all attributes: a trace makes no message too large, which
            then travels without.
    """
    if trace is None:
        return attributes
    added = {TRACEPARENT_ATTRIBUTE: AttributeValue(_STRING, trace.traceparent)}
    size = _TRACEPARENT_BYTES
    if trace.tracestate:
        added[TRACESTATE_ATTRIBUTE] = AttributeValue(_STRING, trace.tracestate)
        size += len(TRACESTATE_ATTRIBUTE) + len(_STRING) + len(trace.tracestate)
    size += attributes.size
    return attributes if size > room else WireAttributes({**attributes.values, **added}, size)


def trace_of(attributes: Mapping[str, AttributeValue]) -> TraceContext | None:
    """Return where a message stands in its trace; None where its attributes say nothing valid."""
    found = attributes.get(TRACEPARENT_ATTRIBUTE)
    if found is None:
        return None
    state = attributes.get(TRACESTATE_ATTRIBUTE)
    return TraceContext.read(found.string_value, None if state is None else state.string_value)


def message_size(outgoing: Outgoing) -> int:
    """Return the bytes that SQS counts: the body and the attributes."""
    return len(outgoing.body) + wire_attributes(outgoing.envelope.type_name).size


class Arrived(msgspec.Struct, frozen=True, gc=False):
    """A received message, unpacked.

    Attributes:
        body: The document.
        type_hint: The ``type`` attribute, if there is one.
        subscribers: The subscribers that a redriven dead letter is for; None for all.
        trace: Where it stands in its trace; None where it says nothing of that.
    """

    body: bytes
    type_hint: str | None
    subscribers: tuple[str, ...] | None
    trace: TraceContext | None = None


class _Identified(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]


def envelope_id(body: bytes) -> str | None:
    """Return the id of a message, or None where it can't be read or is none to keep.

    Of an encrypted message it is what stands in clear.

    Whoever has written it, a dead letter is kept under this id: databases index no long ones, and
    do not take every character.
    """
    if is_sealed(body):
        found = sealed_id(body)
        return found if found and len(found) <= MAX_NAME and found.isprintable() else None
    try:
        found = _IDENTIFIED.decode(body).id
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None  # the transport's own id stands in
    return found if found.isprintable() else None


class _NotificationAttribute(msgspec.Struct, rename="pascal"):
    type: str
    value: str


class _Notification(msgspec.Struct, rename="pascal"):
    """What SNS wraps around a message where raw delivery is off (SNS developer guide)."""

    type: str
    topic_arn: str
    message: str
    message_attributes: dict[str, _NotificationAttribute] = {}


class _DeadLetterNote(msgspec.Struct):
    subscribers: tuple[str, ...] = ()


_IDENTIFIED: Final = msgspec.json.Decoder(_Identified)
_NOTIFICATION: Final = msgspec.json.Decoder(_Notification)
_NOTE: Final = msgspec.json.Decoder(_DeadLetterNote)


def read_arrived(message: ReceivedMessage, topics: Collection[str]) -> Arrived:
    """Unpack a received message.

    Args:
        message: As it came.
        topics: ARNs of the topics whose notifications are believed, where raw delivery is off;
            none on a command queue.
    """
    attributes = message.attributes
    subscribers = None
    if DEAD_LETTER_ATTRIBUTE in attributes:
        subscribers = _subscribers(attributes[DEAD_LETTER_ATTRIBUTE])
    hint = attributes[TYPE_ATTRIBUTE].string_value if TYPE_ATTRIBUTE in attributes else None
    trace = trace_of(attributes) if TRACEPARENT_ATTRIBUTE in attributes else None
    if hint is None and topics:
        notification = _notification(message.body, topics)
        if notification is not None:
            found = {name: each.value for name, each in notification.message_attributes.items()}
            trace = TraceContext.read(
                found.get(TRACEPARENT_ATTRIBUTE), found.get(TRACESTATE_ATTRIBUTE)
            )
            hint = found.get(TYPE_ATTRIBUTE)
            return Arrived(notification.message.encode(), hint, subscribers, trace)
    return Arrived(message.body.encode(), hint, subscribers, trace)


def _notification(body: str, topics: Collection[str]) -> _Notification | None:
    try:
        found = _NOTIFICATION.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None  # not an envelope of SNS: it is judged as it is
    return found if found.type == "Notification" and found.topic_arn in topics else None


def _subscribers(value: AttributeValue) -> tuple[str, ...] | None:
    if value.string_value is None:
        return None
    try:
        return _NOTE.decode(value.string_value).subscribers or None
    except (msgspec.MsgspecError, ValueError):
        return None  # somebody else's attribute: the message is for all
