from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sourceflow.clock import SystemClock


def test_the_time_of_day_is_in_utc():
    before = datetime.now(UTC)
    now = SystemClock().now()

    assert now.utcoffset() == timedelta(0)
    assert before <= now <= datetime.now(UTC)


async def test_sleeping_moves_the_seconds_on():
    clock = SystemClock()
    begun = clock.monotonic()

    await clock.sleep(0.01)

    assert clock.monotonic() - begun >= 0.009
