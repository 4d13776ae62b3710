"""The connection of a unit of work, where the stores have one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sourceflow.bus.changes import Changes
from sourceflow.bus.query import Query
from sourceflow.errors import NoConnectionError
from sourceflow.testing.conformance.stores.stores_tests import StoresTests

if TYPE_CHECKING:
    from sourceflow.testing.conformance.stores.shop import Shop


class ConnectionConformance(StoresTests):
    """The connection of a unit of work, where the stores have one."""

    async def test_stores_with_sql_have_a_connection_and_others_say_what_it_needs(
        self, shop: Shop
    ) -> None:
        async with shop.stores.begin() as uow:
            if not self.has_connection:
                with pytest.raises(NoConnectionError, match="needs SqlStores"):
                    await uow.connection()
            else:
                assert await (await uow.connection()).execute("SELECT 1, 'a'") == [(1, "a")]

    async def test_without_a_connection_a_mark_changes_nothing(self, shop: Shop) -> None:
        async with shop.stores.begin() as uow:
            mark = await uow.save()
            assert mark == 0
            uow.check()
            await uow.restore(mark)
            await uow.commit(Changes([shop.claim()]))

        assert await shop.stores.inbox.claimed([shop.claim()]) == {shop.claim()}

    async def test_a_unit_of_work_reads_what_the_stores_have(self, shop: Shop) -> None:
        await shop.commit(shop.handled(0, entity=shop.Order(id="o-1")))
        await shop.list(shop.Listing(id="a"), shop.Listing(id="b"))

        async with shop.stores.begin() as uow:
            assert await uow.reads.load(shop.stream(), shop.Order) == shop.Order(id="o-1")
            assert await uow.reads.load(shop.stream("o-2"), shop.Order) is None
            assert await uow.reads.find(shop.Listing, "a") == shop.Listing(id="a")
            assert await uow.reads.find(shop.Listing, "c") is None
            first = Query.of(shop.Listing, limit=1)
            assert await uow.reads.query(first) == [shop.Listing(id="a")]
