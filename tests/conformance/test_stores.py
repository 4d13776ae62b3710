"""Every store of this project passes the suite that is shipped for those of others."""

from __future__ import annotations

import pytest
from encrypted_stores import EncryptedStores
from postgres_server import own_schema, postgres_url

from sourceflow.stores.memory import MemoryStores
from sourceflow.stores.sql import SqlStores
from sourceflow.testing.conformance import StoresConformance
from sourceflow.transports.aws import LocalKeyProvider


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


@pytest.mark.postgresql
class TestPostgresStores(StoresConformance):
    """A schema of its own in the server of this run."""

    @pytest.fixture
    async def new_stores(self):
        async with own_schema() as schema:
            yield lambda: SqlStores(postgres_url(), schema=schema)


class TestEncryptedSqliteStores(StoresConformance):
    """A file whose records are encrypted."""

    @pytest.fixture
    def new_stores(self, tmp_path):
        keys = LocalKeyProvider()
        return lambda: EncryptedStores(f"sqlite:///{tmp_path / 'stores.db'}", keys)


@pytest.mark.postgresql
class TestEncryptedPostgresStores(StoresConformance):
    """A schema of its own whose records are encrypted."""

    @pytest.fixture
    async def new_stores(self):
        keys = LocalKeyProvider()
        async with own_schema() as schema:
            yield lambda: EncryptedStores(postgres_url(), keys, schema=schema)
