"""How the handling of an arrived message ended: what its transport does with it follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = (
    "DeadLetterReason",
    "Discarded",
    "Done",
    "Duplicate",
    "Ignored",
    "InProgress",
    "Outcome",
    "Paused",
    "Rejected",
    "RetryLater",
)

DeadLetterReason = Literal[
    "Malformed",
    "WrongKind",
    "PlaintextRefused",
    "DecryptionFailed",
    "Rejected",
    "UnknownType",
    "RetriesExhausted",
    "ReceivedTooOften",
    "Unexplained",
]
"""Why a message became a dead letter; the last two are found in a dead letter queue, without a note."""


@dataclass(frozen=True, slots=True)
class Done:
    """Handled, and its effects are safe: acknowledge it."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Handled before: acknowledge it."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nobody here listens to it: acknowledge it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """A handler wants it gone: acknowledge it.

    Attributes:
        reason: Why.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLater:
    """Not handled this time.

    Attributes:
        error: What happened.
        reason: The dead letter's reason, should it come to that.
        delay: How long to wait if a handler asked for it; None leaves it to the back-off.
        asked: Whether a handler asked for it with ``Retry``: it then has its own limit.
        subscribers: Those that failed; the others are done.
        message: What was handled; None where it could not be read. Its sensitive values stay out
            of what people read of the error.
    """

    error: BaseException
    reason: DeadLetterReason = "RetriesExhausted"
    delay: timedelta | None = None
    asked: bool = False
    subscribers: tuple[str, ...] = ()
    message: object = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """It can never be handled: dead-letter it now.

    Attributes:
        reason: The dead letter's reason.
        error: What happened.
        subscribers: Those that rejected it; the others are done.
        message: What was handled; None where it could not be read, see ``RetryLater``.
    """

    reason: DeadLetterReason
    error: BaseException
    subscribers: tuple[str, ...] = ()
    message: object = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """A dependency does not answer: hand it back, it is no fault of the message.

    Attributes:
        error: What happened.
        message: What was to be handled, see ``RetryLater``.
    """

    error: BaseException
    message: object = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InProgress:
    """Another process works on a copy of it: look again later, which counts as no try.

    Attributes:
        delay: How long the other's claim lasts.
    """

    delay: timedelta


Outcome = Done | Duplicate | Ignored | Discarded | RetryLater | Rejected | Paused | InProgress
