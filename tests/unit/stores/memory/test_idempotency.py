"""Keys in memory stay few."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sourceflow.stores.memory import InMemoryIdempotency
from sourceflow.stores.memory import idempotency as module
from sourceflow.testing.clock import ManualClock

LEASE = timedelta(seconds=30)


@pytest.fixture
def clock():
    return ManualClock()


async def test_no_key_lives_longer_than_a_day(clock):
    service = InMemoryIdempotency(clock=clock)
    await service.mark_as_processed("k", timedelta(days=15))
    await clock.advance(timedelta(hours=24))
    assert not await service.has_processed("k")
    assert await service.clean() == 1


async def test_the_oldest_key_makes_room_for_a_new_one():
    service = InMemoryIdempotency(capacity=2)
    for key in ("a", "b", "a", "c"):
        await service.mark_as_processed(key)
    assert not await service.has_processed("b")
    assert await service.has_processed("a")
    assert await service.has_processed("c")
    assert (await service.statistics()).cache_size == 2


async def test_claims_outlast_what_is_processed_when_there_is_no_room():
    service = InMemoryIdempotency(capacity=2)
    claim = await service.claim("claimed", LEASE)
    await service.mark_as_processed("old")
    await service.mark_as_processed("new")
    assert not await service.has_processed("old")
    assert await service.complete("claimed", token=claim.token)


async def test_claims_make_room_for_claims():
    service = InMemoryIdempotency(capacity=2)
    tokens = [(await service.claim(key, LEASE)).token for key in "abc"]
    assert not await service.complete("a", token=tokens[0])
    assert await service.complete("c", token=tokens[2])


def test_there_is_room_for_one_key_at_least():
    with pytest.raises(ValueError, match="capacity is 1 or more, not 0"):
        InMemoryIdempotency(capacity=0)


async def test_a_cleaning_lets_others_run(clock, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 10)
    service = InMemoryIdempotency(clock=clock)
    for at in range(25):
        await service.mark_as_processed(f"k{at}", timedelta(minutes=1))
    await clock.advance(timedelta(minutes=1))
    cleaning = asyncio.create_task(service.clean())
    sizes = []
    while not cleaning.done():
        await asyncio.sleep(0)
        sizes.append((await service.statistics()).cache_size)
        await service.mark_as_processed("k24")  # looked at last: it counts again
    assert 5 in sizes
    assert await cleaning == 24
    assert await service.has_processed("k24")
