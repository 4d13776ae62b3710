"""How a database comes to the tables that this version needs."""

from __future__ import annotations

import pytest
from postgres_server import POSTGRESQL

from sourceflow.errors import StoreConfigurationError
from sourceflow.stores.sql.migrations import Migrations, SchemaState
from sourceflow.stores.sql.schema import PREFIX, build_schema
from sourceflow.stores.sql.url import parse_url

ADD_TABLE = 'op.create_table(f"{prefix}more", Column("id", Integer), schema=schema)'
BREAK = 'op.execute("SELECT * FROM nowhere")'
NEWER = f"UPDATE {PREFIX}version SET version_num = '9999'"


@pytest.fixture
def latest():
    """The last revision of the code."""
    return Migrations(parse_url("sqlite://"), build_schema())._revisions[-1]


def revisions(latest):
    return tuple(f"{number:04}" for number in range(1, int(latest) + 1))


def test_revisions_are_a_line_of_numbers():
    known = Migrations(parse_url("sqlite://"), build_schema())._revisions
    assert known == revisions(known[-1])


async def test_a_first_start_makes_the_tables(place, latest):
    stores = await place.start()
    await stores.aclose()
    assert {each.name for each in place.tables().metadata.tables.values()} < await place.names()
    assert await place.stores().schema_state() == SchemaState(latest, latest, is_known=True)


async def test_a_later_start_changes_nothing(place, latest):
    await place.stores().migrate()
    before = await place.names()
    assert await place.stores().migrate() == ()
    assert await place.names() == before
    assert await place.rows(f"SELECT * FROM {PREFIX}version") == [(latest,)]


async def test_tables_are_made_on_demand_while_an_app_runs_on_them(place):
    stores = await place.start()
    assert await stores.migrate() == ()
    assert (await stores.schema_state()).is_latest
    await stores.aclose()


async def test_a_start_that_may_not_make_tables_says_what_is_missing(place):
    await place.run("" if place.schema is None else f"CREATE SCHEMA {place.schema}")
    problem = r"has no tables of sourceflow yet \(there is no sourceflow_version\): run `sourcefl"
    with pytest.raises(StoreConfigurationError, match=problem):
        await place.start(create_schema=False)
    assert await place.names() == set()


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
async def test_a_start_that_may_not_make_tables_makes_no_file(place, tmp_path):
    with pytest.raises(StoreConfigurationError, match=r"stores\.db is not there: `sourceflow db"):
        await place.start(create_schema=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [POSTGRESQL], indirect=True)
async def test_a_start_that_may_not_make_tables_names_a_missing_schema(place):
    with pytest.raises(StoreConfigurationError) as caught:
        await place.start(create_schema=False)
    assert str(caught.value) == (
        f"the schema {place.schema} of {parse_url(place.url)} is not there: run `sourceflow db "
        f"upgrade --url '{parse_url(place.url)}' --schema {place.schema}`, or let the stores do it "
        "by create_schema=True"
    )


async def test_a_start_that_may_not_make_tables_runs_on_those_it_finds(place):
    await place.stores().migrate()
    stores = await place.start(create_schema=False)
    assert await stores.outbox.depth() == 0
    await stores.aclose()


async def test_older_tables_are_brought_up_to_date_with_all_they_hold(place, next_revision):
    await place.stores().migrate()
    await place.run(f"INSERT INTO {PREFIX}views (name, generation) VALUES ('Listing', 7)")
    newest = next_revision(ADD_TABLE)
    stores = await place.start()
    await stores.aclose()
    assert (await place.stores().schema_state()).current == newest
    assert await place.rows(f"SELECT name, generation FROM {PREFIX}views") == [("Listing", 7)]
    assert f"{PREFIX}more" in await place.names()


async def test_a_start_that_may_not_make_tables_refuses_older_ones(place, latest, next_revision):
    await place.stores().migrate()
    newest = next_revision(ADD_TABLE)
    problem = f"is at revision {latest}, and this version needs {newest}: run `sourceflow db upgrad"
    with pytest.raises(StoreConfigurationError, match=problem):
        await place.start(create_schema=False)
    assert f"{PREFIX}more" not in await place.names()


async def test_revisions_run_one_after_the_other(place, latest, next_revision):
    first = next_revision(ADD_TABLE)
    second = next_revision('op.drop_table(f"{prefix}more", schema=schema)', int(first) + 1)
    assert await place.stores().migrate() == (*revisions(latest), first, second)
    assert f"{PREFIX}more" not in await place.names()


async def test_a_revision_that_fails_leaves_nothing_behind(place, latest, next_revision):
    await place.stores().migrate()
    before = await place.names()
    first = next_revision(ADD_TABLE)
    next_revision(BREAK, int(first) + 1)
    with pytest.raises(Exception, match="nowhere"):
        await place.stores().migrate()
    assert await place.names() == before
    assert await place.rows(f"SELECT * FROM {PREFIX}version") == [(latest,)]


async def test_prefixes_live_side_by_side(place, latest):
    one, other = place.stores(prefix="one_"), place.stores(prefix="other_")
    await one.migrate()
    await place.run("UPDATE one_version SET version_num = '9999'")
    assert (await other.schema_state()).current is None
    assert await other.migrate() == revisions(latest)
    assert (await other.schema_state()).is_latest
    assert (await one.schema_state()).current == "9999"
    names = await place.names()
    assert {name.removeprefix("one_") for name in names if name.startswith("one_")} == {
        name.removeprefix("other_") for name in names if name.startswith("other_")
    }


@pytest.mark.parametrize("create_schema", [True, False])
async def test_newer_tables_are_refused(place, latest, create_schema):
    await place.stores().migrate()
    await place.run(NEWER)
    problem = f"is at revision 9999, which .* does not know .its last is {latest}.: .* Install"
    with pytest.raises(StoreConfigurationError, match=problem):
        await place.start(create_schema=create_schema)
    assert await place.stores().schema_state() == SchemaState("9999", latest, is_known=False)


async def test_a_version_table_with_two_revisions_is_refused(place):
    await place.stores().migrate()
    await place.run(f"INSERT INTO {PREFIX}version VALUES ('0000')")
    with pytest.raises(StoreConfigurationError, match=r"several revisions .*0000, "):
        await place.stores().migrate()


async def test_tables_that_no_revision_has_made_are_in_the_way(place):
    schema = "" if place.schema is None else f"CREATE SCHEMA {place.schema};"
    await place.run(f"{schema} CREATE TABLE {PREFIX}events (id INTEGER)")
    with pytest.raises(StoreConfigurationError, match="has sourceflow_events, and no sourceflow_v"):
        await place.stores().migrate()
    assert await place.names() == {f"{PREFIX}events"}


async def test_the_printed_sql_makes_what_stores_need(place, latest):
    await place.run(place.stores().schema_sql())
    stores = await place.start(create_schema=False)
    await stores.aclose()
    assert await place.rows(f"SELECT * FROM {PREFIX}version") == [(latest,)]
