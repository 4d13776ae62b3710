"""Takes the readings that gauges show, every few seconds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sourceflow.bus.instrumentation import Reading
from sourceflow.telemetry import names

if TYPE_CHECKING:
    from datetime import timedelta

    from sourceflow.bus.instrumentation import Place, Sample
    from sourceflow.clock import Clock
    from sourceflow.telemetry.otel.instruments import Instruments

__all__ = ("Sampler",)

log = logging.getLogger(__name__)


class Sampler:
    """Takes readings in the App's loop. The SDK, in a thread of its own, shows the last ones.

    Args:
        instruments: Show them.
        interval: How long to wait between two samples.
        clock: The time.
    """

    def __init__(self, instruments: Instruments, *, interval: timedelta, clock: Clock) -> None:
        self._instruments = instruments
        self._interval = interval.total_seconds()
        self._clock = clock
        self._samples: list[Sample] = []
        self._ages: dict[str, float] = {}

    def watch(self, sample: Sample) -> None:
        """Take these readings too."""
        self._samples.append(sample)

    def aged(self, place: Place, oldest: timedelta) -> None:
        """Note how long a received message had waited."""
        self._ages[place.name] = max(self._ages.get(place.name, 0.0), oldest.total_seconds())

    async def run(self) -> None:
        """Take readings until cancelled; there are none afterwards."""
        try:
            while True:
                await self.sample()
                await self._clock.sleep(self._interval)
        finally:
            self._instruments.forget(self)

    async def sample(self) -> None:
        """Take readings once."""
        readings = [
            Reading(names.QUEUE_AGE, age, {names.DESTINATION: name})
            for name, age in self._ages.items()
        ]
        self._ages = dict.fromkeys(self._ages, 0.0)
        for sample in self._samples:
            try:
                readings += await sample()
            except Exception:
                log.exception("readings could not be taken; the others are shown")
        self._instruments.show(self, readings)
