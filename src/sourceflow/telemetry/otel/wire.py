"""Messages between processes: their spans, and what is measured of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind

from sourceflow.bus.outcome import (
    Discarded,
    Done,
    Duplicate,
    Ignored,
    InProgress,
    Paused,
    Rejected,
    RetryLater,
)
from sourceflow.telemetry import names
from sourceflow.telemetry.otel.arrival import Arrival, arriving
from sourceflow.telemetry.otel.context import parent_of, remote, trace_of
from sourceflow.telemetry.otel.spans import error_type, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from opentelemetry.trace import Span

    from sourceflow.bus.instrumentation import Place, Sample
    from sourceflow.bus.outcome import Outcome
    from sourceflow.bus.ports import Delivery, Outgoing, Receive
    from sourceflow.clock import Clock
    from sourceflow.messages import Envelope, Registry, TraceContext
    from sourceflow.telemetry.otel.sampler import Sampler
    from sourceflow.telemetry.otel.tracer import Tracer
    from sourceflow.telemetry.otel.wire_metrics import ArrivingFlow, LeavingFlow, WireMetrics

__all__ = ("Wire",)

_OUTCOMES: Final[dict[type[Any], str]] = {
    Done: "done",
    Duplicate: "duplicate",
    Ignored: "ignored",
    Discarded: "discarded",
    RetryLater: "retry",
    Rejected: "rejected",
    Paused: "paused",
    InProgress: "in_progress",
}
_ADDRESSES: Final = {"aws_sqs": names.QUEUE_URL.name, "aws.sns": names.TOPIC_ARN.name}
_MESSAGE_ID: Final = names.MESSAGE_ID.name
_CONVERSATION_ID: Final = names.CONVERSATION_ID.name
_KIND: Final = names.MESSAGE_KIND.name
_ATTEMPT: Final = names.ATTEMPT.name
_OUTCOME: Final = names.OUTCOME.name


class _Leaving(NamedTuple):
    """What messages of one type have in common that leave for one place."""

    name: str
    attributes: Mapping[str, Any]
    flow: LeavingFlow


class _Arriving(NamedTuple):
    """What messages of one type have in common that arrive at one place."""

    attributes: Mapping[str, Any]
    flow: ArrivingFlow


class Wire:
    """Follows messages between processes; see ``bus.instrumentation.WireInstrumentation``.

    Args:
        tracer: Makes spans.
        metrics: Measures.
        sampler: Takes readings.
        registry: The types that the App knows.
        links: Whether the handling of a message begins a trace of its own, linked to its sender's.
        details: Whether receives have spans too.
        clock: The time.
    """

    def __init__(
        self,
        tracer: Tracer,
        metrics: WireMetrics,
        sampler: Sampler,
        *,
        registry: Registry,
        links: bool,
        details: bool,
        clock: Clock,
    ) -> None:
        self._tracer = tracer
        self._metrics = metrics
        self._sampler = sampler
        self._registry = registry
        self._links = links
        self._details = details
        self._monotonic = clock.monotonic
        self._leaving: dict[tuple[Place, type[Any]], _Leaving] = {}

    def watch(self, sample: Sample) -> None:
        """Take readings from now on until the App stops, every few seconds."""
        self._sampler.watch(sample)

    def sending(self, outgoing: Outgoing, place: Place) -> _Sending:
        """Begin to follow a message that leaves."""
        envelope = outgoing.envelope
        known = self._leaving.get((place, type(envelope.message)))
        if known is None:
            known = self._leave(envelope, place)
        span = self._tracer.start(
            known.name,
            parent_of(envelope.trace),
            SpanKind.PRODUCER,
            {
                **known.attributes,
                _MESSAGE_ID: envelope.id,
                _CONVERSATION_ID: envelope.correlation_id,
            },
        )
        size = len(outgoing.body) if self._details else 0
        return _Sending(self._tracer, span, known.flow, envelope, size, self._monotonic)

    def _leave(self, envelope: Envelope[Any], place: Place) -> _Leaving:
        operation = "publish" if envelope.kind == "event" else "send"
        type_name = envelope.type_name
        known = self._leaving[place, type(envelope.message)] = _Leaving(
            f"{operation} {place.name}",
            {**_base(operation, place), names.MESSAGE_TYPE.name: type_name},
            self._metrics.leaving(operation, place, type_name),
        )
        return known

    def called(
        self,
        operation: str,
        place: Place,
        seconds: float,
        count: int,
        error: BaseException | None,
        refused: Sequence[BaseException] = (),
    ) -> None:
        """Note a call of the service."""
        why = [error_type(each) for each in refused]
        self._metrics.called(operation, place, seconds, count, error_type(error), why)

    def received(
        self,
        place: Place,
        seconds: float,
        traces: Sequence[TraceContext | None],
        oldest: timedelta,
    ) -> None:
        """Note messages that a call has brought."""
        self._sampler.aged(place, oldest)
        if not self._details:
            return
        ended = time.time_ns()
        span = self._tracer.start(
            f"receive {place.name}",
            Context(),
            SpanKind.CLIENT,
            {**_base("receive", place), names.BATCH_COUNT.name: len(traces)},
            [Link(remote(each)) for each in traces if each is not None],
            ended - int(seconds * 1e9),
        )
        self._tracer.end(span, ended)

    def processing(self, place: Place, receive: Receive) -> Receive:
        """Return what handles messages of a queue, followed."""
        name = f"process {place.name}"
        types: dict[str, _Arriving] = {}

        async def processed(delivery: Delivery) -> Outcome:
            type_name = self._known(delivery.type_hint)
            known = types.get(type_name)
            if known is None:
                known = types[type_name] = self._arrive(place, type_name)
            known.flow.received.count += 1
            span = self._start(name, delivery, known.attributes)
            began = self._monotonic()
            current = context.attach(trace.set_span_in_context(span, Context()))
            arrival = arriving.set(Arrival(span) if span.is_recording() else None)
            outcome, error = "cancelled", None
            try:
                ended = await receive(delivery)
                outcome = _OUTCOMES[type(ended)]
                if outcome != "done":
                    error = getattr(ended, "error", None)
                    if error is not None:
                        fail(span, error, getattr(ended, "message", None))
            except BaseException as raised:
                error = raised
                fail(span, raised, None)
                raise
            else:
                return ended
            finally:
                known.flow.ended(self._monotonic() - began, outcome, error_type(error))
                arriving.reset(arrival)
                context.detach(current)
                span.set_attribute(_OUTCOME, outcome)
                self._tracer.end(span)

        return processed

    def _arrive(self, place: Place, type_name: str) -> _Arriving:
        return _Arriving(
            {**_base("process", place), names.MESSAGE_TYPE.name: type_name},
            self._metrics.arriving(place, type_name),
        )

    def _start(self, name: str, delivery: Delivery, attributes: Mapping[str, Any]) -> Span:
        attributes = {**attributes, _KIND: delivery.kind, _ATTEMPT: delivery.attempt}
        sender = delivery.trace
        if sender is None or not self._links:
            return self._tracer.start(name, parent_of(sender), SpanKind.CONSUMER, attributes)
        return self._tracer.start(
            name, Context(), SpanKind.CONSUMER, attributes, [Link(remote(sender))]
        )

    def _known(self, type_name: str | None) -> str:
        """Return the name of a type as the App knows it."""
        info = None if type_name is None else self._registry.find(type_name)
        return names.UNKNOWN if info is None else info.name


def _base(operation: str, place: Place) -> dict[str, Any]:
    """Return the attributes that all spans of an operation on a queue or topic have."""
    return {
        names.SYSTEM.name: place.system,
        names.DESTINATION.name: place.name,
        names.OPERATION_NAME.name: operation,
        names.OPERATION_TYPE.name: "send" if operation == "publish" else operation,
        _ADDRESSES[place.system]: place.address,
    }


class _Sending:
    """A message on its way out; see ``bus.instrumentation.Sending``."""

    __slots__ = ("_began", "_envelope", "_flow", "_monotonic", "_size", "_span", "_tracer")

    def __init__(
        self,
        tracer: Tracer,
        span: Span,
        flow: LeavingFlow,
        envelope: Envelope[Any],
        size: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._tracer = tracer
        self._span = span
        self._flow = flow
        self._envelope = envelope
        self._size = size
        self._monotonic = monotonic
        self._began = monotonic()

    @property
    def context(self) -> TraceContext | None:
        """What travels with it."""
        return trace_of(self._span)

    def end(self, error: BaseException | None) -> None:
        """Say how it ended."""
        self._flow.ended(self._monotonic() - self._began, error_type(error))
        if error is not None:
            fail(self._span, error, self._envelope.message)
        elif self._size:
            self._flow.sized(self._size)
        self._tracer.end(self._span)
