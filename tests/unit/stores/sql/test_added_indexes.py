"""Fields named in ``indexes`` after there were rows, and fields named no longer."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Annotated

import pytest
from msgspec import Meta
from msgspec.structs import replace

from sourceflow import Key, ViewModel, field
from sourceflow.bus.changes import Changes, RowChange
from sourceflow.bus.query import Query


class Before(ViewModel, name="Row", indexes=("country",)):
    id: Key[str]
    country: str = "Chile"
    total: Decimal = Decimal(0)


class Later(ViewModel, name="Row", indexes=("country", "total")):
    id: Key[str]
    country: str = "Chile"
    total: Decimal = Decimal(0)


class Without(ViewModel, name="Row"):
    id: Key[str]
    country: str = "Chile"
    total: Decimal = Decimal(0)


class Weighed(ViewModel, name="Row", indexes=("total",)):
    id: Key[str]
    country: str = "Chile"
    total: Decimal = Decimal(0)


class Counted(ViewModel, name="Row", indexes=("total",)):
    id: Key[str]
    country: str = "Chile"
    total: int = 0


class Stricter(ViewModel, name="Row", indexes=("country",)):
    id: Key[str]
    country: Annotated[str, Meta(max_length=5)] = "Chile"


TOTALS = {"a": 10, "b": -1, "c": 100, "d": 9}
BY_TOTAL = ["b", "d", "a", "c"]


@pytest.fixture
def opened(instances):
    async def open_as(row_type):
        instances.view_models = (row_type,)
        return await instances.open()

    return open_as


async def put(stores, *rows):
    for row in rows:
        async with stores.begin() as uow:
            version = (await uow.row(type(row), row.id)).version
            change = RowChange(row_type=type(row), key=row.id, expected=version, row=row)
            await uow.commit(Changes(rows=[change]))


async def fill(stores, row_type):
    await put(stores, *(row_type(id=key, total=Decimal(total)) for key, total in TOTALS.items()))


async def found(stores, row_type, **options):
    return [row.id for row in await stores.query(Query.of(row_type, **options))]


@pytest.mark.parametrize("row_type", [Before, Without])
async def test_a_field_that_is_named_later_is_filled_from_the_documents(opened, row_type):
    await fill(await opened(row_type), row_type)
    stores = await opened(Later)
    view = stores._open.view_models._view(Later)
    assert await stores._open.database.read(view.sql.stale, {}) == []
    assert await found(stores, Later, order_by="total") == BY_TOTAL
    assert await found(stores, Later, where=field("total") > 9) == ["a", "c"]


async def test_many_rows_are_filled_batch_by_batch(opened, monkeypatch):
    monkeypatch.setattr("sourceflow.stores.sql.view_statements.BATCH", 2)
    await fill(await opened(Without), Without)
    assert await found(await opened(Later), Later, order_by="-total") == BY_TOTAL[::-1]


async def test_several_instances_may_add_a_field_at_once(opened):
    await fill(await opened(Before), Before)
    for stores in await asyncio.gather(*(opened(Later) for _ in range(3))):
        assert await found(stores, Later, order_by="total") == BY_TOTAL


async def test_rows_that_an_older_instance_writes_meanwhile_are_found(opened):
    older = await opened(Before)
    await fill(older, Before)
    newer = await opened(Later)
    await put(older, Before(id="e", total=Decimal(50)), Before(id="b", total=Decimal(1000)))
    assert await found(newer, Later, order_by="total") == ["d", "a", "e", "c", "b"]
    await put(older, Before(id="a", total=Decimal(-5)))
    assert await found(newer, Later, where=field("total") < 0, limit=1) == ["a"]
    assert await found(older, Before, order_by="country") == ["a", "b", "c", "d", "e"]


async def test_versions_with_other_fields_do_not_undo_each_others_work(opened):
    """What one of them has filled in stays filled in for the other, whoever asks first."""
    one, other = await opened(Before), await opened(Weighed)
    await put(one, Before(id="a", country="Peru", total=Decimal(5)))
    await put(other, Weighed(id="b", country="Chad", total=Decimal(7)))
    assert await found(one, Before, where={"country": "Chad"}) == ["b"]
    assert await found(other, Weighed, where={"total": 5}) == ["a"]
    for stores, row_type in ((one, Before), (other, Weighed)):
        stale = stores._open.view_models._view(row_type).sql.stale
        assert await stores._open.database.read(stale, {}) == []


async def test_a_row_that_changes_while_it_is_filled_in_keeps_its_new_values(opened):
    older = await opened(Before)
    await fill(older, Before)
    models = (await opened(Later))._open.view_models
    await put(older, Before(id="a", total=Decimal(20)))
    view = models._view(Later)
    (stale,) = await older._open.database.read(view.sql.stale, {})
    newer = await opened(Later)
    await put(newer, Later(id="a", total=Decimal(-7)))
    await older._open.database.commit([models._mending(Later, view, stale, stale[-1])])
    assert await found(newer, Later, where={"total": -7}) == ["a"]
    assert await found(newer, Later, where={"total": 20}) == []


async def test_a_field_that_is_named_no_longer_stops_no_writer(opened):
    await fill(await opened(Later), Later)
    stores = await opened(Before)
    await put(stores, Before(id="a", total=Decimal(-3)), Before(id="e", total=Decimal(11)))
    with pytest.raises(ValueError, match="'total'"):
        await found(stores, Before, order_by="total")
    assert await found(await opened(Later), Later, order_by="total") == ["a", "b", "d", "e", "c"]


async def test_a_field_of_another_kind_has_a_column_of_its_own(opened):
    await put(await opened(Counted), *(Counted(id=key, total=n) for key, n in TOTALS.items()))
    assert await found(await opened(Later), Later, order_by="total") == BY_TOTAL


async def test_a_row_that_can_no_longer_be_read_is_told_of_and_keeps_no_other_from_being_found(
    opened, caplog
):
    stores = await opened(Without)
    await put(stores, Without(id="a", country="Peru"), Without(id="b", country="Argentina"))
    stores = await opened(Stricter)
    assert await found(stores, Stricter, where={"country": "Peru"}) == ["a"]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "Row cannot be sorted" in record.getMessage()
    assert "Argentina" not in caplog.text
    await opened(Stricter)
    assert len(caplog.records) == 1


LONG = "x" * 60


class Awkward(
    ViewModel,
    indexes=("key", "version", "document", "generation", "filled", "Total", "total", LONG, LONG + "y"),
):  # fmt: skip
    """Fields with names that a table has already, or does not tell apart."""

    id: Key[str]
    key: int = 0
    version: int = 0
    document: int = 0
    generation: int = 0
    filled: int = 0
    Total: int = 0
    total: int = 0
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: int = 0
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy: int = 0


async def test_fields_are_told_apart_whatever_their_names(opened):
    stores = await opened(Awkward)
    names = [name for name in Awkward.__struct_fields__ if name != "id"]
    rows = [replace(Awkward(id=name), **{name: number}) for number, name in enumerate(names, 1)]
    await put(stores, *rows)
    for number, name in enumerate(names, 1):
        assert await found(stores, Awkward, where={name: number}) == [name]
        assert (await found(stores, Awkward, order_by=f"-{name}"))[0] == name


class Twin(ViewModel, name="Twin" + "x" * 100, indexes=("country",)):
    id: Key[str]
    country: str = "Chile"


async def test_a_view_model_with_a_long_name_has_indexes_too(opened):
    stores = await opened(Twin)
    await put(stores, Twin(id="a"))
    table = stores._open.view_models._view(Twin).table.table
    assert all(len(index.name) <= 63 for index in table.indexes)
    assert await found(await opened(Twin), Twin, where={"country": "Chile"}) == ["a"]
