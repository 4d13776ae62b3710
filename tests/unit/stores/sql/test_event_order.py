"""The order of the event log on PostgreSQL: by transaction, and nothing appears behind a reader."""

from __future__ import annotations

import asyncpg
import pytest
from postgres_server import POSTGRESQL

from sourceflow.bus.changes import Changes

pytestmark = pytest.mark.parametrize("instances", [POSTGRESQL], indirect=True)


async def append(instances, stores, *message_ids):
    async with stores.begin() as uow:
        await uow.commit(Changes(events=[(instances.event(each), None) for each in message_ids]))


async def read(stores, after=0):
    return [(each.position, each.envelope.id) async for each in stores.events.read(after=after)]


async def test_a_late_commit_does_not_appear_behind_a_reader(instances):
    stores = await instances.open()
    late = await asyncpg.connect(instances.url)
    table = f"{instances.schema}.sourceflow_events"
    async with late.transaction():
        await late.execute(
            f"INSERT INTO {table} (xid, key, source, message_id, type, time, body) "
            "VALUES (pg_current_xact_id()::text::bigint, 'o', '/shop', 'late', 'Paid', now(), $1)",
            stores._open.codec.encode(instances.event("late")).decode(),
        )
        await append(instances, stores, "quick")
        assert await read(stores) == []
    await late.close()
    assert [name for _, name in await read(stores)] == ["late", "quick"]


async def test_a_log_that_was_restored_from_another_cluster_can_be_read(instances):
    stores = await instances.open()
    await append(instances, stores, "a", "b")
    before = await read(stores)
    connection = await asyncpg.connect(instances.url)
    await connection.execute(
        f"UPDATE {instances.schema}.sourceflow_events SET xid = xid + 1000000000000"
    )
    await connection.close()
    assert await read(stores) == []
    again = await instances.open()
    assert await read(again) == before
    await append(instances, again, "c")
    assert [name for _, name in await read(again, after=before[0][0])] == ["b", "c"]
