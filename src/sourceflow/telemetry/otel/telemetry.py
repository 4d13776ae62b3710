"""Traces and metrics of Apps."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics, trace

from sourceflow.telemetry.names import AWS, CORE
from sourceflow.telemetry.otel.following import Following
from sourceflow.telemetry.otel.instruments import Instruments
from sourceflow.telemetry.otel.tracer import Tracer

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from sourceflow.bus.instrumentation import Instrumentation
    from sourceflow.bus.wiring import Wiring
    from sourceflow.clock import Clock

__all__ = ("Telemetry",)

SAMPLE_INTERVAL: Final = timedelta(seconds=10)
"""How often gauges are read anew where nothing else is said."""


class Telemetry:
    """Traces and measures the messages of an App: ``App(..., telemetry=Telemetry())``.

    What is exported, where to and how much of it is sampled is up to OpenTelemetry's SDK, which
    the program sets up. ``sourceflow.telemetry.names`` lists every span, metric and attribute.

    Args:
        tracer_provider: Makes spans; the global one where not given.
        meter_provider: Makes metrics; the global one where not given.
        links: Whether the handling of a message begins a trace of its own, which is linked to its
            sender's. Where not, it is part of the sender's trace.
        details: Whether steps inside of a message have spans too: handlers, reads, commits.
            Each costs about as much as the span of the message itself.
        sample_interval: How long a gauge shows what was read last. Each sample asks SQS for the
            attributes of every queue that is listened to, and of its dead letter queue.

    Raises:
        ValueError: The interval is not longer than zero.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        links: bool = False,
        details: bool = False,
        sample_interval: timedelta = SAMPLE_INTERVAL,
    ) -> None:
        if sample_interval <= timedelta(0):
            raise ValueError(f"sample_interval is longer than zero, not {sample_interval}")
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._links = links
        self._details = details
        self._sample_interval = sample_interval

    def instrument(self, wiring: Wiring, clock: Clock) -> Instrumentation:
        """Return what follows one App, which starts now; called by the App."""
        tracers = self._tracer_provider or trace.get_tracer_provider()
        meters = self._meter_provider or metrics.get_meter_provider()
        ours = version("sourceflow")
        return Following(
            Tracer(tracers.get_tracer(CORE, ours)),
            Tracer(tracers.get_tracer(AWS, ours)),
            Instruments.of(meters, ours),
            wiring=wiring,
            clock=clock,
            links=self._links,
            details=self._details,
            interval=self._sample_interval,
        )
