"""Rows of view models: found by key, asked for by fields, paged, rebuilt as a whole."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from sourceflow.bus.changes import Changes
from sourceflow.testing.conformance.stores.stores_tests import StoresTests

if TYPE_CHECKING:
    from sourceflow.testing.conformance.stores.shop import Shop

SORTED = ("-1", "0.1", "9", "10", "99", "100")


SHUFFLED = ("10", "0.1", "100", "-1", "99", "9")


def totals(rows):
    return [str(row.total) for row in rows]


def keys(rows):
    return [row.id for row in rows]


class ViewModelsConformance(StoresTests):
    """Rows of view models: found by key, asked for by fields, paged, rebuilt as a whole."""

    @pytest_asyncio.fixture
    async def priced(self, shop: Shop):
        """Rows whose keys do not stand in the order of their totals."""
        await shop.list(
            *(
                shop.Listing(id=f"l-{index}", total=Decimal(text))
                for index, text in enumerate(SHUFFLED)
            )
        )
        return shop

    async def test_a_row_is_found_by_its_key(self, shop: Shop) -> None:
        row = shop.Listing(id="l-1", total=Decimal("1.50"), country="Chile", seen=shop.noon)
        await shop.list(row)
        found = await shop.stores.find(shop.Listing, "l-1")
        assert found is not None
        assert found == row
        assert str(found.total) == "1.50"
        assert await shop.stores.find(shop.Listing, "l-2") is None

    async def test_a_removed_row_is_neither_found_nor_listed(self, shop: Shop) -> None:
        await shop.list(shop.Listing(id="l-1"), shop.Listing(id="l-2"))
        await shop.commit(Changes(rows=[shop.remove("l-1", await shop.version("l-1"))]))
        assert await shop.stores.find(shop.Listing, "l-1") is None
        assert keys(await shop.query()) == ["l-2"]

    async def test_rows_come_by_key_where_no_order_is_asked_for(self, shop: Shop) -> None:
        await shop.list(*(shop.Listing(id=key) for key in ("b", "a", "c")))
        assert keys(await shop.query()) == ["a", "b", "c"]

    async def test_a_view_model_without_rows_has_none(self, shop: Shop) -> None:
        assert await shop.query() == []

    async def test_decimals_sort_by_their_value(self, priced) -> None:
        assert totals(await priced.query(order_by="total")) == list(SORTED)
        assert totals(await priced.query(order_by="-total")) == list(reversed(SORTED))

    async def test_times_sort_and_none_comes_first(self, shop: Shop) -> None:
        hours = {"b": 2, "a": 11, "d": None, "c": 1}
        await shop.list(
            *(
                shop.Listing(
                    id=key, seen=None if hour is None else shop.noon + timedelta(hours=hour)
                )
                for key, hour in hours.items()
            )
        )
        assert keys(await shop.query(order_by="seen")) == ["d", "c", "b", "a"]
        assert keys(await shop.query(order_by="-seen")) == ["a", "b", "c", "d"]

    async def test_rows_are_equal_to_everything_that_is_asked(self, shop: Shop) -> None:
        await shop.list(
            shop.Listing(id="a", country="Chile", total=Decimal(1)),
            shop.Listing(id="b", country="Chile", total=Decimal(2)),
            shop.Listing(id="c", country="Peru", total=Decimal(2)),
        )
        assert keys(await shop.query(where={"country": "Chile"})) == ["a", "b"]
        assert keys(await shop.query(where={"country": "Chile", "total": Decimal(2)})) == ["b"]
        assert keys(await shop.query(where={"id": "c"})) == ["c"]
        assert keys(await shop.query(where={"seen": None})) == ["a", "b", "c"]
        assert keys(await shop.query(where={"country": "chile"})) == []

    async def test_equal_decimals_are_equal_however_they_are_written(self, shop: Shop) -> None:
        await shop.list(shop.Listing(id="a", total=Decimal("2.50")))
        assert keys(await shop.query(where={"total": Decimal("2.5")})) == ["a"]

    @pytest.mark.parametrize(("limit", "how_many"), [(0, 0), (1, 1), (6, 6), (99, 6), (None, 6)])
    async def test_no_more_rows_come_than_are_asked_for(self, priced, limit, how_many) -> None:
        assert len(await priced.query(limit=limit)) == how_many

    @pytest.mark.parametrize(
        "order_by", [None, "total", "-total", "country", "-country", "id", "-id"]
    )
    async def test_pages_hold_each_row_once_and_in_order(self, shop: Shop, order_by) -> None:
        await shop.list(
            *(
                shop.Listing(
                    id=f"l-{index}", total=Decimal(text), country=("Chile", "Peru")[index % 2]
                )
                for index, text in enumerate(SHUFFLED)
            )
        )
        whole = await shop.query(order_by=order_by)
        paged: list[Any] = []
        after = None
        while page := await shop.query(order_by=order_by, limit=2, after=after):
            paged += page
            after = page[-1]
        assert paged == whole
        assert len(paged) == len(SHUFFLED)

    async def test_rows_with_the_same_value_come_by_key(self, shop: Shop) -> None:
        await shop.list(*(shop.Listing(id=key, country="Chile") for key in ("b", "a", "c")))
        assert keys(await shop.query(order_by="country")) == ["a", "b", "c"]
        assert keys(await shop.query(order_by="-country")) == ["c", "b", "a"]

    async def test_a_page_goes_on_behind_a_row_that_is_gone(self, priced) -> None:
        first = (await priced.query(order_by="total", limit=2))[-1]
        await priced.commit(Changes(rows=[priced.remove(first.id, await priced.version(first.id))]))
        assert totals(await priced.query(order_by="total", after=first)) == list(SORTED[2:])

    @pytest.mark.parametrize("asked", [{"where": {"notes": []}}, {"order_by": "notes"}])
    async def test_a_field_that_is_no_index_is_refused_with_what_to_do(
        self, shop: Shop, asked
    ) -> None:
        with pytest.raises(ValueError, match=r"'notes'.*indexes="):
            await shop.query(**asked)
