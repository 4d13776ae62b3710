"""The claims of what was handled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sourceflow.bus.changes import Changes
from sourceflow.errors import DuplicateError
from sourceflow.testing.conformance.stores.stores_tests import StoresTests

if TYPE_CHECKING:
    from sourceflow.testing.conformance.stores.shop import Shop


class InboxConformance(StoresTests):
    """The claims of what was handled."""

    async def test_nothing_is_claimed_at_first(self, shop: Shop) -> None:
        assert list(await shop.stores.inbox.claimed([shop.claim()])) == []

    async def test_claims_are_asked_for_many_at_once(self, shop: Shop) -> None:
        one, two = shop.claim("m-1"), shop.claim("m-2")
        await shop.commit(Changes(claims=[one]))
        assert list(await shop.stores.inbox.claimed([one, two])) == [one]
        async with shop.stores.begin() as uow:
            assert list(await uow.claimed([one, two])) == [one]
        assert list(await shop.stores.inbox.claimed([])) == []

    async def test_each_subscriber_has_its_own_claim(self, shop: Shop) -> None:
        mine, yours = shop.claim(subscriber="Orders.paid"), shop.claim(subscriber="Sales.paid")
        await shop.commit(Changes(claims=[mine]))
        await shop.commit(Changes(claims=[yours]))
        assert set(await shop.stores.inbox.claimed([mine, yours])) == {mine, yours}

    async def test_a_claim_that_is_taken_refuses_the_whole_commit(self, shop: Shop) -> None:
        one, two = shop.claim("m-1"), shop.claim("m-2")
        await shop.commit(Changes(claims=[one]))
        before = await shop.everything()
        with pytest.raises(DuplicateError):
            await shop.commit(
                Changes(
                    claims=[two, one],
                    rows=[shop.put(shop.Listing(id="l-1"))],
                    outbox=[shop.leaving(shop.paid())],
                    events=[(shop.paid(), None)],
                )
            )
        assert await shop.everything() == before
        assert list(await shop.stores.inbox.claimed([two])) == []

    async def test_a_taken_claim_counts_before_a_lost_race(self, shop: Shop) -> None:
        command = shop.pay()
        await shop.commit(shop.handled(0, command=command))
        with pytest.raises(DuplicateError):
            await shop.commit(shop.handled(0, command=command))

    async def test_a_commands_claim_is_seen_with_its_head_and_no_other_is(self, shop: Shop) -> None:
        command = shop.pay()
        await shop.commit(shop.handled(0, command=command))
        assert (await shop.head(claim=shop.claim(command.id, ""))).claimed
        assert not (await shop.head(claim=shop.claim("another", ""))).claimed
        assert not (await shop.head(claim=None)).claimed

    async def test_a_later_run_of_the_app_knows_the_claims(self, shop: Shop) -> None:
        claims = [shop.claim("m-1", ""), shop.claim("m-2")]
        await shop.commit(Changes(claims=claims))
        later = await shop.as_app("shop")
        assert set(await later.stores.inbox.claimed(claims)) == set(claims)
