"""The tables that rows of view models are kept in."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, inspect

from sourceflow import Key, ViewModel
from sourceflow.bus.changes import Changes, RowChange
from sourceflow.bus.ports import Row
from sourceflow.stores.sql.schema import build_schema
from sourceflow.stores.sql.view_table import ViewTable


class Summary(ViewModel, name="OrderSummary"):
    id: Key[str]


class OtherCase(ViewModel, name="Ordersummary"):
    id: Key[str]


class OtherStyle(ViewModel, name="order_summary"):
    id: Key[str]


class Long(ViewModel, name="summary." + "x" * 240 + ".1"):
    id: Key[str]


class AsLong(ViewModel, name="summary." + "x" * 240 + ".2"):
    id: Key[str]


class Narrow(ViewModel, indexes=("country",)):
    id: Key[str]
    country: str = "Chile"


class Wide(ViewModel, indexes=("country", "city", "street", "name")):
    id: Key[str]
    country: str = "Chile"
    city: str = "Arica"
    street: str = ""
    name: str = ""


@pytest.mark.parametrize(
    ("one", "other"), [(Summary, OtherCase), (Summary, OtherStyle), (Long, AsLong)]
)
async def test_view_models_with_names_alike_do_not_meet(instances, one, other):
    instances.view_models = (one, other)
    stores = await instances.open()
    async with stores.begin() as uow:
        row = RowChange(row_type=one, key="o-1", expected=0, row=one(id="o-1"))
        await uow.commit(Changes(rows=[row]))
    assert await stores.find(one, "o-1") == one(id="o-1")
    assert await stores.find(other, "o-1") is None


async def test_rows_are_found_by_those_who_have_no_view_of_them(instances):
    """A process that only asks: the views, and the table with them, are another App's or to come."""
    instances.view_models = ()
    asking = await instances.open()
    found = await asyncio.gather(*(asking.find(instances.Listing, "a") for _ in range(5)))
    assert found == [None] * 5
    async with asking.begin() as uow:
        assert await uow.row(instances.Listing, "a") == Row(0, None)


@contextmanager
def listening():
    """Hear what is asked over SQLAlchemy, which is what changes the schema."""
    heard = []

    def hear(_connection, _cursor, statement, *_):
        heard.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


async def asked(instances, view_model):
    """Open stores; return how much is asked, beside what is made."""
    instances.view_models = (view_model,)
    with listening() as heard:
        await instances.open()
    return sum("CREATE" not in each for each in heard)


async def test_making_a_table_asks_no_more_where_it_has_more_indexes(instances):
    await instances.open()

    assert await asked(instances, Wide) == await asked(instances, Narrow) > 0


async def test_an_index_that_somebody_has_dropped_is_made_again(instances):
    instances.view_models = (Narrow,)
    database = (await instances.open())._open.database
    table = ViewTable(build_schema(schema=instances.schema), database.product, Narrow).table

    def present(connection):
        return {each["name"] for each in inspect(connection).get_indexes(table.name, table.schema)}

    def drop_one(connection):
        min(table.indexes, key=lambda index: index.name).drop(connection)

    whole = await database.administer(present)
    assert whole == {index.name for index in table.indexes}
    await database.administer(drop_one)
    assert len(await database.administer(present)) == len(whole) - 1

    await instances.open()

    assert await database.administer(present) == whole
