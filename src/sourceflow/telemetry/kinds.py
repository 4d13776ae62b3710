"""What the names of telemetry stand for: attributes, metrics and spans, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ("Attribute", "Metric", "Scope", "Span", "counter", "detail", "gauge", "seconds", "sizes")

Scope = Literal["SourceFlow", "SourceFlow.Cloud.AWS"]
"""The name of a tracer and a meter."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of spans, or of metrics too.

    Attributes:
        name: Its name.
        description: What it says.
        values: All that it can be, where there are few.
    """

    name: str
    description: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """An instrument of a meter.

    Attributes:
        scope: The meter's name.
        name: Its name.
        kind: A counter only grows; a gauge is a value at a time; a histogram gathers values.
        unit: In UCUM; what stands in braces counts things.
        description: What it says.
        attributes: What its values are told apart by.
        adds_up: Whether several Apps of one process have a sum, where they have equal attributes;
            of other gauges the greatest value is shown.
    """

    scope: Scope
    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    description: str
    attributes: tuple[Attribute, ...]
    adds_up: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A kind of span.

    Attributes:
        scope: The tracer's name.
        name: Its name; what stands in braces is the name of a queue or topic.
        kind: As OpenTelemetry calls it.
        description: What it covers.
        attributes: What it can carry.
        is_detail: Whether it is made only where details are asked for.
    """

    scope: Scope
    name: str
    kind: Literal["CLIENT", "CONSUMER", "INTERNAL", "PRODUCER"]
    description: str
    attributes: tuple[Attribute, ...]
    is_detail: bool = False

    def __str__(self) -> str:
        return self.name


def counter(scope: Scope, name: str, unit: str, what: str, *by: Attribute) -> Metric:
    """Return a metric that only grows."""
    return Metric(
        scope=scope,
        name=name,
        kind="counter",
        unit=unit,
        description=what,
        attributes=by,
        adds_up=True,
    )


def gauge(
    scope: Scope, name: str, unit: str, what: str, *by: Attribute, adds_up: bool = False
) -> Metric:
    """Return a metric that is a value at a time."""
    return Metric(
        scope=scope,
        name=name,
        kind="gauge",
        unit=unit,
        description=what,
        attributes=by,
        adds_up=adds_up,
    )


def seconds(scope: Scope, name: str, what: str, *by: Attribute) -> Metric:
    """Return a metric that gathers durations."""
    return Metric(
        scope=scope, name=name, kind="histogram", unit="s", description=what, attributes=by
    )


def sizes(scope: Scope, name: str, what: str, *by: Attribute) -> Metric:
    """Return a metric that gathers sizes."""
    return Metric(
        scope=scope, name=name, kind="histogram", unit="By", description=what, attributes=by
    )


def detail(scope: Scope, name: str, what: str, *attributes: Attribute) -> Span:
    """Return a kind of span that is made only where details are asked for."""
    return Span(
        scope=scope,
        name=name,
        kind="INTERNAL",
        description=what,
        attributes=attributes,
        is_detail=True,
    )
