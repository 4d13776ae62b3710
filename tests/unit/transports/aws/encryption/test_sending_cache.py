from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sourceflow.errors import DependencyError, KeyUnavailableError
from sourceflow.resilience.task_scope import TaskScope
from sourceflow.testing.clock import settle
from sourceflow.transports.aws import AwsOptions
from sourceflow.transports.aws.encryption import GeneratedKey, sending_cache
from sourceflow.transports.aws.encryption.sending_cache import KeyLimits, SendingCache


@pytest.fixture
def make_cache(keys, tasks, clock):
    def make(**limits):
        return SendingCache(keys, tasks=tasks, clock=clock, limits=KeyLimits(**limits))

    return make


@pytest.fixture
def cache(make_cache):
    return make_cache()


async def test_thirty_two_cold_senders_make_one_call(cache, keys):
    keys.open.clear()
    senders = [asyncio.create_task(cache.key("/shop", "arn:q", 10)) for _ in range(32)]
    await settle()
    keys.open.set()

    assert len({id(await sender) for sender in senders}) == 1
    assert keys.generated == [{"source": "/shop", "destination": "arn:q"}]


async def test_each_source_and_destination_has_its_own_key(cache, keys):
    for purpose in (("/a", "arn:q"), ("/b", "arn:q"), ("/a", "arn:r"), ("/a", "arn:q")):
        await cache.key(*purpose, 10)
    assert len(keys.generated) == 3


async def test_who_is_cancelled_leaves_the_call_to_the_others(cache, keys):
    keys.open.clear()
    impatient, patient = (asyncio.create_task(cache.key("/a", "q", 1)) for _ in range(2))
    await settle()
    impatient.cancel()
    await settle()
    keys.open.set()

    assert await patient
    assert len(keys.generated) == 1


async def test_a_key_is_renewed_before_its_time_is_over_and_nobody_waits(cache, keys, clock):
    first = await cache.key("/a", "q", 1)
    await clock.advance(timedelta(minutes=4) - timedelta(seconds=1))
    await cache.key("/a", "q", 1)
    await settle()
    assert len(keys.generated) == 1

    await clock.advance(timedelta(seconds=1))
    keys.open.clear()
    assert await cache.key("/a", "q", 1) is first
    assert await cache.key("/a", "q", 1) is first
    await settle()
    assert len(keys.generated) == 2
    keys.open.set()
    await settle()
    assert await cache.key("/a", "q", 1) is not first


async def test_a_key_ends_with_its_time(cache, keys, clock):
    first = await cache.key("/a", "q", 1)
    await clock.advance(timedelta(minutes=5))
    assert await cache.key("/a", "q", 1) is not first
    assert len(keys.generated) == 2


async def test_a_key_encrypts_so_many_messages_and_no_more(make_cache, keys):
    cache = make_cache(messages=3)
    keys.open.clear()
    senders = [asyncio.create_task(cache.key("/a", "q", 1)) for _ in range(7)]
    await settle()
    keys.open.set()
    used = [await sender for sender in senders]
    assert max(used.count(key) for key in used) == 3


async def test_a_key_encrypts_so_many_bytes_and_no_more(make_cache):
    cache = make_cache(size=100)
    first = await cache.key("/a", "q", 60)
    assert await cache.key("/a", "q", 60) is not first


async def test_a_key_is_renewed_before_its_messages_or_bytes_are_over(make_cache, keys):
    cache = make_cache(messages=10)
    for _ in range(8):
        await cache.key("/a", "messages", 1)
    await settle()
    assert len(keys.generated) == 2

    cache = make_cache(size=100)
    await cache.key("/a", "bytes", 80)
    await settle()
    assert len(keys.generated) == 4


async def test_a_key_that_cannot_be_renewed_is_used_to_its_end(cache, keys, clock):
    first = await cache.key("/a", "q", 1)
    keys.switch_off()
    await clock.advance(timedelta(minutes=4))
    for _ in range(3):
        assert await cache.key("/a", "q", 1) is first
        await settle()
    assert len(keys.generated) == 2  # asked again after a pause only

    await clock.advance(timedelta(minutes=1))
    with pytest.raises(KeyUnavailableError, match="disabled"):
        await cache.key("/a", "q", 1)


async def test_of_many_messages_one_waits_for_a_key_service_that_is_away(cache, keys, clock):
    keys.switch_off()
    for _ in range(10):
        with pytest.raises(KeyUnavailableError):
            await cache.key("/a", "q", 1)
    assert len(keys.generated) == 1

    keys.fault = None
    await clock.advance(sending_cache.PAUSE)
    assert await cache.key("/a", "q", 1)


async def test_whatever_a_key_service_raises_the_key_is_away(cache, keys):
    keys.fault = ZeroDivisionError("oops")
    with pytest.raises(KeyUnavailableError, match="ZeroDivisionError: oops") as raised:
        await cache.key("/a", "q", 1)
    assert isinstance(raised.value, DependencyError)


@pytest.mark.parametrize(
    "made", [GeneratedKey("k", b"short", b"e"), GeneratedKey("k", b"k" * 32, b"e" * 2_000)]
)
async def test_a_key_that_cannot_be_used_is_none(cache, keys, monkeypatch, made):
    async def generate(_context):
        return made

    monkeypatch.setattr(keys, "generate", generate)
    with pytest.raises(KeyUnavailableError, match="bytes"):
        await cache.key("/a", "q", 1)


async def test_the_keys_that_are_kept_are_bounded(cache, keys, monkeypatch):
    monkeypatch.setattr(sending_cache, "MOST_KEYS", 2)
    for name in "abc":
        await cache.key("/a", name, 1)
    await cache.key("/a", "c", 1)
    assert len(keys.generated) == 3
    await cache.key("/a", "a", 1)
    assert len(keys.generated) == 4


async def test_once_the_transport_closes_no_key_is_fetched(keys, clock):
    async with TaskScope() as tasks:
        cache = SendingCache(keys, tasks=tasks, clock=clock, limits=KeyLimits(messages=10))
        for _ in range(7):
            await cache.key("/a", "q", 1)
    assert await cache.key("/a", "q", 1)  # near its end, and not renewed
    with pytest.raises(KeyUnavailableError):
        await cache.key("/a", "other", 1)
    assert len(keys.generated) == 1


def test_a_key_is_used_for_no_more_than_the_guide_says():
    """Five minutes, 2^20 messages, 4 GiB: far below the 2^32 of NIST SP 800-38D, section 8.3."""
    limits = KeyLimits()
    assert limits.lifetime == timedelta(minutes=5) == AwsOptions(region="r").data_key_lifetime
    assert (limits.messages, limits.size) == (2**20, 4 * 2**30)
