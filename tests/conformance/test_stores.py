"""Every store of this project passes the suite that is shipped for those of others."""

from __future__ import annotations

import secrets

import asyncpg
import pytest
from postgres_server import postgres_url

from sourceflow.stores.memory import MemoryStores
from sourceflow.stores.sql import SqlStores
from sourceflow.testing.conformance import StoresConformance


class TestMemoryStores(StoresConformance):
    """All that they hold is in one object."""

    has_connection = False

    @pytest.fixture
    def new_stores(self):
        kept = MemoryStores()
        return lambda: kept


class TestSqliteStores(StoresConformance):
    """A file."""

    @pytest.fixture
    def new_stores(self, tmp_path):
        return lambda: SqlStores(f"sqlite:///{tmp_path / 'stores.db'}")


class TestPostgresStores(StoresConformance):
    """A schema of its own in the server of this run."""

    @pytest.fixture
    async def new_stores(self):
        schema = f"t{secrets.token_hex(8)}"
        yield lambda: SqlStores(postgres_url(), schema=schema)
        connection = await asyncpg.connect(postgres_url())
        await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        await connection.close()
