"""A dead letter as it lies in its queue."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - masked reads the hints
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

from sourceflow.bus.ports import DeadLetter
from sourceflow.errors import DependencyError, MessageError
from sourceflow.messages import Sensitive
from sourceflow.transports.aws.dead_letters.note import Note, read_note
from sourceflow.transports.aws.dead_letters.sender import text_attributes
from sourceflow.transports.aws.wire import TYPE_ATTRIBUTE, envelope_id

if TYPE_CHECKING:
    from sourceflow.bus.outcome import DeadLetterReason
    from sourceflow.messages import Codec
    from sourceflow.transports.aws.client import ReceivedMessage
    from sourceflow.transports.aws.dead_letters.letter_cipher import LetterCipher
    from sourceflow.transports.aws.dead_letters.queue import DeadLetterQueue

__all__ = ("QueuedLetter", "belongs_to", "read_letter", "record_of")

_BY_SQS: Final[DeadLetterReason] = "ReceivedTooOften"
_BY_NOBODY: Final[DeadLetterReason] = "Unexplained"
_NO_NOTE: Final = Note()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedLetter:
    """A dead letter as it lies in its queue.

    Attributes:
        queue: The queue whose dead letter it is.
        sqs_message_id: What SQS calls it.
        message_id: The envelope's id; the id of SQS where the envelope can't be read.
        type_name: The wire name, empty where unknown.
        source: The queue it was taken from: ``queue``, unless that shares its dead letter queue.
        reason: Why it was given up.
        error: What happened; empty where it carries no note.
        subscribers: Subscribers that failed; a redrive runs only them. Empty for all.
        attempts: How often it was handled; 0 where it carries no note.
        received: How often SQS has handed it out from its dead letter queue, this time included.
        given_up_at: When it was given up; without a note, when it was sent.
        sent_at: When it was sent to its dead letter queue. On a standard queue, SQS keeps the time
            of the first send where it moved the message itself.
        group: Its message group; empty where it has none.
        body: The message as it was received; encrypted, if it was.
        attributes: Its message attributes that are text.
        message: The command or event, where this App knows its type and can read it.
        problem: Why it could not be read; empty where it was.
    """

    queue: str
    sqs_message_id: str
    message_id: str
    type_name: str
    source: str
    reason: str
    error: str
    subscribers: tuple[str, ...]
    attempts: int
    received: int
    given_up_at: datetime
    sent_at: datetime
    group: str
    body: Annotated[bytes, Sensitive()] = field(repr=False)
    attributes: Mapping[str, str] = field(repr=False)
    message: object | None = field(repr=False)
    problem: str


async def read_letter(
    message: ReceivedMessage, queue: DeadLetterQueue, codec: Codec, cipher: LetterCipher
) -> QueuedLetter:
    """Return a received message as the dead letter it is."""
    record = record_of(message, queue)
    decoded, problem = await _decoded(message, codec, cipher)
    return QueuedLetter(
        queue=queue.source,
        sqs_message_id=message.message_id,
        message_id=record.message_id,
        type_name=record.type_name,
        source=record.source,
        reason=record.reason,
        error=record.error,
        subscribers=record.subscribers,
        attempts=record.attempts,
        received=message.system.approximate_receive_count,
        given_up_at=record.time,
        sent_at=_sent(message),
        group=message.system.message_group_id,
        body=record.body,
        attributes=record.attributes,
        message=decoded,
        problem=problem,
    )


def record_of(message: ReceivedMessage, queue: DeadLetterQueue) -> DeadLetter:
    """Return the record that a dead letter makes, from its note or from what SQS says of it."""
    note = read_note(message)
    said = _NO_NOTE if note is None else note
    body = message.body.encode()
    attributes = text_attributes(message)
    return DeadLetter(
        source=said.source or _source(message, queue),
        message_id=envelope_id(body) or said.copy or message.message_id,
        type_name=attributes.get(TYPE_ATTRIBUTE, ""),
        reason=said.reason or _reason(message),
        error=said.error,
        subscribers=said.subscribers,
        body=body,
        attributes=attributes,
        time=said.time or _sent(message),
        attempts=said.attempts,
    )


def belongs_to(message: ReceivedMessage, queue: DeadLetterQueue) -> bool:
    """Whether a letter is one of this queue's: several queues may share a dead letter queue."""
    note = read_note(message)
    if note is not None and note.source:
        return note.source == queue.source
    arn = message.system.dead_letter_queue_source_arn
    return not arn or arn == queue.source_arn


def _source(message: ReceivedMessage, queue: DeadLetterQueue) -> str:
    arn = message.system.dead_letter_queue_source_arn
    return queue.source if not arn or arn == queue.source_arn else arn.rpartition(":")[2]


def _reason(message: ReceivedMessage) -> DeadLetterReason:
    return _BY_SQS if message.system.dead_letter_queue_source_arn else _BY_NOBODY


def _sent(message: ReceivedMessage) -> datetime:
    return datetime.fromtimestamp(message.system.sent_timestamp / 1000, UTC)


async def _decoded(
    message: ReceivedMessage, codec: Codec, cipher: LetterCipher
) -> tuple[object | None, str]:
    try:
        arrived = await cipher.open(message)
        return codec.decode(arrived.body, type_hint=arrived.type_hint).message, ""
    except (MessageError, DependencyError) as error:
        return None, f"{type(error).__name__}: {error}"
