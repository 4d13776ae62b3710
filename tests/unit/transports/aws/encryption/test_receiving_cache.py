from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sourceflow.errors import DecryptionFailedError, KeyUnavailableError
from sourceflow.testing.clock import settle
from sourceflow.transports.aws.encryption import receiving_cache
from sourceflow.transports.aws.encryption.format import KeySection
from sourceflow.transports.aws.encryption.receiving_cache import ReceivingCache


@pytest.fixture
def cache(keys, tasks, clock):
    return ReceivingCache(keys, tasks=tasks, clock=clock, lifetime=timedelta(minutes=5))


@pytest.fixture
def section_of(keys):
    async def make(destination="q"):
        made = await keys.generate({"source": "/a", "destination": destination})
        return KeySection(made.key_id, made.encrypted, "/a", destination)

    return make


async def test_many_messages_of_one_key_make_one_call(cache, keys, section_of):
    section = await section_of()
    keys.open.clear()
    readers = [asyncio.create_task(cache.key(section)) for _ in range(32)]
    await settle()
    keys.open.set()
    await asyncio.gather(*readers)
    await cache.key(section)
    assert keys.decrypted == [{"source": "/a", "destination": "q"}]


async def test_a_key_is_kept_for_its_time(cache, keys, section_of, clock):
    section = await section_of()
    await cache.key(section)
    await clock.advance(timedelta(minutes=5) - timedelta(seconds=1))
    await cache.key(section)
    assert len(keys.decrypted) == 1
    await clock.advance(timedelta(seconds=1))
    await cache.key(section)
    assert len(keys.decrypted) == 2


async def test_the_key_that_was_not_needed_longest_makes_room(cache, keys, section_of, monkeypatch):
    monkeypatch.setattr(receiving_cache, "MOST_KEYS", 2)
    first, second, third = [await section_of(name) for name in "abc"]
    for section in (first, second, first, third):
        await cache.key(section)
    assert len(keys.decrypted) == 3
    await cache.key(first)
    assert len(keys.decrypted) == 3
    await cache.key(second)
    assert len(keys.decrypted) == 4


async def test_a_key_of_another_context_is_refused(cache, section_of):
    section = (await section_of())._replace(destination="other")
    with pytest.raises(DecryptionFailedError):
        await cache.key(section)


async def test_whatever_a_key_service_raises_the_key_is_away(cache, keys, section_of):
    section = await section_of()
    keys.fault = ZeroDivisionError("oops")
    with pytest.raises(KeyUnavailableError, match="oops"):
        await cache.key(section)
    keys.fault = None
    assert await cache.key(section)


async def test_a_decrypted_key_of_another_length_is_none(cache, keys, section_of, monkeypatch):
    section = await section_of()

    async def decrypt(*_):
        return b"short"

    monkeypatch.setattr(keys, "decrypt", decrypt)
    with pytest.raises(KeyUnavailableError, match="32 bytes"):
        await cache.key(section)
