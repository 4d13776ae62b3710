"""A database of each test's own: SQLite, and PostgreSQL."""

from __future__ import annotations

import pytest
from postgres_server import PRODUCTS

from databases import own_database


@pytest.fixture(params=PRODUCTS)
async def database(request, tmp_path):
    async with own_database(request.param, tmp_path) as database:
        yield database
