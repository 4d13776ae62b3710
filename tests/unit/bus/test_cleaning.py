"""What expires is deleted while an App runs."""

from __future__ import annotations

from datetime import timedelta

from sourceflow import App
from sourceflow.stores.memory import InMemoryIdempotency, MemoryStores
from sourceflow.testing.clock import ManualClock


class Cellar(MemoryStores):
    """Stores that count their cleanings, and fail as they are told."""

    cleanup_interval = timedelta(hours=1)

    def __init__(self):
        super().__init__()
        self.cleanings = 0
        self.faults = []

    async def clean(self):
        self.cleanings += 1
        if self.faults:
            raise self.faults.pop(0)
        return 3


async def test_stores_are_cleaned_at_once_and_in_each_interval(start):
    cellar = Cellar()
    bench = await start(stores=cellar)
    await bench.settle()
    assert cellar.cleanings == 1
    await bench.wait(minutes=59)
    assert cellar.cleanings == 1
    await bench.wait(minutes=1)
    assert cellar.cleanings == 2


async def test_a_cleaning_that_fails_is_logged_and_tried_again_soon(start, caplog):
    cellar = Cellar()
    cellar.faults = [OSError("no route"), ValueError("no sense")]
    bench = await start(stores=cellar)
    await bench.settle()
    assert "MemoryStores() was not cleaned and is tried again in 0:01:00" in caplog.text
    await bench.wait(minutes=2)
    assert cellar.cleanings == 3
    await bench.wait(minutes=59)
    assert cellar.cleanings == 3
    await bench.wait(minutes=1)
    assert cellar.cleanings == 4


async def test_a_short_interval_is_not_stretched_by_a_failure(start):
    cellar = Cellar()
    cellar.cleanup_interval = timedelta(seconds=5)
    cellar.faults = [OSError("no route")]
    bench = await start(stores=cellar)
    await bench.settle()
    await bench.wait(seconds=5)
    assert cellar.cleanings == 2


async def test_the_service_of_every_app_is_cleaned_each_minute(start):
    bench = await start()
    service = bench.app.idempotency
    assert isinstance(service, InMemoryIdempotency)
    await service.mark_as_processed("k", timedelta(seconds=30))
    await bench.wait(seconds=59)
    assert (await service.statistics()).cache_size == 1
    await bench.wait(seconds=1)
    assert (await service.statistics()).cache_size == 0


async def test_nothing_is_cleaned_any_more_when_the_app_has_stopped():
    cellar, clock = Cellar(), ManualClock()
    async with App([], name="shop", stores=cellar, clock=clock):
        await clock.advance(timedelta(hours=1))
    cleanings = cellar.cleanings
    await clock.advance(timedelta(hours=5))
    assert cellar.cleanings == cleanings
    assert clock.sleepers == 0
