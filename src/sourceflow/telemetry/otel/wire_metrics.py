"""What is measured of messages between processes.

What is the same for all messages of one type in one place is worked out once, as a ``Flow``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sourceflow.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.bus.instrumentation import Place
    from sourceflow.telemetry.otel.instruments import Cell, Counter, Histogram, Instruments

__all__ = ("ArrivingFlow", "LeavingFlow", "WireMetrics")

SETTLED: Final = frozenset({"done", "duplicate", "ignored", "discarded"})
"""Outcomes after which a message is acknowledged."""

FAILED: Final = frozenset({"retry", "rejected", "paused", "cancelled"})
"""Outcomes of which each is an error; a message that another process works on is neither."""


class LeavingFlow:
    """Messages of one type that leave for one place."""

    __slots__ = (
        "_confirmed",
        "_duration",
        "_failed",
        "_place",
        "_size",
        "_succeeded",
        "_type_name",
    )

    def __init__(
        self,
        confirmed: Counter,
        failed: Counter,
        duration: Histogram,
        size: Histogram,
        *,
        place: Place,
        type_name: str,
    ) -> None:
        self._confirmed = confirmed.cell(type_name, place.name)
        self._failed = failed
        self._duration = duration
        self._succeeded = duration.named(type_name, place.name, "")
        self._size = size
        self._place = place.name
        self._type_name = type_name

    def sized(self, count: int) -> None:
        """Take the bytes of a message that was confirmed."""
        self._size.record(count, self._type_name, self._place)

    def ended(self, seconds: float, error: str) -> None:
        """Count a message that was confirmed, or was not."""
        if not error:
            self._confirmed.count += 1
            self._duration.take(seconds, self._succeeded)
            return
        self._failed.add(self._type_name, self._place, error)
        self._duration.record(seconds, self._type_name, self._place, error)


class ArrivingFlow:
    """Messages of one type that arrive at one place.

    Attributes:
        received: How many there were.
    """

    __slots__ = ("_ends", "_metrics", "_place", "_type_name", "received")

    def __init__(self, metrics: WireMetrics, *, place: Place, type_name: str) -> None:
        self._metrics = metrics
        self._place = place
        self._type_name = type_name
        self._ends: dict[tuple[str, str], tuple[Cell | None, dict[str, str], dict[str, str]]] = {}
        self.received = metrics.received.cell(type_name, place.name)

    def ended(self, seconds: float, outcome: str, error: str) -> None:
        """Count a message whose handling has ended."""
        found = self._ends.get((outcome, error))
        if found is None:
            found = self._ends[outcome, error] = self._end(outcome, error)
        cell, ours, theirs = found
        if cell is not None:
            cell.count += 1
        self._metrics.processing_duration.take(seconds, ours)
        self._metrics.process_duration.take(seconds, theirs)

    def _end(self, outcome: str, error: str) -> tuple[Cell | None, dict[str, str], dict[str, str]]:
        metrics, place = self._metrics, self._place
        values = (self._type_name, place.name, outcome)
        cell = None
        if outcome in SETTLED:
            cell = metrics.processed.cell(*values)
        elif outcome in FAILED:
            cell = metrics.processing_error.cell(*values, error)
        return (
            cell,
            metrics.processing_duration.named(*values),
            metrics.process_duration.named(place.system, place.name, "process", "process", error),
        )


class WireMetrics:
    """The metrics of the scope ``SourceFlow.Cloud.AWS`` that are not read from gauges.

    Attributes:
        received: Messages whose handling began.
        processed: Those whose handling ended well.
        processing_error: Those whose handling failed.
        processing_duration: How long each took.
        process_duration: The same, as the conventions have it.
    """

    def __init__(self, instruments: Instruments) -> None:
        counter, histogram = instruments.counter, instruments.histogram
        self.received = counter(names.MESSAGE_RECEIVED)
        self.processed = counter(names.MESSAGE_PROCESSED)
        self.processing_error = counter(names.MESSAGE_PROCESSING_ERROR)
        self.processing_duration = histogram(names.MESSAGE_PROCESSING_DURATION)
        self.process_duration = histogram(names.PROCESS_DURATION)
        self._leaving = {
            "send": (
                counter(names.COMMAND_DISPATCHED),
                counter(names.COMMAND_DISPATCH_ERROR),
                histogram(names.COMMAND_DISPATCH_DURATION),
            ),
            "publish": (
                counter(names.EVENT_PUBLISHED),
                counter(names.EVENT_PUBLISH_ERROR),
                histogram(names.EVENT_PUBLISH_DURATION),
            ),
        }
        self._size = histogram(names.MESSAGE_SIZE)
        self._operation_duration = histogram(names.OPERATION_DURATION)
        self._sent = counter(names.SENT_MESSAGES)
        self._consumed = counter(names.CONSUMED_MESSAGES)

    def leaving(self, operation: str, place: Place, type_name: str) -> LeavingFlow:
        """Return what counts messages that are sent or published."""
        return LeavingFlow(*self._leaving[operation], self._size, place=place, type_name=type_name)

    def arriving(self, place: Place, type_name: str) -> ArrivingFlow:
        """Return what counts messages that are handled."""
        return ArrivingFlow(self, place=place, type_name=type_name)

    def called(
        self,
        operation: str,
        place: Place,
        seconds: float,
        count: int,
        error: str,
        refused: Sequence[str],
    ) -> None:
        """Count a call of the service, and its messages, each with its own error."""
        kind = "receive" if operation == "receive" else "send"
        values = (place.system, place.name, operation, kind)
        self._operation_duration.record(seconds, *values, error)
        messages = self._consumed if kind == "receive" else self._sent
        if count > len(refused):
            messages.add(*values, error, count=count - len(refused))
        for why in refused:
            messages.add(*values, why)
