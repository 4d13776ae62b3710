"""Claims of subscribers are deleted when no copy can come any more; those of commands never."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

import asyncpg
import pytest
from postgres_server import postgres_url

from sourceflow import App, Entity, Key
from sourceflow.bus.changes import UNCHANGED, Changes, Claim, Stream, StreamChange
from sourceflow.bus.ports import Expiring
from sourceflow.stores.sql import SqlIdempotency, expiry
from sourceflow.stores.sql.stores import SqlStores
from sourceflow.testing.clock import ManualClock


class Order(Entity):
    id: Key[str]


def claims(*ids):
    return [Claim("/shop", each, "Orders.paid") for each in ids]


async def commit(stores, **parts):
    async with stores.begin() as uow:
        await uow.commit(Changes(**parts))


async def test_claims_of_subscribers_live_15_days(instances):
    stores = await instances.open()
    old, young = claims("old", "young")
    await commit(stores, claims=[old])
    await instances.clock.advance(timedelta(days=1))
    await commit(stores, claims=[young])
    await instances.clock.advance(timedelta(days=14) - timedelta(seconds=1))
    assert await stores.clean() == 0
    await instances.clock.advance(timedelta(seconds=1))
    assert await stores.clean() == 1
    assert set(await stores.inbox.claimed([old, young])) == {young}


async def test_claims_of_logged_commands_live_for_ever(instances):
    stores = await instances.open()
    command = instances.event("m-1")
    claim = Claim(command.source, command.id, "")
    step = StreamChange(
        stream=Stream("Order", "o-1"),
        entity_type=Order,
        expected=0,
        entity=UNCHANGED,
        command=command,
    )
    await commit(stores, claims=[claim], stream=step)
    await instances.clock.advance(timedelta(days=4_000))
    assert await stores.clean() == 0
    assert set(await stores.inbox.claimed([claim])) == {claim}


async def test_everything_is_deleted_however_much_it_is(instances, monkeypatch):
    monkeypatch.setattr(expiry, "BATCH", 7)
    stores = await instances.open()
    await commit(stores, claims=claims(*map(str, range(30))))
    await instances.clock.advance(timedelta(days=15))
    assert await stores.clean() == 30
    assert await stores.clean() == 0


async def test_several_instances_clean_at_once(instances):
    one, other = await instances.open(), await instances.open()
    await commit(one, claims=claims(*map(str, range(2_500))))
    await instances.clock.advance(timedelta(days=15))
    counts = await asyncio.gather(one.clean(), other.clean())
    counts.append(await one.clean())  # what one had locked, the other left
    assert sum(counts) == 2_500


@pytest.mark.postgresql
async def test_what_somebody_takes_over_meanwhile_is_not_deleted(clock):
    """On SQLite nobody can: one writes at a time."""
    schema = f"t{secrets.token_hex(8)}"
    connection = await asyncpg.connect(postgres_url())
    try:
        async with SqlIdempotency(postgres_url(), schema=schema, clock=clock) as service:
            await service.claim("crashed", timedelta(seconds=30))
            await clock.advance(timedelta(seconds=30))
            async with connection.transaction():
                await connection.execute(
                    f"UPDATE {schema}.sourceflow_idempotency SET expires = $1",
                    clock.now() + timedelta(seconds=30),
                )
                assert await asyncio.wait_for(service.clean(), 20) == 0
            assert (await service.statistics()).cache_size == 1
    finally:
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")
        await connection.close()


@pytest.fixture
def clock():
    return ManualClock()


async def test_an_app_cleans_its_stores_again_and_again(instances):
    earlier = await instances.open()
    await commit(earlier, claims=claims("old"))
    await instances.clock.advance(timedelta(days=15) - timedelta(minutes=1))
    interval = timedelta(minutes=5)
    stores = SqlStores(instances.url, schema=instances.schema, cleanup_interval=interval)
    assert isinstance(stores, Expiring)
    async with App([], name="shop", stores=stores, clock=instances.clock):
        while await earlier.inbox.claimed(claims("old")):
            await instances.clock.advance(timedelta(minutes=1))


def test_claims_are_cleaned_each_hour():
    assert SqlStores("sqlite://").cleanup_interval == timedelta(hours=1)
    with pytest.raises(ValueError, match="cleanup_interval"):
        SqlStores("sqlite://", cleanup_interval=timedelta(seconds=-1))
