"""A message that was given up, as it is kept for people."""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003 - masked reads the hints
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003
from typing import Annotated, Final

from sourceflow.bus.place import place_in_handler
from sourceflow.errors import Settlement
from sourceflow.messages import Sensitive, redacted

__all__ = ("DeadLetter", "DeadLetterFilter", "describe_error", "describe_failure")

MAX_ERROR: Final = 4_096
"""Characters of an error's text that are kept."""

_NO_TEXT: Final = re.compile("[\x00\ud800-\udfff\ufffe\uffff]")
"""What UTF-8, SQS or PostgreSQL does not take; the last takes no character zero
(https://www.postgresql.org/docs/current/datatype-character.html)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that was given up.

    Attributes:
        id: The record's id; the store makes it.
        source: Where it was taken from: a queue's name, or ``local:…`` for work in this process.
        message_id: The envelope's id, or the transport's own where the envelope can't be read.
        type_name: The wire name, empty where unknown.
        reason: A ``DeadLetterReason``.
        error: What happened, and in which line of a handler, without values of the message.
        subscribers: Subscribers that failed; a redrive runs only them.
        body: The message as it was received.
        attributes: Its message attributes.
        time: When it was given up.
        attempts: How often it was handled.
        replayed_at: When it was sent again; None while it was not.
    """

    id: str = ""
    source: str
    message_id: str
    type_name: str
    reason: str
    error: str
    subscribers: tuple[str, ...] = ()
    body: Annotated[bytes, Sensitive()] = field(repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict)
    time: datetime
    attempts: int
    replayed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFilter:
    """Which dead letters are asked for; None matches all.

    Attributes:
        type_name: The wire name.
        reason: Part of the reason, in any case.
        source: Where it was taken from.
        message_id: The envelope's id.
        since: Given up at this time or later.
        until: Given up before this time.
        replayed: Whether it was sent again.
    """

    type_name: str | None = None
    reason: str | None = None
    source: str | None = None
    message_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    replayed: bool | None = None

    def matches(self, letter: DeadLetter) -> bool:
        """Return whether a dead letter is asked for."""
        return (
            (self.type_name is None or letter.type_name == self.type_name)
            and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and (self.source is None or letter.source == self.source)
            and (self.message_id is None or letter.message_id == self.message_id)
            and (self.since is None or letter.time >= self.since)
            and (self.until is None or letter.time < self.until)
            and (self.replayed is None or (letter.replayed_at is not None) == self.replayed)
        )


def describe_error(error: BaseException, message: object = None) -> str:
    """Return an error's type and text, fit to be stored, sent and read by people.

    Args:
        error: What happened.
        message: The message that it happened to: its sensitive values stay out of the text.
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a user's own __str__; the failure it tells of counts more
        text = "(its text cannot be read)"
    told = f"{type(error).__name__}: {redacted(text, message)}"  # before it is cut, within a value
    return _NO_TEXT.sub("\ufffd", told[:MAX_ERROR])


def describe_failure(error: BaseException, message: object = None) -> str:
    """Return an error as ``describe_error`` does, with its place in the code of the handler.

    What a handler raises to settle its message is no fault of its code, and has no place.

    Args:
        error: What a handler, or what is around it, has raised.
        message: The message that it happened to: its sensitive values stay out of the text.
    """
    told = describe_error(error, message)
    place = None if isinstance(error, Settlement) else place_in_handler(error)
    if place is None:
        return told
    where = _NO_TEXT.sub("\ufffd", f" ({place})")
    return told[: MAX_ERROR - len(where)] + where
