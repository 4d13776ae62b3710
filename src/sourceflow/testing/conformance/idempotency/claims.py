"""Keys are claimed by one owner at a time, and then done."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sourceflow import Idempotency
from sourceflow.testing.clock import ManualClock
from sourceflow.testing.conformance.idempotency.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("IdempotencyConformance",)

NOBODYS = "made up"


@pytest.mark.asyncio
class IdempotencyConformance:
    """What the port `sourceflow.Idempotency` promises, as tests.

    A subclass whose name begins with `Test` overrides the fixture `services`.
    """

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The time of the services, which stands still."""
        return ManualClock()

    @pytest.fixture
    def services(self) -> Sequence[Idempotency]:
        """Return two open services that share their keys, as two processes would, on `clock`.

        They are one and the same where keys are kept in the process.
        """
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture services that returns two idempotency "
            "services, open, on the same keys and on the fixture clock"
        )

    @pytest.fixture
    def desk(self, clock: ManualClock, services: Sequence[Idempotency]) -> Desk:
        """The services, and short words for what tests ask of them."""
        return Desk(clock, services)

    async def test_it_is_a_service(self, desk: Desk) -> None:
        assert isinstance(desk.service, Idempotency)

    async def test_a_key_is_claimed_once(self, desk: Desk) -> None:
        claim = await desk.claim()
        assert claim.state is desk.CLAIMED
        assert claim.token
        assert await desk.state() is desk.IN_PROGRESS
        assert await desk.state("another") is desk.CLAIMED

    async def test_one_of_many_claims_at_once_is_granted(self, desk: Desk) -> None:
        claims = await asyncio.gather(
            *(desk.claim(service=desk.services[at % 2]) for at in range(100))
        )
        assert Counter(claim.state for claim in claims) == {desk.CLAIMED: 1, desk.IN_PROGRESS: 99}
        assert [claim.token for claim in claims if claim.state is desk.IN_PROGRESS] == [""] * 99

    async def test_a_claim_in_progress_says_how_long_its_lease_lasts(self, desk: Desk) -> None:
        await desk.take()
        await desk.wait(seconds=12)
        claim = await desk.claim()
        assert claim.remaining == timedelta(seconds=18)

    async def test_every_process_sees_the_claims_of_the_others(self, desk: Desk) -> None:
        token = await desk.take()
        other = desk.services[1]
        assert (await desk.claim(service=other)).state is desk.IN_PROGRESS
        await desk.service.complete("k", token=token)
        assert (await desk.claim(service=other)).state is desk.DONE
        assert await other.has_processed("k")

    async def test_what_is_complete_is_done(self, desk: Desk) -> None:
        token = await desk.take()
        assert not await desk.service.has_processed("k")
        assert await desk.service.complete("k", token=token)
        assert await desk.service.has_processed("k")
        assert await desk.state() is desk.DONE

    async def test_what_is_released_may_be_claimed_again(self, desk: Desk) -> None:
        token = await desk.take()
        assert await desk.service.release("k", token=token)
        assert not await desk.service.has_processed("k")
        assert await desk.take() != token

    async def test_the_claim_of_a_crashed_owner_ends_with_its_lease(self, desk: Desk) -> None:
        await desk.take()
        await desk.wait(seconds=29)
        assert await desk.state() is desk.IN_PROGRESS
        await desk.wait(seconds=1)
        assert await desk.state() is desk.CLAIMED

    async def test_one_of_many_takes_over_from_a_crashed_owner(self, desk: Desk) -> None:
        await desk.take()
        await desk.wait(seconds=30)
        claims = await asyncio.gather(*(desk.claim() for _ in range(20)))
        assert Counter(claim.state for claim in claims) == {desk.CLAIMED: 1, desk.IN_PROGRESS: 19}

    async def test_a_claim_that_is_extended_lasts_longer(self, desk: Desk) -> None:
        token = await desk.take()
        await desk.wait(seconds=20)
        assert await desk.service.extend("k", desk.lease, token=token)
        await desk.wait(seconds=29)
        assert await desk.state() is desk.IN_PROGRESS
        await desk.wait(seconds=1)
        assert await desk.state() is desk.CLAIMED

    async def test_an_owner_whose_lease_has_ended_is_still_the_owner_until_others_claim(
        self, desk: Desk
    ) -> None:
        token = await desk.take()
        await desk.wait(seconds=40)
        assert await desk.service.complete("k", token=token)
        assert await desk.state() is desk.DONE

    @pytest.mark.parametrize("end", ["complete", "release", "extend"])
    async def test_a_late_owner_cannot_touch_the_claim_of_the_next_one(
        self, desk: Desk, end
    ) -> None:
        late = await desk.take()
        await desk.wait(seconds=30)
        token = await desk.take()
        more = (desk.lease,) if end == "extend" else ()
        assert not await getattr(desk.service, end)("k", *more, token=late)
        claim = await desk.claim()
        assert claim == (desk.IN_PROGRESS, "", desk.lease)
        assert await desk.service.complete("k", token=token)

    @pytest.mark.parametrize("end", ["complete", "release", "extend"])
    async def test_a_claim_ends_once(self, desk: Desk, end) -> None:
        token = await desk.take()
        await desk.service.complete("k", token=token)
        more = (desk.lease,) if end == "extend" else ()
        assert not await getattr(desk.service, end)("k", *more, token=token)
        assert await desk.state() is desk.DONE

    @pytest.mark.parametrize("end", ["complete", "release", "extend"])
    async def test_what_was_never_claimed_cannot_be_ended(self, desk: Desk, end) -> None:
        more = (desk.lease,) if end == "extend" else ()
        assert not await getattr(desk.service, end)("k", *more, token=NOBODYS)
        assert await desk.state() is desk.CLAIMED

    async def test_what_is_done_is_forgotten_in_time(self, desk: Desk) -> None:
        token = await desk.take()
        await desk.service.complete("k", timedelta(hours=1), token=token)
        await desk.wait(minutes=59)
        assert await desk.service.has_processed("k")
        await desk.wait(minutes=1)
        assert not await desk.service.has_processed("k")
        assert await desk.state() is desk.CLAIMED

    async def test_where_nothing_is_asked_for_a_key_is_done_for_a_day(self, desk: Desk) -> None:
        await desk.service.mark_as_processed("k")
        await desk.wait(hours=23, minutes=59)
        assert await desk.service.has_processed("k")
        await desk.wait(minutes=1)
        assert not await desk.service.has_processed("k")

    async def test_a_key_is_marked_without_a_claim(self, desk: Desk) -> None:
        await desk.service.mark_as_processed("k", timedelta(hours=1))
        await desk.service.mark_as_processed("k", timedelta(hours=3))
        await desk.wait(hours=2)
        assert await desk.state() is desk.DONE

    async def test_a_mark_ends_the_claim_of_another(self, desk: Desk) -> None:
        token = await desk.take()
        await desk.service.mark_as_processed("k")
        assert not await desk.service.release("k", token=token)
        assert await desk.state() is desk.DONE

    async def test_what_is_removed_may_be_claimed_again(self, desk: Desk) -> None:
        token = await desk.take()
        await desk.service.remove("k")
        assert await desk.take() != token
        await desk.service.mark_as_processed("done")
        await desk.service.remove("done")
        assert not await desk.service.has_processed("done")
        await desk.service.remove("nothing")

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "a key with spaces",
            "Bücher 本",
            "x" * 5_000,
            "y" * 4_999 + "z",
            "nul \0",
            "lone \ud800",
        ],
        ids=ascii,
    )
    async def test_any_text_is_a_key(self, desk: Desk, key) -> None:
        await desk.service.mark_as_processed(key)
        assert await desk.state(key) is desk.DONE
        assert await desk.state(f"{key}.") is desk.CLAIMED

    async def test_checks_and_duplicates_are_counted(self, desk: Desk) -> None:
        token = await desk.take("a")  # unique
        await desk.claim("a")  # in progress: will be asked again
        await desk.service.complete("a", token=token)
        await desk.claim("a")  # duplicate
        assert await desk.service.has_processed("a")  # duplicate
        assert not await desk.service.has_processed("b")  # unique
        await desk.service.mark_as_processed("c")
        statistics = await desk.service.statistics()
        assert statistics == (4, 2, 2)
        assert statistics.unique_messages == 2

    async def test_cleaning_forgets_what_has_expired_and_nothing_else(self, desk: Desk) -> None:
        service = desk.service
        await service.mark_as_processed("old", timedelta(minutes=1))
        await service.mark_as_processed("young", timedelta(hours=1))
        await desk.take("crashed")
        await desk.wait(minutes=1)
        token = await desk.take("at work")
        assert await desk.clean() == 2
        assert (await service.statistics()).cache_size == 2
        assert await service.has_processed("young")
        assert await service.complete("at work", token=token)
        assert await desk.clean() == 0

    async def test_cleaning_goes_on_until_everything_is_gone(self, desk: Desk) -> None:
        await asyncio.gather(
            *(desk.service.mark_as_processed(f"k{at}", timedelta(minutes=1)) for at in range(2_300))
        )
        await desk.wait(minutes=1)
        assert await desk.clean() == 2_300
        assert (await desk.service.statistics()).cache_size == 0
