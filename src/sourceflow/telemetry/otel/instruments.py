"""The metrics of the catalogue, as instruments of a meter provider.

A counter of OpenTelemetry's SDK costs several microseconds each time. Ours are numbers in a
dictionary, which the SDK reads when it collects: an observable counter exports the same.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from sourceflow.telemetry.names import AWS, CORE, METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from opentelemetry.metrics import Meter, MeterProvider

    from sourceflow.bus.instrumentation import Reading
    from sourceflow.telemetry.kinds import Attribute, Metric

__all__ = ("Cell", "Counter", "Gauge", "Histogram", "Instruments")

BOUNDARIES: Final = {
    "s": (
        0.0001, 0.00025, 0.0005, 0.001, 0.0025,
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
    ),
    "By": tuple(1024 * 2**power for power in range(-2, 11)),
}  # fmt: skip
"""What values are sorted by. Seconds: those that the semantic conventions of messaging advise, and
shorter ones, as a step within a process takes a fraction of their first. Bytes: from 256 to the most
that SQS and SNS take, 1 MiB."""


def _attributes(names: Sequence[Attribute], values: Sequence[str]) -> dict[str, str]:
    """Return the attributes of a value; an empty one is left out."""
    return {attribute.name: value for attribute, value in zip(names, values, strict=True) if value}


class Cell:
    """One number of a counter, for who adds to it again and again."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Counter:
    """Counts; its values are given in the order of the metric's attributes."""

    __slots__ = ("_attributes", "_cells")

    def __init__(self, metric: Metric) -> None:
        self._attributes = metric.attributes
        self._cells: dict[tuple[str, ...], Cell] = {}

    def cell(self, *values: str) -> Cell:
        """Return the number that these attributes have."""
        cell = self._cells.get(values)
        if cell is None:
            cell = self._cells[values] = Cell()
        return cell

    def add(self, *values: str, count: int = 1) -> None:
        """Count some more."""
        self.cell(*values).count += count

    def observe(self, _options: CallbackOptions) -> Iterator[Observation]:
        """Yield what was counted; runs in a thread of the SDK."""
        for values, cell in self._cells.copy().items():
            if cell.count:
                yield Observation(cell.count, _attributes(self._attributes, values))


class _Shown(NamedTuple):
    """What a gauge shows.

    Attributes:
        readings: Those that were taken last, of each owner.
        settled: What was counted by owners that are gone.
    """

    readings: Mapping[object, Mapping[tuple[str, ...], float]]
    settled: Mapping[tuple[str, ...], float]


