"""Spans that cover a step, and what they tell of errors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, StatusCode

from sourceflow.bus.dead_letter import describe_error
from sourceflow.errors import Discard, DuplicateError
from sourceflow.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.trace import Span

    from sourceflow.telemetry.kinds import Attribute
    from sourceflow.telemetry.kinds import Span as SpanName
    from sourceflow.telemetry.otel.instruments import Histogram
    from sourceflow.telemetry.otel.tracer import Tracer

__all__ = ("Steps", "error_type", "fail")

_NO_FAILURES: Final = (Discard, DuplicateError)
"""How a step may end by raising although nothing went wrong."""


def error_type(error: BaseException | None) -> str:
    """Return what metrics and spans call an error: its class, never its text."""
    return "" if error is None else type(error).__name__


def fail(span: Span, error: BaseException, message: object) -> None:
    """Note an error, without the sensitive values of the message that met it.

    A stack is not kept: its last line is the error's text as it was raised.
    """
    if not span.is_recording():
        return
    told = describe_error(error, message)
    span.set_attribute(names.ERROR_TYPE.name, type(error).__name__)
    span.set_status(StatusCode.ERROR, told)
    text = told.removeprefix(f"{type(error).__name__}: ")
    span.add_event(
        "exception", {"exception.type": type(error).__qualname__, "exception.message": text}
    )


class Steps:
    """Follows the steps inside of a message.

    Args:
        tracer: Makes spans.
        durations: Takes how long steps took.
        monotonic: The time in seconds.
    """

    def __init__(
        self, tracer: Tracer, durations: Histogram, monotonic: Callable[[], float]
    ) -> None:
        self._tracer = tracer
        self._durations = durations
        self._monotonic = monotonic

    @contextmanager
    def follow(
        self,
        name: SpanName,
        operation: str,
        attributes: Mapping[Attribute, Any],
        *,
        message: object = None,
        is_current: bool = True,
    ) -> Iterator[Span]:
        """Cover what runs inside with a span.

        Args:
            name: The kind of span.
            operation: What its duration is counted as.
            attributes: What is known of it.
            message: The message that it is about: its sensitive values stay out of the span.
            is_current: Whether spans that begin meanwhile belong to it. A generator says no: what
                begins between two of its values is its caller's.
        """
        span = self._tracer.start(
            name.name,
            None,
            SpanKind.INTERNAL,
            {attribute.name: value for attribute, value in attributes.items()},
        )
        token = context.attach(trace.set_span_in_context(span)) if is_current else None
        began = self._monotonic()
        failed = ""
        try:
            yield span
        except _NO_FAILURES:
            raise
        except BaseException as error:
            failed = error_type(error)
            fail(span, error, message)
            raise
        finally:
            self._durations.record(self._monotonic() - began, operation, failed)
            if token is not None:
                context.detach(token)
            self._tracer.end(span)
