"""The lines of the log that tell of a message's steps, as data.

The table of the guide is compared with it, and a test makes sure that each line is written.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

__all__ = ("FIELDS", "LINES", "LOGGER", "TRACE", "Field", "Line")

LOGGER: Final = "sourceflow.steps"
"""The logger of all steps. What else is to be told has the logger of its module, below ``sourceflow``."""


@dataclass(frozen=True, slots=True)
class Field:
    """What a line says about a message.

    Attributes:
        name: Its name: in the text, and as an attribute of the record.
        description: What it says.
    """

    name: str
    description: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of line.

    Attributes:
        name: How its text begins; the record has it as ``event``.
        level: The level of ``logging``.
        description: When it is written.
        fields: What it says, in the order of its text. Where a message belongs to a trace, ``TRACE``
            stands behind them.
    """

    name: str
    level: int
    description: str
    fields: tuple[Field, ...]

    def template(self, *more: Field) -> str:
        """Return the text before its values are put in, and those of further fields."""
        return " ".join((self.name, *(f"{field}=%s" for field in (*self.fields, *more))))


# --- Fields ---------------------------------------------------------------------------------------

MESSAGE_ID: Final = Field("message_id", "The message's id: the same over all hops.")
CORRELATION_ID: Final = Field("correlation_id", "What all messages have in common that one caused.")
MESSAGE_TYPE: Final = Field("message_type", "The wire name of its type.")
DESTINATION: Final = Field("destination", "The queue or topic, as routes name it.")
SOURCE: Final = Field(
    "source", "Where it was taken from: a queue, or `local:…` for work in this process."
)
SUBSCRIBER: Final = Field("subscriber", "Who worked on the event.")
SEQUENCE: Final = Field("sequence", "The command's number in its stream; none without an entity.")
ATTEMPT: Final = Field("attempt", "How often it was handled, this time included.")
SECONDS: Final = Field("seconds", "How long it took.")
DELAY: Final = Field("delay", "Seconds until it is tried again.")
REASON: Final = Field("reason", "Why it was given up.")
ERROR: Final = Field(
    "error",
    "What happened, and in which line of your handler, without sensitive values of the message.",
)
TRACE_ID: Final = Field("trace_id", "The trace that it belongs to, if it belongs to one.")
SPAN_ID: Final = Field("span_id", "What was under way there, or what the message was made in.")

TRACE: Final = (TRACE_ID, SPAN_ID)
"""What stands behind the fields of each line where there is a trace."""

FIELDS: Final = tuple(each for each in vars().copy().values() if isinstance(each, Field))
"""Every field."""

# --- Lines ----------------------------------------------------------------------------------------

_MESSAGE: Final = (MESSAGE_ID, CORRELATION_ID, MESSAGE_TYPE)

COMMAND_SENT: Final = Line(
    "command sent", logging.DEBUG, "SQS has confirmed a command.", (*_MESSAGE, DESTINATION)
)
EVENT_PUBLISHED: Final = Line(
    "event published", logging.DEBUG, "SNS has confirmed an event.", (*_MESSAGE, DESTINATION)
)
MESSAGE_RECEIVED: Final = Line(
    "message received",
    logging.DEBUG,
    "The handling of a message from a queue begins.",
    (*_MESSAGE, SOURCE, ATTEMPT),
)
COMMAND_HANDLED: Final = Line(
    "command handled",
    logging.DEBUG,
    "What a command does is committed.",
    (*_MESSAGE, SEQUENCE, SECONDS),
)
EVENT_PROJECTED: Final = Line(
    "event projected",
    logging.DEBUG,
    "What a view or an aggregate does with an event is committed.",
    (*_MESSAGE, SUBSCRIBER),
)
DUPLICATE_IGNORED: Final = Line(
    "duplicate ignored", logging.DEBUG, "A message had been handled before.", _MESSAGE
)
SEND_RETRIED: Final = Line(
    "send retried",
    logging.WARNING,
    "A message of the outbox was not confirmed and is sent again.",
    (*_MESSAGE, DESTINATION, DELAY, ERROR),
)
MESSAGE_RETRIED: Final = Line(
    "message retried",
    logging.WARNING,
    "The handling of a message failed, or asked for another try.",
    (MESSAGE_ID, MESSAGE_TYPE, SOURCE, ATTEMPT, DELAY, ERROR),
)
MESSAGE_DEAD_LETTERED: Final = Line(
    "message dead-lettered",
    logging.ERROR,
    "A message was given up and is kept as a dead letter.",
    (MESSAGE_ID, MESSAGE_TYPE, SOURCE, ATTEMPT, REASON, ERROR),
)
WORK_PAUSED: Final = Line(
    "work paused",
    logging.WARNING,
    "A dependency does not answer, so that nothing is taken from a queue; again with each try.",
    (SOURCE, DELAY, ERROR),
)
WORK_RESUMED: Final = Line(
    "work resumed", logging.INFO, "It answers again, and work goes on.", (SOURCE,)
)

LINES: Final = tuple(each for each in vars().copy().values() if isinstance(each, Line))
"""Every kind of line."""