class Gauge:
    """Shows the readings that were taken last, of all Apps of the process.

    Where two of them have equal attributes, the greatest is shown, or the sum of what adds up. A
    counter that somebody else keeps is shown likewise: what an App has counted that has stopped is
    added to what the next one counts.

    Invariant: what is shown is replaced as a whole, as a thread of the SDK reads it. Nothing is
    missing, and nothing is there twice, while an App stops.
    """

    __slots__ = ("_add", "_attributes", "_is_counter", "_shown")

    def __init__(self, metric: Metric) -> None:
        self._attributes = metric.attributes
        self._is_counter = metric.kind == "counter"
        self._add: Callable[[float, float], float] = operator.add if metric.adds_up else max
        self._shown = _Shown({}, {})

    def show(self, owner: object, readings: Iterable[Reading]) -> None:
        """Show these readings instead of the owner's last ones."""
        taken = {
            tuple(reading.attributes.get(attribute, "") for attribute in self._attributes): (
                reading.value
            )
            for reading in readings
        }
        self._shown = _Shown({**self._shown.readings, owner: taken}, self._shown.settled)

    def forget(self, owner: object) -> None:
        """Show nothing of an owner any more."""
        readings, settled = dict(self._shown.readings), self._shown.settled
        last = readings.pop(owner, {})
        self._shown = _Shown(readings, self._sum(settled, last) if self._is_counter else settled)

    def observe(self, _options: CallbackOptions) -> Iterator[Observation]:
        """Yield what is shown; runs in a thread of the SDK."""
        readings, settled = self._shown
        for values, value in self._sum(settled, *readings.values()).items():
            yield Observation(value, _attributes(self._attributes, values))

    def _sum(self, *several: Mapping[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
        total: dict[tuple[str, ...], float] = {}
        for each in several:
            for values, value in each.items():
                total[values] = self._add(total[values], value) if values in total else value
        return total


class Histogram:
    """Gathers durations or sizes; its values are given in the order of the metric's attributes.

    Attributes:
        take: Takes seconds or bytes, and attributes as ``named`` returns them.
    """

    __slots__ = ("_attributes", "_known", "take")

    def __init__(self, metric: Metric, meter: Meter) -> None:
        self._attributes = metric.attributes
        self._known: dict[tuple[str, ...], dict[str, str]] = {}
        self.take = meter.create_histogram(
            metric.name,
            metric.unit,
            metric.description,
            explicit_bucket_boundaries_advisory=BOUNDARIES[metric.unit],
        ).record

    def named(self, *values: str) -> dict[str, str]:
        """Return the attributes of a value, made once."""
        attributes = self._known.get(values)
        if attributes is None:
            attributes = self._known[values] = _attributes(self._attributes, values)
        return attributes

    def record(self, value: float, *values: str) -> None:
        """Take seconds or bytes."""
        self.take(value, self.named(*values))


class Instruments:
    """One instrument for each metric of the catalogue."""

    def __init__(self, provider: MeterProvider, version: str) -> None:
        meters = {scope: provider.get_meter(scope, version) for scope in (CORE, AWS)}
        self._counters: dict[Metric, Counter] = {}
        self._gauges: dict[Metric, Gauge] = {}
        self._histograms: dict[Metric, Histogram] = {}
        for metric in METRICS:
            self._make(metric, meters[metric.scope])

    def _make(self, metric: Metric, meter: Meter) -> None:
        if metric.kind == "histogram":
            self._histograms[metric] = Histogram(metric, meter)
            return
        gauge = self._gauges[metric] = Gauge(metric)
        observes = [gauge.observe]
        create = meter.create_observable_gauge
        if metric.kind == "counter":
            counter = self._counters[metric] = Counter(metric)
            observes.append(counter.observe)
            create = meter.create_observable_counter  # type: ignore[assignment]
        create(metric.name, observes, metric.unit, metric.description)

    @classmethod
    def of(cls, provider: MeterProvider, version: str) -> Instruments:
        """Return those of a meter provider: a second instrument of one name would be a mistake.

        Until the program sets the global provider, OpenTelemetry has another one in its place, whose
        instruments become those of the real one: they are the same for both.
        """
        found = _made.get(provider)
        if found is None:
            is_global = provider is metrics.get_meter_provider()
            found = _global[0] if is_global and _global else cls(provider, version)
            if is_global and not _global:
                _global.append(found)
            _made[provider] = found
        return found

    def counter(self, metric: Metric) -> Counter:
        """Return a counter."""
        return self._counters[metric]

    def histogram(self, metric: Metric) -> Histogram:
        """Return a histogram."""
        return self._histograms[metric]

    def show(self, owner: object, readings: Iterable[Reading]) -> None:
        """Show readings of an App instead of its last ones."""
        by_metric: dict[Metric, list[Reading]] = {}
        for reading in readings:
            by_metric.setdefault(reading.metric, []).append(reading)
        for metric, gauge in self._gauges.items():
            gauge.show(owner, by_metric.get(metric, ()))

    def forget(self, owner: object) -> None:
        """Show nothing of an App any more."""
        for gauge in self._gauges.values():
            gauge.forget(owner)


_global: Final[list[Instruments]] = []
"""Those of the global provider, once somebody has asked for them."""

_made: Final[WeakKeyDictionary[MeterProvider, Instruments]] = WeakKeyDictionary()
