"""Every idempotency service of this project passes the suite that is shipped for those of others."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from postgres_server import own_schema, postgres_url

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


@pytest.mark.postgresql
class TestPostgresIdempotency(IdempotencyConformance):
    """A schema of its own in the server of this run."""

    @pytest.fixture
    async def services(self, clock):
        async with own_schema() as schema, AsyncExitStack() as stack:
            yield await two(stack, postgres_url(), schema=schema, clock=clock)
