"""A page costs its rows: databases walk along an index, and only its documents are read."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from sourceflow import Key, ViewModel, field
from sourceflow.bus.query import Query
from sourceflow.messages import Codec

ROWS = 20_000


class Parcel(ViewModel, indexes=("weight", "country", "arrived")):
    id: Key[str]
    weight: Decimal
    country: str = "Chile"
    arrived: int | None = None


def parcel(number):
    """Half of them have not arrived; each weight is that of ten."""
    arrived = number if number % 2 else None
    country = ("Chile", "Peru", "Chad")[number % 3]
    return Parcel(
        id=f"p{number:05d}", weight=Decimal(number // 10), country=country, arrived=arrived
    )


@pytest.fixture
async def stores(instances):
    """Stores with many rows."""
    instances.view_models = (Parcel,)
    stores = await instances.open()
    view = stores._open.view_models
    shadow = await stores.shadow(Parcel, resume=False)
    for start in range(0, ROWS, 2_000):
        rows = (parcel(number) for number in range(start, start + 2_000))
        await shadow.save({row.id: row for row in rows}, position=0)
    assert await shadow.swap(nothing_left, types=[], claims=()) == ROWS
    await settle(stores, view)
    return stores


async def nothing_left(_events):
    return {}


async def settle(stores, view):
    """Let a database look at what it holds, as it does by itself after a while."""
    table = view._view(Parcel).table.table
    name = table.name if table.schema is None else f"{table.schema}.{table.name}"
    await stores._open.database.administer(
        lambda connection: connection.exec_driver_sql(f"ANALYZE {name}")
    )


async def plan(stores, **options):
    """The lines in which a database says how it would answer a query."""
    view = stores._open.view_models._view(Parcel)
    statement, values = view.queries.statement(Query.of(Parcel, **options))
    database = stores._open.database
    if database.product == "sqlite":
        explained = _Explained("EXPLAIN QUERY PLAN ", statement)
        return [row[3] for row in await database.read(explained, values)]
    explained = _Explained("EXPLAIN ", statement)
    return [row[0] for row in await database.read(explained, values)]


class _Explained:
    """A statement that is not run, but explained."""

    def __init__(self, how, statement):
        self.text = how + statement.text
        self.arguments = statement.arguments
        self.rows = list


NONE, SOME = parcel(10_000), parcel(10_001)

PAGES = {
    "first": ("pkey", {}),
    "by key": ("pkey", {"after": NONE}),
    "by key, turned round": ("pkey", {"order_by": "-id", "after": NONE}),
    "by a value": ("by_weight_decimal", {"order_by": "weight", "after": NONE}),
    "by a value, turned round": ("by_weight_decimal", {"order_by": "-weight", "after": NONE}),
    "none is left": ("by_arrived_biginteger", {"order_by": "arrived", "after": NONE}),
    "none is left, turned round": (
        "by_arrived_biginteger",
        {"order_by": "-arrived", "after": NONE},
    ),
    "some are left": ("by_arrived_biginteger", {"order_by": "arrived", "after": SOME}),
    "none comes last": ("by_arrived_biginteger", {"order_by": "-arrived", "after": SOME}),
    "some match": ("by_country_text", {"where": field("country") == "Peru", "order_by": "country"}),
    "a range of values": (
        "by_weight_decimal",
        {"where": field("weight") > 500, "order_by": "weight", "after": NONE},
    ),
}
"""Where a page begins, and along which index it goes."""

TWO_RANGES = {"none is left", "none comes last"}
"""Rows with and without a value: the rows of both pieces, two pages at most, are sorted again."""


async def test_pages_walk_along_an_index(stores):
    for page, (index, options) in PAGES.items():
        lines = await plan(stores, limit=20, **options)
        walks = [line for line in lines if IS_WALK.search(line) and "_stale" not in line]
        walks = [line for line in walks if "sourceflow_views" not in line]
        assert len(walks) == 1 + (page in TWO_RANGES), (page, lines)
        assert all(is_along(index, line) for line in walks), (page, lines)
        sorts = [line for line in lines if IS_SORT.search(line)]
        assert len(sorts) == (page in TWO_RANGES), (page, lines)


async def test_stale_rows_are_looked_for_in_an_index_that_holds_nothing_else(stores):
    lines = await plan(stores, limit=20, order_by="weight")
    assert [line for line in lines if "by_weight_decimal_stale" in line], lines


async def test_a_page_reads_the_documents_of_its_rows_only(stores, monkeypatch):
    decoded = []
    decode = Codec.decode_state

    def count(codec, state_type, data):
        decoded.append(data)
        return decode(codec, state_type, data)

    monkeypatch.setattr(Codec, "decode_state", count)
    for page, (_, options) in PAGES.items():
        decoded.clear()
        rows = await stores.query(Query.of(Parcel, limit=20, **options))
        assert len(rows) == len(decoded) == 20, page


async def test_queries_of_one_shape_share_a_statement(instances, monkeypatch):
    monkeypatch.setattr("sourceflow.stores.sql.view_queries.SHAPES", 2)
    instances.view_models = (Parcel,)
    queries = (await instances.open())._open.view_models._view(Parcel).queries

    def statement(**options):
        return queries.statement(Query.of(Parcel, **options))[0]

    one = statement(where=field("weight") > 1, limit=5)
    assert statement(where=field("weight") > 2, limit=6) is one
    assert statement(where=field("weight") >= 1, limit=5) is not one
    assert statement(where=field("weight").in_([1, 2, 3])) is statement(
        where=field("weight").in_([4, 5, 6, 7])
    )
    assert len(queries._known) <= 2
    assert statement(where=field("weight") > 1, limit=5).text == one.text


async def test_stores_without_view_models_open(instances):
    instances.view_models = ()
    stores = await instances.open()
    assert await stores.events.position() == 0


IS_WALK = re.compile(r"Scan (Backward )?(using|on) sourceflow_|Seq Scan|(SCAN|SEARCH) sourceflow_")
IS_SORT = re.compile(r"Sort  \(|USE TEMP B-TREE")


def is_along(index, line):
    """SQLite calls the index of a key its own way."""
    own = "sqlite_autoindex_sourceflow_view_parcel_1" if index == "pkey" else None
    named = f"sourceflow_view_parcel_{index} "
    return ("SEARCH" in line or "Index Scan" in line) and (
        named in line or (own is not None and own in line)
    )
