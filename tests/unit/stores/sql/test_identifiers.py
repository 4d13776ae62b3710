"""What tables may be called."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger

from sourceflow.errors import StoreConfigurationError
from sourceflow.stores.sql.identifiers import MAX_IDENTIFIER, MAX_PREFIX
from sourceflow.stores.sql.schema import build_schema
from sourceflow.stores.sql.stores import SqlStores


def generated(table):
    """Names that databases and alembic make up themselves."""
    yield f"{table.name}_pkey"
    yield from (
        f"{table.name}_{column.name}_seq"
        for column in table.primary_key
        if isinstance(column.type, BigInteger)
    )


def test_every_name_stays_whole_with_the_longest_prefix():
    schema = build_schema(prefix="p" * MAX_PREFIX)
    names = {f"{schema.prefix}version_pkc"}
    for table in schema.metadata.tables.values():
        names |= {table.name, *generated(table)}
        names |= {each.name for each in (*table.indexes, *table.constraints) if each.name}
    assert {name for name in names if len(name.encode()) > MAX_IDENTIFIER} == set()
    assert {name for name in names if not name.startswith(schema.prefix)} == set()


@pytest.mark.parametrize("prefix", ["", "p", "_", "orders_2_", "p" * MAX_PREFIX])
def test_a_plain_prefix_is_taken(prefix):
    assert build_schema(prefix=prefix).streams.name == f"{prefix}streams"


def test_a_prefix_that_is_too_long_is_refused_with_the_limit():
    with pytest.raises(StoreConfigurationError, match="has 33 characters: 32 are the limit"):
        SqlStores("sqlite://", prefix="p" * (MAX_PREFIX + 1))


@pytest.mark.parametrize("prefix", ["Orders_", "1_", "a-b_", "a b", 'x"; drop', "zürich_", "a\n"])
def test_a_prefix_of_other_characters_is_refused(prefix):
    with pytest.raises(StoreConfigurationError, match="it takes lower-case letters"):
        SqlStores("sqlite://", prefix=prefix)


def test_a_prefix_of_sqlites_own_is_refused():
    with pytest.raises(StoreConfigurationError, match="sqlite_ is SQLite's own"):
        SqlStores("postgresql://", prefix="sqlite_")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("s" * 64, "has 64 characters: 63 are the limit"),
        ("", "it takes lower-case letters"),
        ("Sales", "it takes lower-case letters"),
        ("a.b", "it takes lower-case letters"),
        ("pg_mine", "one of PostgreSQL's own"),
        ("information_schema", "one of PostgreSQL's own"),
    ],
)
def test_a_schema_that_cannot_be_called_so_is_refused(name, problem):
    with pytest.raises(StoreConfigurationError, match=problem):
        SqlStores("postgresql://", schema=name)


def test_sqlite_takes_no_schema():
    with pytest.raises(StoreConfigurationError, match="SQLite has no schemas"):
        SqlStores("sqlite:///orders.db", schema="sales")
