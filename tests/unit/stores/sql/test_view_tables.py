"""The tables that rows of view models are kept in."""

from __future__ import annotations

import asyncio

import pytest

from sourceflow import Key, ViewModel
from sourceflow.bus.changes import Changes, RowChange
from sourceflow.bus.ports import Row


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
