"""What is wrong with a database is said before anything is written."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from postgres_server import POSTGRESQL, URL, postgres_url
from sqlalchemy import text
from sqlalchemy.engine import make_url

from sourceflow.errors import DependencyError, StoreConfigurationError
from sourceflow.stores.sql import SqlStores
from sourceflow.stores.sql.database.sqlite import SqliteDatabase
from sourceflow.stores.sql.migrations import Migrations
from sourceflow.stores.sql.schema import PREFIX, build_schema
from sourceflow.stores.sql.url import parse_url

on_sqlite = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("place", [POSTGRESQL], indirect=True)


async def refusal(url, **options):
    with pytest.raises(StoreConfigurationError) as caught:
        await SqlStores(url, **options).migrate()
    return str(caught.value)


# -- SQLite ---------------------------------------------------------------------------------------


async def test_a_folder_that_is_not_there_is_named(tmp_path):
    url = f"sqlite:///{tmp_path / 'none' / 'stores.db'}"
    assert await refusal(url) == (
        f"{url} cannot be opened: the folder {tmp_path / 'none'} is not there"
    )


async def test_a_folder_is_no_file(tmp_path):
    assert await refusal(f"sqlite:///{tmp_path}") == f"sqlite:///{tmp_path} is a folder, not a file"


async def test_another_kind_of_file_stays_as_it_is(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no database at all\n" * 100)
    before = path.read_bytes()
    assert await refusal(f"sqlite:///{path}") == (
        f"sqlite:///{path} cannot be used: file is not a database"
    )
    assert path.read_bytes() == before


@contextmanager
def ordinary_user():
    """Be a user to whom the rights of files apply, for root passes over them."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder that every user may read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("journal", ["delete", "wal"])
async def test_a_file_that_may_only_be_read_is_refused(open_folder, journal):
    path = open_folder / "stores.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    path.chmod(0o444)
    open_folder.chmod(0o555)
    with ordinary_user():
        said = await refusal(f"sqlite:///{path}")
    assert said.startswith(f"sqlite:///{path} cannot be used: ")


async def test_a_file_system_without_shared_memory_is_refused(tmp_path, monkeypatch):
    """SQLite's way to lock by files is for file systems like those; it cannot write ahead."""
    connect = sqlite3.connect

    def on_such(path, **options):
        return connect(f"file:{path}?vfs=unix-dotfile", uri=True, **options)

    monkeypatch.setattr(sqlite3, "connect", on_such)
    said = await refusal(f"sqlite:///{tmp_path / 'stores.db'}")
    assert "SQLite cannot write ahead here, its journal stays 'delete'" in said


@on_sqlite
async def test_a_full_disk_leaves_nothing_behind(place):
    url = parse_url(place.url)
    migrations = Migrations(url, build_schema())
    database = SqliteDatabase(url, timeout=timedelta(seconds=5), create=True)
    await database.open()
    await database._writer.submit(lambda raw: raw.execute("PRAGMA max_page_count=9"), alone=True)
    with pytest.raises(DependencyError, match="database or disk is full"):
        await database.administer(migrations.upgrade)
    assert await place.names() == set()
    await database._writer.submit(lambda raw: raw.execute("PRAGMA max_page_count=999"), alone=True)
    assert await database.administer(migrations.upgrade)
    await database.aclose()


# -- PostgreSQL -----------------------------------------------------------------------------------


@on_postgresql
async def test_a_full_disk_of_a_server_is_an_outage(place):
    full = text("DO $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = 'disk_full'; END $$")
    with pytest.raises(DependencyError, match="no space"):
        await place.administer(lambda connection: connection.execute(full))


async def test_a_server_that_does_not_answer_is_an_outage():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        stores = SqlStores(f"postgresql://shop:secret@127.0.0.1:{free.getsockname()[1]}/orders")
        with pytest.raises(DependencyError, match="does not answer: ") as caught:
            await stores.migrate()
    assert "secret" not in str(caught.value)


async def test_a_host_that_there_is_not_is_an_outage():
    with pytest.raises(DependencyError, match=r"postgresql://nowhere\.invalid/orders does not ans"):
        await SqlStores("postgresql://nowhere.invalid/orders").migrate()


@pytest.mark.postgresql
async def test_a_database_that_is_not_there_is_named():
    url = make_url(postgres_url()).set(database="no_such_orders")
    said = await refusal(url.render_as_string(hide_password=False))
    assert said.endswith('refuses: database "no_such_orders" does not exist')


