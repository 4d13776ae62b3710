"""Takes the readings that gauges show, every few seconds."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from sourceflow.bus.instrumentation import Reading
from sourceflow.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from sourceflow.bus.instrumentation import Place, Sample
    from sourceflow.clock import Clock
    from sourceflow.telemetry.otel.instruments import Instruments

__all__ = ("Sampler",)

log = logging.getLogger(__name__)


class Sampler:
    """Takes readings in the App's loop. The SDK, in a thread of its own, shows the last ones.

    Samples are taken side by side, each in its own time: a database that hangs keeps nobody from
    seeing that a circuit is open.

    Args:
        instruments: Show them.
        interval: How long to wait between two samples.
        clock: The time.
    """

    def __init__(self, instruments: Instruments, *, interval: timedelta, clock: Clock) -> None:
        self._instruments = instruments
        self._interval = interval.total_seconds()
        self._clock = clock
        self._ages: dict[str, float] = {}
        self._samples: list[Sample] = [self._oldest]

    def watch(self, sample: Sample) -> None:
        """Take these readings too, from the next ``run`` on."""
        self._samples.append(sample)

    def aged(self, place: Place, oldest: timedelta) -> None:
        """Note how long a received message had waited."""
        self._ages[place.name] = max(self._ages.get(place.name, 0.0), oldest.total_seconds())

    async def run(self) -> None:
        """Take readings until cancelled; there are none afterwards."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for sample in self._samples:
                    tasks.create_task(self._repeat(sample), name="sourceflow readings")
        finally:
            for sample in self._samples:
                self._instruments.forget(sample)

    async def _repeat(self, sample: Sample) -> None:
        while True:
            await self._take(sample)
            await self._clock.sleep(self._interval)

    async def sample(self) -> None:
        """Take readings once."""
        await asyncio.gather(*map(self._take, self._samples))

    async def _take(self, sample: Sample) -> None:
        readings: Iterable[Reading] = ()
        try:
            readings = await sample()
        except Exception:
            log.exception("readings could not be taken; the others are shown")
        self._instruments.show(sample, readings)

    async def _oldest(self) -> list[Reading]:
        ages, self._ages = self._ages, dict.fromkeys(self._ages, 0.0)
        return [
            Reading(names.QUEUE_AGE, age, {names.DESTINATION: name}) for name, age in ages.items()
        ]
