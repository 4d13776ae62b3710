"""Where a message stands in its trace, to and from OpenTelemetry."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from sourceflow.messages import TraceContext

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ("current_trace", "parent_of", "remote", "trace_of")


def trace_of(span: Span) -> TraceContext | None:
    """Return a span as W3C Trace Context writes it; None where there is no real one."""
    found = span.get_span_context()
    if not found.is_valid:
        return None
    parent = f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"
    # Read back, as what others have put into the state may not be fit to travel.
    state = found.trace_state.to_header() if found.trace_state else None
    return TraceContext(parent) if state is None else TraceContext.read(parent, state)


def current_trace() -> TraceContext | None:
    """Return the span that is under way here."""
    return trace_of(trace.get_current_span())


@lru_cache(maxsize=4096)
def remote(message: TraceContext) -> SpanContext:
    """Return what a message says of its trace, as OpenTelemetry has it."""
    return SpanContext(
        trace_id=int(message.trace_id, 16),
        span_id=int(message.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(message.traceparent[53:], 16)),
        trace_state=TraceState.from_header([message.tracestate]) if message.tracestate else None,
    )


def parent_of(message: TraceContext | None) -> Context | None:
    """Return the context in which what becomes of a message goes on.

    Returns:
        The context that is current (None) where it is the one that the message was made in; else
        one with nothing but the message's trace in it: what else is current belongs to others.
    """
    if message is None:
        return Context()
    here = trace.get_current_span().get_span_context()
    if here.is_valid and f"{here.span_id:016x}" == message.span_id:
        return None
    return trace.set_span_in_context(NonRecordingSpan(remote(message)), Context())
