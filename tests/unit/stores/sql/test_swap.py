"""A rebuilt view model takes the place of the old one only if nothing has happened meanwhile."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from sourceflow.bus.changes import Changes
from sourceflow.bus.ports import StoresContext
from sourceflow.messages import Codec, Registry
from sourceflow.stores.sql.stores import SqlStores


@pytest.mark.parametrize("instances", ["postgresql"], indirect=True)
async def test_an_event_that_readers_may_not_see_yet_stops_a_swap(instances):
    """While an older transaction runs, readers of PostgreSQL stop before what came after it."""
    stores = await instances.open()
    connection = await asyncpg.connect(instances.url)
    async with connection.transaction():
        await connection.fetchval("SELECT pg_current_xact_id()")
        async with stores.begin() as uow:
            await uow.commit(Changes(events=[(instances.event("e-1"), None)]))
        assert await stores.events.position() == 0
        assert not await stores.swap(instances.Listing, {}, position=0, claims=[])
    await connection.close()
    position = await stores.events.position()
    assert position > 0
    assert await stores.swap(instances.Listing, {}, position=position, claims=[])


@pytest.mark.parametrize("instances", ["sqlite"], indirect=True)
async def test_a_database_in_memory_swaps_too(instances):
    stores = SqlStores("sqlite://")
    codec = Codec(Registry([instances.Paid]))
    await stores.open(StoresContext("shop", codec, instances.clock, (instances.Listing,)))
    new = {"new": instances.Listing(id="new")}
    async with asyncio.timeout(10):
        assert await stores.swap(instances.Listing, new, position=0, claims=[])
    assert await stores.find(instances.Listing, "new") == new["new"]
    await stores.aclose()
