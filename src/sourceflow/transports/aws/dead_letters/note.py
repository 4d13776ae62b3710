"""The note that a dead letter carries: why it was given up, and by whom."""

from __future__ import annotations

from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.bus.dead_letter import MAX_ERROR
from sourceflow.transports.aws.wire import DEAD_LETTER_ATTRIBUTE

if TYPE_CHECKING:
    from sourceflow.bus.ports import DeadLetter
    from sourceflow.transports.aws.client import ReceivedMessage

__all__ = ("Note", "read_note", "write_note")

MAX_NOTE: Final = 2048
"""Bytes the note takes at most."""

_ERROR_LENGTHS: Final = (MAX_ERROR, 1024, 256, 64)
"""Characters of the error's text that are kept: as many as fit the note."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What a dead letter's note says; a field that it lacks is empty.

    Attributes:
        reason: Why it was given up.
        error: What happened.
        subscribers: Subscribers that failed; all of them where it names none.
        source: The queue it was taken from, without a prefix.
        attempts: How often it was handled.
        copy: What SQS called the message that was given up.
        time: When it was given up.
    """

    reason: str = ""
    error: str = ""
    subscribers: tuple[str, ...] = ()
    source: str = ""
    attempts: int = 0
    copy: str = ""
    time: datetime | None = None


_NOTE: Final = msgspec.json.Decoder(Note)


def write_note(letter: DeadLetter, message: ReceivedMessage) -> str:
    """Return the note that a dead letter carries: JSON of at most 2 KB.

    The subscribers are all named or none: a redrive runs only those that are named.
    """
    note: dict[str, Any] = {
        "reason": letter.reason,
        "error": letter.error,
        "subscribers": letter.subscribers,
        "source": letter.source,
        "attempts": letter.attempts,
        "received": message.system.approximate_receive_count,
        "copy": message.message_id,
        "time": letter.time,
    }
    written = b""
    for subscribers, length in product((letter.subscribers, ()), _ERROR_LENGTHS):
        note |= {"subscribers": subscribers, "error": letter.error[:length]}
        written = msgspec.json.encode(note)
        if len(written) <= MAX_NOTE:
            break
    return written.decode()


def read_note(message: ReceivedMessage) -> Note | None:
    """Return the note of a dead letter, or None where it has none of ours."""
    value = message.attributes.get(DEAD_LETTER_ATTRIBUTE)
    if value is None or value.string_value is None:
        return None
    try:
        note = _NOTE.decode(value.string_value)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None  # somebody else's attribute
    if note.time is not None and note.time.tzinfo is None:
        return None  # ours are always in UTC
    return note
