"""What the revisions make is what the code takes for granted."""

from __future__ import annotations

from collections import Counter

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.schema import CreateSchema

from sourceflow.stores.sql.schema import PREFIX, build_schema

HINT = "schema.py and the revisions differ: write a revision, or change one that is not released"

CATALOGUE = """
    SELECT 'column', table_name, column_name, concat_ws(' ', ordinal_position, data_type,
        collation_name, is_nullable, column_default, character_maximum_length)
    FROM information_schema.columns WHERE table_schema = :schema
    UNION ALL
    SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = :schema
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = CAST(:schema AS regnamespace)
"""


def catalogue(connection, schema):
    """All that a database says about its tables."""
    if schema is None:
        query = text("SELECT type, tbl_name, name, sql FROM sqlite_master")
        found = connection.execute(query)
    else:
        found = connection.execute(text(CATALOGUE), {"schema": schema})
    rows = (tuple(str(each).replace(f"{schema}.", "") for each in row) for row in found)
    return {row for row in rows if f"{PREFIX}version" not in row}


def is_of_this_product(connection):
    def include(item, _name, kind, _reflected, _other):
        rule = getattr(item, "_ddl_if", None) if kind == "index" else None
        return rule is None or rule.dialect == connection.dialect.name

    return include


async def test_alembic_finds_no_difference(place):
    await place.stores().migrate()
    tables = place.tables()

    def compare(connection):
        options = {
            "version_table": f"{PREFIX}version",
            "version_table_schema": place.schema,
            "include_schemas": place.schema is not None,
            "include_name": lambda name, kind, _parents: kind != "schema" or name == place.schema,
            "include_object": is_of_this_product(connection),
        }
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, tables.metadata)

    assert await place.administer(compare) == [], HINT


async def test_revisions_make_exactly_what_the_code_would_make(place):
    """Alembic does not look at everything, collations and orders of columns for two."""
    await place.stores().migrate()

    def compare(connection):
        made = catalogue(connection, place.schema)
        schema = None if place.schema is None else f"{place.schema}_b"
        tables = build_schema(schema=schema)
        if schema is None:
            build_schema().metadata.drop_all(connection)
        else:
            connection.execute(CreateSchema(schema))
        tables.metadata.create_all(connection)
        meant = catalogue(connection, schema)
        if schema is not None:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        return made, meant

    made, meant = await place.administer(compare)
    assert made == meant, HINT
    assert len({table for _, table, _, _ in made}) == len(build_schema().metadata.tables)


async def test_every_time_knows_its_zone_and_no_number_is_a_float(place):
    """Money stands in documents, as text; times are UTC, to the microsecond."""
    await place.stores().migrate()
    tables = place.tables().metadata.sorted_tables

    def types(connection):
        found = inspect(connection)
        return Counter(
            (str(column["type"]), getattr(column["type"], "timezone", None))
            for table in tables
            for column in found.get_columns(table.name, schema=place.schema)
        )

    kinds = set(await place.administer(types))
    numbers = {("BIGINT", None), ("INTEGER", None)}
    if place.schema is None:
        assert kinds == {("TEXT", None), ("BLOB", None)} | numbers
    else:
        texts = {('TEXT COLLATE "C"', None), ("JSON", None), ("BYTEA", None)}
        assert kinds == texts | numbers | {("TIMESTAMP", True)}
