"""Commits rely on READ COMMITTED, which a server's or role's settings may have changed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from postgres_server import postgres_url
from sqlalchemy import text

from sourceflow.stores.sql.database import Statement, open_database
from sourceflow.stores.sql.url import parse_url


@pytest.mark.postgresql
async def test_the_isolation_level_is_the_stores_own():
    url = postgres_url()
    mark = "&" if "?" in url else "?"
    parsed = parse_url(f"{url}{mark}default_transaction_isolation=serializable")
    database = open_database(parsed, pool_size=1, timeout=timedelta(seconds=10), create=False)
    await database.open()
    try:
        show = Statement(text("SHOW transaction_isolation"), database.product)
        assert [tuple(row) for row in await database.read(show, {})] == [("read committed",)]
    finally:
        await database.aclose()
