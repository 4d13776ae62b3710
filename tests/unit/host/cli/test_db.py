"""``sourceflow db`` as operators call it."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from contextlib import closing

import asyncpg
import pytest
from postgres_server import postgres_url
from typer.testing import CliRunner

from sourceflow.host.cli.db import db
from sourceflow.stores.sql import SqlStores
from sourceflow.stores.sql.migrations import SchemaState
from sourceflow.stores.sql.schema import PREFIX

VARIABLES = ("SOURCEFLOW_DATABASE_URL", "SOURCEFLOW_STORES_URL")
NOWHERE = "postgresql://shop:secret@127.0.0.1:1/orders"


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    for each in VARIABLES:
        monkeypatch.delenv(each, raising=False)


@pytest.fixture
def call():
    return lambda *arguments, **options: CliRunner().invoke(db, arguments, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "orders.db"


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


@pytest.fixture
def schema():
    name = f"t{secrets.token_hex(8)}"
    yield name

    async def drop():
        connection = await asyncpg.connect(postgres_url())
        await connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        await connection.close()

    asyncio.run(drop())


def run(path, script):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def test_an_upgrade_makes_the_tables_once(call, url):
    first = call("upgrade", "--url", url)
    assert (first.exit_code, first.stdout) == (0, "revision 0001 has run\n")
    again = call("upgrade", "--url", url)
    assert (again.exit_code, again.stdout) == (0, "nothing to do: the tables are up to date\n")
    state = call("current", "--url", url)
    assert (state.exit_code, state.stdout) == (0, "revision 0001, the latest\n")


@pytest.mark.parametrize("variable", VARIABLES)
def test_the_url_may_stand_in_the_environment(call, url, variable):
    assert call("upgrade", env={variable: url}).exit_code == 0
    assert call("current", "--url", url).exit_code == 0


def test_a_url_is_needed(call):
    done = call("upgrade")
    assert done.exit_code == 2
    assert VARIABLES[0] in done.stderr


@pytest.mark.postgresql
def test_tables_are_made_in_the_schema_and_with_the_prefix(call, schema):
    options = ("--url", postgres_url(), "--schema", schema, "--prefix", "shop_")
    assert call("upgrade", *options).exit_code == 0
    assert call("current", *options).exit_code == 0
    stores = SqlStores(postgres_url(), schema=schema, prefix="shop_")
    assert asyncio.run(stores.schema_state()).is_latest
    missing = call("current", *options[:4])
    assert (missing.exit_code, missing.stdout) == (
        1,
        "there are no tables; this version needs revision 0001\n",
    )


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (SchemaState(None, "0002", is_known=True), "there are no tables; this version needs rev"),
        (SchemaState("0001", "0002", is_known=True), "revision 0001; this version needs 0002"),
        (SchemaState("0003", "0002", is_known=False), "revision 0003, which this version does not"),
    ],
)
def test_tables_of_another_revision_are_told_by_the_exit_code(call, monkeypatch, state, said):
    async def find(_self):
        return state

    monkeypatch.setattr(SqlStores, "schema_state", find)
    done = call("current", "--url", "sqlite://")
    assert done.exit_code == 1
    assert done.stdout.startswith(said)


def test_newer_tables_are_not_touched(call, url, path):
    call("upgrade", "--url", url)
    run(path, f"UPDATE {PREFIX}version SET version_num = '9999'")
    done = call("upgrade", "--url", url)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {url} is at revision 9999, which this version")


def test_to_look_makes_no_file(call, url, path):
    done = call("current", "--url", url)
    assert done.exit_code == 2
    assert done.stderr == f"error: {url} is not there: `sourceflow db upgrade` makes the file\n"
    assert not path.exists()


def test_the_sql_is_printed_without_a_database(call):
    done = call("sql", "--url", NOWHERE, "--schema", "sales", "--prefix", "shop_")
    assert done.exit_code == 0
    assert "CREATE SCHEMA IF NOT EXISTS sales;" in done.stdout
    assert "CREATE TABLE sales.shop_events" in done.stdout
    assert "TIMESTAMP WITH TIME ZONE" in done.stdout


def test_the_printed_sql_makes_what_this_version_needs(call, url, path):
    printed = call("sql", "--url", url).stdout
    assert not path.exists()
    run(path, printed)
    assert call("current", "--url", url).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("upgrade", "--url", "mysql://shop:secret@h/d"), 2, "'mysql' is not supported"),
        (("sql", "--url", "postgresql://shop:sec@ret@h/d"), 2, "as %40"),
        (("upgrade", "--url", NOWHERE), 1, "postgresql://shop:***@127.0.0.1:1/orders does not an"),
        (("current", "--url", f"{NOWHERE}?password=secret"), 1, "does not answer"),
        (("upgrade", "--url", "sqlite://", "--prefix", "A"), 2, "the prefix 'A' is refused"),
        (("upgrade", "--url", "sqlite://", "--schema", "a"), 2, "SQLite has no schemas"),
    ],
)
def test_what_is_wrong_is_said_without_a_password(call, arguments, code, problem):
    done = call(*arguments)
    assert done.exit_code == code
    assert done.stderr.startswith("error: ")
    assert problem in done.stderr
    assert "secret" not in done.output
    assert "ret@" not in done.output


def test_an_interrupted_command_says_so(call, url, monkeypatch):
    def interrupt(_self):
        raise KeyboardInterrupt

    monkeypatch.setattr(SqlStores, "migrate", interrupt)
    done = call("upgrade", "--url", url)
    assert (done.exit_code, done.stderr) == (130, "interrupted\n")
