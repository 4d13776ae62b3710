"""Spans of OpenTelemetry, begun and ended so that no fault of theirs reaches a message."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanKind
    from opentelemetry.trace import Tracer as OtelTracer

__all__ = ("Tracer",)

log = logging.getLogger(__name__)


class Tracer:
    """Begins and ends spans.

    Samplers and processors are the program's own, and the SDK lets out what they raise. It is
    logged once, with its stack; messages go on, without spans and in their traces.

    Args:
        tracer: Makes the spans.
    """

    __slots__ = ("_is_told", "_tracer")

    def __init__(self, tracer: OtelTracer) -> None:
        self._tracer = tracer
        self._is_told = False

    def start(
        self,
        name: str,
        parent: Context | None,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
    ) -> Span:
        """Begin a span.

        Args:
            name: Its name.
            parent: Where it belongs; None for what is current.
            kind: Its kind.
            attributes: What is known of it.
            links: What else it has to do with.
            start_time: When it began, in nanoseconds of the epoch, if not now.
        """
        try:
            return self._tracer.start_span(name, parent, kind, attributes, links, start_time)
        except Exception as error:  # noqa: BLE001 - whatever a sampler or processor raises
            self._tell(name, error)
            return NonRecordingSpan(trace.get_current_span(parent).get_span_context())

    def end(self, span: Span, end_time: int | None = None) -> None:
        """End a span.

        Args:
            span: One that was begun here.
            end_time: When it ended, in nanoseconds of the epoch, if not now.
        """
        try:
            span.end(end_time)
        except Exception as error:  # noqa: BLE001 - likewise
            self._tell(getattr(span, "name", "a span"), error)

    def _tell(self, name: str, error: Exception) -> None:
        if not self._is_told:
            self._is_told = True
            log.error(
                "OpenTelemetry fails at %r; no such fault is logged again", name, exc_info=error
            )
