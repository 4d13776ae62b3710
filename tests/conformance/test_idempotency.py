"""Every idempotency service of this project passes the suite that is shipped for those of others."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack

import asyncpg
import pytest
from postgres_server import postgres_url

from sourceflow.stores.memory import InMemoryIdempotency
from sourceflow.stores.sql import SqlIdempotency
from sourceflow.testing.conformance import IdempotencyConformance


async def two(stack, *args, **options):
    """Open two services on the same keys."""
    return [await stack.enter_async_context(SqlIdempotency(*args, **options)) for _ in range(2)]


class TestInMemoryIdempotency(IdempotencyConformance):
    """All keys are in one object."""

    @pytest.fixture
    def services(self, clock):
        return [InMemoryIdempotency(clock=clock)] * 2


class TestSqliteIdempotency(IdempotencyConformance):
    """A file."""

    @pytest.fixture
    async def services(self, clock, tmp_path):
        async with AsyncExitStack() as stack:
            yield await two(stack, f"sqlite:///{tmp_path / 'keys.db'}", clock=clock)


class TestPostgresIdempotency(IdempotencyConformance):
    """A schema of its own in the server of this run."""

    @pytest.fixture
    async def services(self, clock):
        schema = f"t{secrets.token_hex(8)}"
        async with AsyncExitStack() as stack:
            yield await two(stack, postgres_url(), schema=schema, clock=clock)
        connection = await asyncpg.connect(postgres_url())
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")
        await connection.close()