@pytest.mark.postgresql
async def test_a_database_that_cannot_hold_every_character_is_refused(role):
    name = f"d{secrets.token_hex(8)}"
    await role.run(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    url = make_url(postgres_url()).set(database=name)
    said = await refusal(url.render_as_string(hide_password=False))
    await role.run(f"DROP DATABASE {name}")
    assert "keeps texts in SQL_ASCII, which cannot hold every character" in said


@pytest.mark.postgresql
@pytest.mark.parametrize("option", ["sslmode=maybe", "no_such_setting=1", "work_mem=much"])
async def test_a_wrong_option_is_named(option):
    name = option.partition("=")[0]
    assert name in (await refusal(f"{postgres_url()}&{option}")).partition("refuses: ")[2]


async def test_options_of_the_url_hold_for_migrations_too(place):
    if place.product == "postgresql":
        place.url += "&sslmode=prefer&statement_timeout=12345"
        query = text("SHOW statement_timeout")
        found = await place.administer(lambda connection: connection.execute(query).scalar())
        assert found == "12345ms"


class Role:
    """A user of the server with a password and no rights."""

    password = "right-one"

    def __init__(self, name):
        self.name = name

    def url(self, password=password):
        url = make_url(postgres_url()).set(username=self.name, password=password)
        return url.render_as_string(hide_password=False)

    async def run(self, *statements):
        connection = await asyncpg.connect(postgres_url())
        try:
            for each in statements:
                await connection.execute(each)
        finally:
            await connection.close()

    async def fetch(self, query):
        """Return a row, from a connection of its own."""
        connection = await asyncpg.connect(postgres_url())
        try:
            return tuple(await connection.fetchrow(query))
        finally:
            await connection.close()


@pytest.fixture
async def role():
    role = Role(f"r{secrets.token_hex(8)}")
    await role.run(f"CREATE ROLE {role.name} LOGIN PASSWORD '{role.password}'")
    yield role
    await role.run(f"DROP OWNED BY {role.name}", f"DROP ROLE {role.name}")


@contextmanager
def asked_for_passwords(rules, name):
    """Let a server that trusts everybody look at one user's password."""
    before = rules.read_text()
    rules.write_text(f"local all {name} scram-sha-256\n{before}")
    try:
        yield
    finally:
        rules.write_text(before)


@pytest.fixture
async def strict_role(role):
    """A user whose password is looked at."""
    if os.environ.get(URL):  # servers of one's own do
        yield role
        return
    (rules,) = await role.fetch("SHOW hba_file")
    with asked_for_passwords(Path(rules), role.name):
        await read_rules_again(role)
        yield role
    await read_rules_again(role)


async def read_rules_again(role):
    """Let the server read its rules, and wait until connections go by them."""
    before = await role.fetch("SELECT pg_conf_load_time()")
    await role.fetch("SELECT pg_reload_conf()")
    while await role.fetch("SELECT pg_conf_load_time()") == before:
        pass


@pytest.mark.postgresql
async def test_a_wrong_password_is_refused_and_not_shown(strict_role):
    said = await refusal(strict_role.url("wrong-one"))
    assert "password authentication failed" in said
    assert "wrong-one" not in said


@on_postgresql
async def test_a_role_that_may_not_make_a_schema_is_refused(place, role):
    said = await refusal(role.url(), schema=place.schema)
    assert "refuses: permission denied for database" in said


@on_postgresql
async def test_a_role_that_may_not_make_tables_is_refused(place, role):
    await role.run(f"CREATE SCHEMA {place.schema}")
    await role.run(f"GRANT USAGE ON SCHEMA {place.schema} TO {role.name}")
    said = await refusal(role.url(), schema=place.schema)
    assert f"refuses: permission denied for schema {place.schema}" in said


@on_postgresql
async def test_a_role_that_may_make_tables_needs_no_right_to_make_schemas(place, role):
    await role.run(f"CREATE SCHEMA {place.schema} AUTHORIZATION {role.name}")
    assert await SqlStores(role.url(), schema=place.schema).migrate()


@on_postgresql
@pytest.mark.parametrize("create_schema", [True, False])
async def test_who_runs_on_finished_tables_needs_no_right_to_make_any(place, role, create_schema):
    owner = await place.start()
    await owner.aclose()
    await role.run(
        f"GRANT USAGE ON SCHEMA {place.schema} TO {role.name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {place.schema}"
        f" TO {role.name}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {place.schema} TO {role.name}",
    )
    place.url = role.url()
    stores = await place.start(create_schema=create_schema)
    await stores.aclose()


@on_postgresql
async def test_a_table_of_a_view_model_that_may_not_be_made_is_refused(place, role):
    await place.stores().migrate()
    await role.run(
        f"GRANT USAGE ON SCHEMA {place.schema} TO {role.name}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {place.schema} TO {role.name}",
    )
    place.url = role.url()
    with pytest.raises(StoreConfigurationError, match="permission denied for schema"):
        await place.start(create_schema=False)


@on_postgresql
async def test_tables_that_may_not_be_read_are_refused(place, role):
    await place.stores().migrate()
    await role.run(
        f"GRANT USAGE ON SCHEMA {place.schema} TO {role.name}",
        f"GRANT SELECT ON {place.schema}.{PREFIX}version TO {role.name}",
    )
    place.url = role.url()
    problem = f"refuses: permission denied for table {PREFIX}events"
    with pytest.raises(StoreConfigurationError, match=problem):
        await place.start(create_schema=False)
