"""One line of the log for each step of a message; nothing is worked out that nobody reads."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.bus.dead_letter import describe_failure
from sourceflow.bus.observer import Observer
from sourceflow.messages import TraceContext
from sourceflow.telemetry.lines import (
    COMMAND_HANDLED,
    COMMAND_SENT,
    DUPLICATE_IGNORED,
    EVENT_PROJECTED,
    EVENT_PUBLISHED,
    LOGGER,
    MESSAGE_DEAD_LETTERED,
    MESSAGE_RECEIVED,
    TRACE,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sourceflow.bus.changes import Destination
    from sourceflow.bus.dead_letter import DeadLetter
    from sourceflow.bus.ports import Delivery
    from sourceflow.messages import Envelope
    from sourceflow.telemetry.lines import Line

__all__ = ("Described", "StepLog", "tell")

log = logging.getLogger(LOGGER)

_DEBUG: Final = logging.DEBUG
_TRACEPARENT: Final = "traceparent"
"""The message attribute that says where in its trace a message was sent (W3C Trace Context)."""


class Described:
    """An error as people may read it, put into words when somebody does.

    Args:
        error: What happened.
        message: The message that it happened to.
    """

    __slots__ = ("_error", "_message")

    def __init__(self, error: BaseException, message: object) -> None:
        self._error = error
        self._message = message

    def __str__(self) -> str:
        return describe_failure(self._error, self._message)


def tell(line: Line, *, trace: TraceContext | None = None, **values: object) -> None:
    """Write a line, if its level is on.

    Args:
        line: Which one.
        trace: Where in its trace the message is.
        values: Its fields, all of them. None says that there is none.
    """
    if log.isEnabledFor(line.level):
        _write(line, values, trace)


class StepLog(Observer):
    """Tells of the steps that observers are told of.

    Args:
        current: Returns what is under way here; None where nobody traces. A message then still
            says in which trace it was made.
    """

    def __init__(self, current: Callable[[], TraceContext | None] | None = None) -> None:
        self._current = current

    def sent(
        self, envelope: Envelope[Any], destination: Destination, error: Exception | None
    ) -> None:
        """A message left; one that did not is told of by whoever tries again, or gets the error."""
        if error is None and log.isEnabledFor(_DEBUG):
            line = COMMAND_SENT if envelope.kind == "command" else EVENT_PUBLISHED
            values = {**_identity(envelope), "destination": destination.name}
            _write(line, values, self._trace(envelope))

    def received(self, delivery: Delivery) -> None:
        """A message arrived."""
        if log.isEnabledFor(_DEBUG):
            found = _head_of(delivery.body)
            values = {
                "message_id": found.id,
                "correlation_id": found.correlationid,
                "message_type": found.type or delivery.type_hint,
            }
            more = {"source": delivery.origin, "attempt": delivery.attempt}
            _write(MESSAGE_RECEIVED, {**values, **more}, self._trace(delivery))

    def handled(self, envelope: Envelope[Any], sequence: int | None, seconds: float) -> None:
        """A command took effect."""
        if log.isEnabledFor(_DEBUG):
            more = {"sequence": sequence, "seconds": round(seconds, 6)}
            _write(COMMAND_HANDLED, {**_identity(envelope), **more}, self._trace(envelope))

    def projected(self, envelope: Envelope[Any], subscriber: str) -> None:
        """A subscriber has done its work."""
        if log.isEnabledFor(_DEBUG):
            values = {**_identity(envelope), "subscriber": subscriber}
            _write(EVENT_PROJECTED, values, self._trace(envelope))

    def duplicate(self, envelope: Envelope[Any]) -> None:
        """A message came again."""
        if log.isEnabledFor(_DEBUG):
            _write(DUPLICATE_IGNORED, _identity(envelope), self._trace(envelope))

    def dead_lettered(self, letter: DeadLetter) -> None:
        """A message was given up."""
        tell(
            MESSAGE_DEAD_LETTERED,
            trace=TraceContext.read(letter.attributes.get(_TRACEPARENT)),
            message_id=letter.message_id,
            message_type=letter.type_name or None,
            source=letter.source,
            attempt=letter.attempts,
            reason=letter.reason,
            error=letter.error,
        )

    def _trace(self, of: Envelope[Any] | Delivery) -> TraceContext | None:
        """Return where in its trace a message is: what is under way, or what it was made in."""
        current = None if self._current is None else self._current()
        return of.trace if current is None else current


def _identity(envelope: Envelope[Any]) -> dict[str, object]:
    return {
        "message_id": envelope.id,
        "correlation_id": envelope.correlation_id,
        "message_type": envelope.type_name,
    }


class _Head(msgspec.Struct):
    """Of a document, what tells which message it is; a stranger's may have none of it."""

    id: str | None = None
    correlationid: str | None = None
    type: str | None = None


_HEAD: Final = msgspec.json.Decoder(_Head)
_NO_HEAD: Final = _Head()


def _head_of(body: bytes) -> _Head:
    try:
        return _HEAD.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return _NO_HEAD


def _write(line: Line, values: dict[str, object], trace: TraceContext | None) -> None:
    told = {
        name: str(each) if isinstance(each, Described) else each for name, each in values.items()
    }
    more = () if trace is None else TRACE
    if trace is not None:
        told |= {"trace_id": trace.trace_id, "span_id": trace.span_id}
    texts = [_text(told[field.name]) for field in (*line.fields, *more)]
    extra = {name: each for name, each in told.items() if each is not None}
    log.log(line.level, line.template(*more), *texts, extra={"event": line.name, **extra})


def _text(value: object) -> str:
    """Return a value as it stands behind its name: one word, or quoted like a text of JSON."""
    if value is None:
        return "-"
    if not isinstance(value, str):
        return str(value)
    if not value.isprintable():
        return json.dumps(value)
    plain = value and not any(each in value for each in ' "=')
    return value if plain else json.dumps(value, ensure_ascii=False)
