"""An empty place for tables: a new file, or a new schema in the server of this run."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from textwrap import dedent

import asyncpg
import pytest
from postgres_server import PRODUCTS, own_schema, postgres_url

from sourceflow import Event, Key, ViewModel
from sourceflow.bus.ports import StoresContext
from sourceflow.messages import Codec, Registry
from sourceflow.stores.sql.database import open_database
from sourceflow.stores.sql.migrations import migrations
from sourceflow.stores.sql.schema import build_schema
from sourceflow.stores.sql.stores import SqlStores
from sourceflow.stores.sql.url import parse_url
from sourceflow.testing.clock import ManualClock


class Paid(Event):
    order_id: Key[str]


class Listing(ViewModel):
    id: Key[str]


class Place:
    """Where tables are made, and what is there."""

    Paid, Listing = Paid, Listing

    def __init__(self, url, schema):
        self.url = url
        self.schema = schema
        self.product = parse_url(url).product
        self._administrators = url

    def stores(self, **options):
        return SqlStores(self.url, **{"schema": self.schema, **options})

    def tables(self, **options):
        """The tables as the code sees them."""
        return build_schema(**{"schema": self.schema, **options})

    async def start(self, **options):
        """Open stores as an App does."""
        stores = self.stores(**options)
        context = StoresContext("shop", Codec(Registry([Paid])), ManualClock(), (Listing,))
        await stores.open(context)
        return stores

    async def administer(self, work):
        """Run something on the connection that migrations get."""
        database = open_database(
            parse_url(self.url), pool_size=1, timeout=timedelta(seconds=30), create=True
        )
        await database.open()
        try:
            return await database.administer(work)
        finally:
            await database.aclose()

    async def run(self, script):
        """Run SQL as an operator does, by the database's own means."""
        if self.product == "sqlite":
            with closing(sqlite3.connect(parse_url(self._administrators).path)) as connection:
                connection.executescript(script)
        else:
            await self._on_server(lambda connection: connection.execute(script))

    async def rows(self, query):
        if self.product == "sqlite":
            with closing(sqlite3.connect(parse_url(self._administrators).path)) as connection:
                return [tuple(row) for row in connection.execute(query)]
        found = await self._on_server(lambda connection: connection.fetch(query))
        return [tuple(row) for row in found]

    async def _on_server(self, work):
        settings = {"search_path": self.schema}
        connection = await asyncpg.connect(self._administrators, server_settings=settings)
        try:
            return await work(connection)
        finally:
            await connection.close()

    async def names(self):
        """The names of all tables."""
        if self.product == "sqlite":
            query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        else:
            query = f"SELECT tablename::text FROM pg_tables WHERE schemaname = '{self.schema}'"
        return {name for (name,) in await self.rows(query)}


@pytest.fixture(params=PRODUCTS)
async def place(request, tmp_path):
    if request.param == "sqlite":
        yield Place(f"sqlite:///{tmp_path / 'stores.db'}", None)
        return
    async with own_schema() as schema:
        yield Place(postgres_url(), schema)


@pytest.fixture
def next_revision(tmp_path, monkeypatch):
    """Lets the code be one revision on: called with what that revision does."""
    folder = tmp_path / "history"
    shutil.copytree(migrations.HISTORY / "versions", folder / "versions")
    monkeypatch.setattr(migrations, "HISTORY", folder)
    latest = max(path.name for path in folder.glob("versions/v*.py"))

    def add(body, number=int(latest[1:5]) + 1):
        path = folder / "versions" / f"v{number:04}_more.py"
        head = f"""
            from sqlalchemy import Column, Integer
            revision = "{number:04}"
            down_revision = "{number - 1:04}"
            def upgrade(op, *, prefix, schema):
        """
        path.write_text(f"{dedent(head).rstrip()}\n    {body}\n")
        return f"{number:04}"

    return add
