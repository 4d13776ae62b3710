"""Rows that are built beside those that count, and take their place as a whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sourceflow.bus.changes import Changes
from sourceflow.errors import ConflictError
from sourceflow.testing.conformance.stores.stores_tests import StoresTests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sourceflow.testing.conformance.stores.shop import Shop

CLAIMS = {("Paid", "Listings.paid")}


async def begin(shop, *, resume=False):
    return await shop.stores.shadow(shop.Listing, resume=resume)


def listings(shop, *keys, country="Chile"):
    return {key: shop.Listing(id=key, country=country) for key in keys}


class Projector:
    """Makes a row of each event, and notes which came."""

    def __init__(self, shop):
        self._shop = shop
        self.ids = []
        self.before: Callable[[], Awaitable[None]] | None = None

    async def __call__(self, page):
        self.ids += [each.envelope.id for each in page]
        if self.before is not None and page:
            await self.before()
        return {
            each.envelope.key: self._shop.Listing(id=each.envelope.key, country="late")
            for each in page
        }


async def swap(shadow, project, claims=CLAIMS):
    return await shadow.swap(project, types=["Paid"], claims=claims)


def keys(rows):
    return [row.id for row in rows]


class ShadowConformance(StoresTests):
    """Rows that are built beside those that count, and take their place as a whole."""

    @pytest.fixture
    def project(self, shop: Shop):
        """Makes rows of events."""
        return Projector(shop)

    async def test_a_shadow_takes_the_place_of_the_old_rows(self, shop: Shop, project) -> None:
        await shop.list(shop.Listing(id="old"), shop.Listing(id="both"))
        shadow = await begin(shop)
        new = listings(shop, "both", "new")
        await shadow.save(new, position=0)
        assert keys(await shop.query()) == ["both", "old"]
        assert await swap(shadow, project) == 2
        assert await shop.query() == list(new.values())
        assert await shop.stores.find(shop.Listing, "old") is None

    async def test_its_rows_can_be_read_changed_and_removed_before_it_counts(
        self, shop: Shop, project
    ) -> None:
        shadow = await begin(shop)
        assert await shadow.load(["a"]) == {}
        assert await shadow.load([]) == {}
        await shadow.save(listings(shop, "a", "b", "c"), position=1)
        await shadow.save(
            {"a": shop.Listing(id="a", country="Peru"), "b": None, "x": None}, position=2
        )
        found = await shadow.load(["a", "b", "c", "x"])
        assert {key: row.country for key, row in found.items()} == {"a": "Peru", "c": "Chile"}
        assert shadow.position == 2
        assert await shop.query() == []

    async def test_events_that_came_meanwhile_are_projected_by_the_swap(
        self, shop: Shop, project
    ) -> None:
        first = shop.paid("a")
        await shop.commit(Changes(events=[(first, None)]))
        shadow = await begin(shop)
        await shadow.save(listings(shop, "a"), position=await shop.stores.events.position())
        second = shop.paid("b")
        await shop.commit(
            Changes(events=[(second, None), (shop.envelope(shop.Refunded(order_id="z")), None)])
        )
        assert await swap(shadow, project) == 2
        assert project.ids == [second.id]
        assert {row.id: row.country for row in await shop.query()} == {"a": "Chile", "b": "late"}

    async def test_the_swap_takes_the_claims_of_all_events_that_it_takes_in(
        self, shop: Shop, project
    ) -> None:
        handled, saved, late = shop.paid("a"), shop.paid("b"), shop.paid("c")
        other = shop.envelope(shop.Refunded(order_id="z"))
        await shop.commit(Changes(events=[(handled, None), (saved, None), (other, None)]))
        shadow = await begin(shop)
        position = await shop.stores.events.position()
        await shadow.save(listings(shop, "a", "b"), position=position)
        await shop.commit(Changes(events=[(late, None)]))
        claims = [shop.claim(each.id, "Listings.paid") for each in (handled, saved, late, other)]
        await shop.commit(Changes(claims=claims[:1]))
        assert await shop.stores.inbox.claimed(claims) == set(claims[:1])
        await swap(shadow, project)
        assert await shop.stores.inbox.claimed(claims) == set(claims[:3])

    async def test_an_event_after_the_swap_is_nobody_elses(self, shop: Shop, project) -> None:
        shadow = await begin(shop)
        await swap(shadow, project)
        late = shop.paid("b")
        await shop.commit(Changes(events=[(late, None)]))
        assert await shop.stores.inbox.claimed([shop.claim(late.id, "Listings.paid")]) == set()

    async def test_the_swap_waits_for_nobody_who_writes_elsewhere(
        self, shop: Shop, project
    ) -> None:
        """Rows of other view models, and events, are written while its projections run."""
        await shop.commit(Changes(events=[(shop.paid("a"), None)]))
        shadow = await begin(shop)

        async def read():
            assert keys(await shop.query()) == []

        project.before = read
        async with asyncio.timeout(10):
            assert await swap(shadow, project) == 1

    @pytest.mark.parametrize("key", ["old", "both"])
    async def test_who_read_a_row_before_a_swap_loses_the_race(
        self, shop: Shop, project, key
    ) -> None:
        await shop.list(shop.Listing(id="old"), shop.Listing(id="both"))
        async with shop.stores.begin() as uow:
            version, row = await uow.row(shop.Listing, key)
            shadow = await begin(shop)
            await shadow.save(listings(shop, "both"), position=0)
            await swap(shadow, project)
            with pytest.raises(ConflictError):
                await uow.commit(Changes(rows=[shop.put(row, version)]))

    async def test_rows_change_while_a_shadow_is_built_and_after_the_swap(
        self, shop: Shop, project
    ) -> None:
        await shop.list(shop.Listing(id="a"))
        shadow = await begin(shop)
        await shadow.save(listings(shop, "a"), position=0)
        await shop.commit(
            Changes(rows=[shop.put(shop.Listing(id="a", country="Peru"), await shop.version("a"))])
        )
        assert await shop.country("a") == "Peru"
        await swap(shadow, project)
        assert await shop.country("a") == "Chile"
        await shop.commit(
            Changes(rows=[shop.put(shop.Listing(id="a", country="Cuba"), await shop.version("a"))])
        )
        assert await shop.country("a") == "Cuba"

    async def test_a_shadow_that_was_interrupted_can_be_gone_on_with(
        self, shop: Shop, project
    ) -> None:
        first = await begin(shop)
        await first.save(listings(shop, "a"), position=3)
        second = await begin(shop, resume=True)
        assert second.position == 3
        assert keys((await second.load(["a"])).values()) == ["a"]
        with pytest.raises(ConflictError, match="Listing"):
            await first.save(listings(shop, "b"), position=4)
        with pytest.raises(ConflictError, match="Listing"):
            await swap(first, project)
        assert await swap(second, project) == 1
        assert keys(await shop.query()) == ["a"]

    async def test_a_new_shadow_begins_empty_and_ends_the_one_before(
        self, shop: Shop, project
    ) -> None:
        first = await begin(shop)
        await first.save(listings(shop, "a"), position=3)
        second = await begin(shop)
        assert second.position == 0
        assert await second.load(["a"]) == {}
        with pytest.raises(ConflictError):
            await first.save(listings(shop, "b"), position=4)
        assert await swap(second, project) == 0
        third = await begin(shop, resume=True)
        assert (third.position, await third.load(["a"])) == (0, {})

    async def test_a_projection_that_fails_leaves_the_old_rows(self, shop: Shop) -> None:
        await shop.list(shop.Listing(id="old"))
        await shop.commit(Changes(events=[(shop.paid("a"), None)]))
        shadow = await begin(shop)

        async def fail(page):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await swap(shadow, fail)
        assert keys(await shop.query()) == ["old"]
        async with asyncio.timeout(10):
            await shop.list(shop.Listing(id="more"))
