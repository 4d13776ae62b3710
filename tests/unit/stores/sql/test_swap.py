"""A rebuilt view model takes the place of the old one while others write."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from postgres_server import POSTGRESQL

from sourceflow.bus.changes import Changes, Claim, RowChange
from sourceflow.bus.ports import StoresContext
from sourceflow.messages import Codec, Registry
from sourceflow.stores.sql import shadow as shadow_module
from sourceflow.stores.sql.stores import SqlStores


def project(instances, seen):
    async def rows(page):
        seen.extend(each.envelope.id for each in page)
        return {each.envelope.key: instances.Listing(id=each.envelope.key) for each in page}

    return rows


@pytest.mark.parametrize("instances", [POSTGRESQL], indirect=True)
async def test_an_event_that_readers_may_not_see_yet_is_projected_by_the_swap(instances):
    """While an older transaction runs, readers of PostgreSQL stop before what came after it."""
    stores = await instances.open()
    shadow = await stores.shadow(instances.Listing, resume=False)
    connection = await asyncpg.connect(instances.url)
    seen = []
    async with connection.transaction():
        await connection.fetchval("SELECT pg_current_xact_id()")
        async with stores.begin() as uow:
            await uow.commit(Changes(events=[(instances.event("e-1"), None)]))
        assert await stores.events.position() == 0
        assert await shadow.swap(project(instances, seen), types=["Paid"], claims=()) == 1
    await connection.close()
    assert seen == ["e-1"]


async def test_a_row_that_is_written_during_the_swap_is_in_the_new_rows(instances):
    """An inline view's row and its event are one transaction: before the swap, or after it."""
    stores = await instances.open()
    async with stores.begin() as uow:
        await uow.commit(Changes(events=[(instances.event("e-1", key="a"), None)]))
    shadow = await stores.shadow(instances.Listing, resume=False)
    writing = []

    async def rows(page):
        writing.append(asyncio.create_task(write()))
        await asyncio.wait(writing, timeout=0.3)  # it waits for the swap, which waits for us
        assert not writing[0].done()
        return {each.envelope.key: instances.Listing(id=each.envelope.key) for each in page}

    async def write():
        async with stores.begin() as uow:
            row = RowChange(
                row_type=instances.Listing, key="b", expected=0, row=instances.Listing(id="b")
            )
            event = instances.event("e-2", key="b")
            await uow.commit(Changes(rows=[row], events=[(event, None)]))

    assert await shadow.swap(rows, types=["Paid"], claims=()) == 1
    await writing[0]
    assert await stores.find(instances.Listing, "a") is not None
    assert await stores.find(instances.Listing, "b") is not None


async def test_a_swap_leaves_many_events_to_be_saved_before(instances, monkeypatch):
    monkeypatch.setattr(shadow_module, "LAST", 2)
    stores = await instances.open()
    events = [(instances.event(f"e-{number}", key=f"k{number}"), None) for number in range(3)]
    async with stores.begin() as uow:
        await uow.commit(Changes(events=events))
    shadow = await stores.shadow(instances.Listing, resume=False)
    seen = []
    assert await shadow.swap(project(instances, seen), types=["Paid"], claims=()) is None
    first = await anext(stores.events.read())
    await shadow.save({"k0": instances.Listing(id="k0")}, position=first.position)
    assert await shadow.swap(project(instances, seen), types=["Paid"], claims=()) == 3
    assert seen == ["e-1", "e-2"]


async def test_rows_that_nobody_needs_are_removed(instances, monkeypatch):
    monkeypatch.setattr("sourceflow.stores.sql.shadow_statements.CLEANED", 2)
    stores = await instances.open()
    for _ in range(2):
        shadow = await stores.shadow(instances.Listing, resume=False)
        rows = {key: instances.Listing(id=key) for key in "abcde"}
        await shadow.save(rows, position=0)
    assert await shadow.swap(project(instances, []), types=["Paid"], claims=()) == 5
    sql = stores._open.view_models.shadow_statements(instances.Listing)
    database = stores._open.database
    counts = [
        (await database.read(sql.count, {"generation": generation}))[0][0]
        for generation in range(1, 4)
    ]
    assert counts == [0, 0, 5]


async def test_claims_of_events_that_cannot_arrive_any_more_are_not_taken(instances):
    stores = await instances.open()
    old = instances.event("e-1")
    async with stores.begin() as uow:
        await uow.commit(Changes(events=[(old, None)]))
    await instances.clock.advance(old.time - instances.clock.now() + timedelta(days=16))
    shadow = await stores.shadow(instances.Listing, resume=False)
    await shadow.save({}, position=await stores.events.position())
    await shadow.swap(project(instances, []), types=["Paid"], claims={("Paid", "Listings.paid")})
    assert await stores.inbox.claimed([Claim("/shop", "e-1", "Listings.paid")]) == set()


@pytest.mark.parametrize("instances", ["sqlite"], indirect=True)
async def test_a_database_in_memory_swaps_too(instances):
    stores = SqlStores("sqlite://")
    codec = Codec(Registry([instances.Paid]))
    await stores.open(StoresContext("shop", codec, instances.clock, (instances.Listing,)))
    async with stores.begin() as uow:
        await uow.commit(Changes(events=[(instances.event("e-1"), None)]))
    shadow = await stores.shadow(instances.Listing, resume=False)
    seen = []
    async with asyncio.timeout(10):
        assert await shadow.swap(project(instances, seen), types=["Paid"], claims=()) is None
        await shadow.save({"new": instances.Listing(id="new")}, position=1)
        assert await shadow.swap(project(instances, seen), types=["Paid"], claims=()) == 1
    assert await stores.find(instances.Listing, "new") == instances.Listing(id="new")
    await stores.aclose()
