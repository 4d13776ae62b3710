"""Every idempotency service behind one face: the tests state the contract of the port."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest
from postgres_server import postgres_url

from sourceflow import ClaimState
from sourceflow.stores.memory import InMemoryIdempotency
from sourceflow.stores.sql import SqlIdempotency
from sourceflow.testing.clock import ManualClock


class Desk:
    """Services that share their keys, one for each process there might be."""

    CLAIMED, IN_PROGRESS, DONE = ClaimState.CLAIMED, ClaimState.IN_PROGRESS, ClaimState.DONE
    lease = timedelta(seconds=30)

    def __init__(self, clock, services):
        self.clock = clock
        self.services = services
        self.service = services[0]

    async def claim(self, key="k", *, service=None):
        return await (service or self.service).claim(key, self.lease)

    async def take(self, key="k"):
        """Claim a key that must be free; return the owner's token."""
        claim = await self.claim(key)
        assert claim.state is ClaimState.CLAIMED
        return claim.token

    async def state(self, key="k"):
        return (await self.claim(key)).state

    async def wait(self, **parts):
        await self.clock.advance(timedelta(**parts))


@asynccontextmanager
async def sqlite(clock, folder):
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{folder / 'keys.db'}"
        yield [await stack.enter_async_context(SqlIdempotency(url, clock=clock)) for _ in range(2)]


@asynccontextmanager
async def postgresql(clock, folder):
    schema = f"t{secrets.token_hex(8)}"
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                SqlIdempotency(postgres_url(), schema=schema, clock=clock)
            )
            for _ in range(2)
        ]
    connection = await asyncpg.connect(postgres_url())
    await connection.execute(f"DROP SCHEMA {schema} CASCADE")
    await connection.close()


@asynccontextmanager
async def memory(clock, folder):
    yield [InMemoryIdempotency(clock=clock)] * 2


@pytest.fixture(params=[memory, sqlite, postgresql], ids=lambda backend: backend.__name__)
async def desk(request, tmp_path):
    clock = ManualClock()
    async with request.param(clock, tmp_path) as services:
        yield Desk(clock, services)
