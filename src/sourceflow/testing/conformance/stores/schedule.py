"""Commands that wait until they are due."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sourceflow.bus.changes import Changes, Destination
from sourceflow.bus.ports import ScheduledCommand
from sourceflow.errors import ConflictError
from sourceflow.testing.conformance.stores.stores_tests import StoresTests

if TYPE_CHECKING:
    from sourceflow.testing.conformance.stores.shop import Shop


class ScheduleConformance(StoresTests):
    """Commands that wait until they are due."""

    async def test_a_schedule_that_was_never_used_is_empty(self, shop: Shop) -> None:
        schedule = shop.stores.schedule
        assert await schedule.first() is None
        assert list(await schedule.page()) == []
        assert not await schedule.waits("m-1")
        assert not await schedule.cancel("m-1")
        assert await shop.fire(60) == []

    async def test_a_command_waits_until_it_is_due(self, shop: Shop) -> None:
        await shop.schedule(shop.waiting(10, "m-1"))
        assert await shop.fire(9) == []
        assert await shop.stores.schedule.waits("m-1")
        assert await shop.stores.outbox.depth() == 0
        assert await shop.fire(10) == ["m-1"]
        assert not await shop.stores.schedule.waits("m-1")
        assert await shop.fire(10) == []

    async def test_what_is_due_stands_in_the_outbox_as_it_was_sent(self, shop: Shop) -> None:
        row = shop.waiting(10)
        await shop.schedule(row)
        await shop.fire(10)
        assert list(await shop.stores.outbox.unsent()) == [row]

    async def test_it_goes_where_its_route_leads_when_it_is_due(self, shop: Shop) -> None:
        await shop.schedule(shop.waiting(10, destination=Destination("queue", "old.fifo")))
        await shop.fire(10)
        (row,) = await shop.stores.outbox.unsent()
        assert row.destination == shop.queue

    async def test_the_command_is_as_it_was_when_it_was_sent(self, shop: Shop) -> None:
        row = shop.waiting(10)
        await shop.schedule(row)
        row.envelope.message.notes.append("too late")
        await shop.fire(10)
        (left,) = await shop.stores.outbox.unsent()
        assert left.envelope.message.notes == []

    async def test_those_due_first_leave_first_and_of_equals_those_scheduled_first(
        self, shop: Shop
    ) -> None:
        await shop.schedule(shop.waiting(20, "c"), shop.waiting(10, "b"))
        await shop.schedule(shop.waiting(10, "a"), shop.waiting(5, "d"))
        assert await shop.fire(30) == ["d", "b", "a", "c"]
        assert [row.envelope.id for row in await shop.stores.outbox.unsent()] == [
            "d",
            "b",
            "a",
            "c",
        ]

    async def test_no_more_are_fired_at_a_time_than_the_limit(self, shop: Shop) -> None:
        await shop.schedule(*(shop.waiting(minute, f"m-{minute}") for minute in (4, 3, 2, 1, 0)))
        assert await shop.fire(10, limit=3) == ["m-0", "m-1", "m-2"]
        assert await shop.fire(10, limit=3) == ["m-3", "m-4"]

    async def test_it_is_known_when_the_first_is_due(self, shop: Shop) -> None:
        first, second = shop.waiting(20), shop.waiting(10)
        await shop.schedule(first, second)
        due = second.envelope.time
        assert await shop.stores.schedule.first() == due
        assert await shop.stores.schedule.first(after=due) == first.envelope.time
        assert await shop.stores.schedule.first(after=first.envelope.time) is None

    async def test_a_command_is_taken_back_until_it_is_due(self, shop: Shop) -> None:
        await shop.schedule(shop.waiting(10, "m-1"), shop.waiting(10, "m-2"))
        assert await shop.stores.schedule.cancel("m-1")
        assert not await shop.stores.schedule.cancel("m-1")
        assert await shop.fire(10) == ["m-2"]
        assert not await shop.stores.schedule.cancel("m-2")

    async def test_one_id_has_one_place_and_scheduling_it_again_moves_it(self, shop: Shop) -> None:
        await shop.schedule(shop.waiting(10, "m-1"))
        await shop.schedule(shop.waiting(20, "m-1"))
        assert await shop.scheduled() == ["m-1"]
        assert await shop.fire(10) == []
        assert await shop.fire(20) == ["m-1"]

    async def test_what_waits_is_listed_page_by_page(self, shop: Shop) -> None:
        rows = [shop.waiting(minutes, f"m-{minutes}", key=f"o-{minutes}") for minutes in (3, 1, 2)]
        await shop.schedule(*rows)
        (first,) = await shop.stores.schedule.page(limit=1)
        assert first == ScheduledCommand(
            "m-1", "Pay", "o-1", shop.noon + timedelta(minutes=1), first.position
        )
        assert await shop.scheduled(limit=1, after=first) == ["m-2"]
        assert await shop.scheduled(after=first) == ["m-2", "m-3"]

    async def test_pages_neither_repeat_nor_skip_what_is_due_at_the_same_time(
        self, shop: Shop
    ) -> None:
        await shop.schedule(*(shop.waiting(10, f"m-{number}") for number in range(5)))
        seen, last = [], None
        while page := await shop.stores.schedule.page(limit=2, after=last):
            seen += [each.message_id for each in page]
            last = page[-1]
        assert seen == [f"m-{number}" for number in range(5)]

    async def test_a_command_is_scheduled_with_its_unit_of_work_or_not_at_all(
        self, shop: Shop
    ) -> None:
        row = shop.waiting(10, "m-1")
        await shop.commit(shop.handled(0, schedule={"m-1": row}))
        assert await shop.scheduled() == ["m-1"]
        with pytest.raises(ConflictError):
            await shop.commit(shop.handled(0, schedule={"m-2": shop.waiting(10, "m-2")}))
        assert await shop.scheduled() == ["m-1"]

    async def test_a_command_is_taken_back_with_its_unit_of_work_or_not_at_all(
        self, shop: Shop
    ) -> None:
        await shop.schedule(shop.waiting(10, "m-1"), shop.waiting(10, "m-2"))
        await shop.commit(shop.handled(0, schedule={"m-1": None}))
        assert await shop.scheduled() == ["m-2"]
        with pytest.raises(ConflictError):
            await shop.commit(shop.handled(0, schedule={"m-2": None}))
        assert await shop.scheduled() == ["m-2"]

    async def test_a_unit_of_work_that_takes_back_what_was_sent_already_writes_nothing(
        self, shop: Shop
    ) -> None:
        await shop.schedule(shop.waiting(10, "m-1"))
        await shop.fire(10)
        before = await shop.everything()
        with pytest.raises(ConflictError):
            await shop.commit(shop.handled(0, schedule={"m-1": None}))
        assert await shop.everything() == before

    async def test_a_later_run_of_the_app_finds_what_waits(self, shop: Shop) -> None:
        await shop.schedule(shop.waiting(10, "m-1"))
        later = await shop.as_app("shop")
        assert await later.fire(10) == ["m-1"]

    async def test_what_another_app_has_scheduled_is_not_touched(self, shop: Shop) -> None:
        await shop.schedule(shop.waiting(10, "m-1"))
        other = await shop.as_app("crm")
        assert await other.stores.schedule.first() is None
        assert await other.scheduled() == []
        assert not await other.stores.schedule.waits("m-1")
        assert not await other.stores.schedule.cancel("m-1")
        assert await other.fire(10) == []
        await other.schedule(other.waiting(10, "m-1"))
        assert await other.fire(10) == ["m-1"]
        again = await other.as_app("shop")
        assert await again.fire(10) == ["m-1"]

    async def test_of_taking_back_and_firing_exactly_one_wins(self, shop: Shop) -> None:
        ids = [f"m-{number}" for number in range(60)]
        await shop.schedule(*(shop.waiting(10, each) for each in ids))

        async def fire():
            fired = []
            while batch := await shop.fire(10, limit=5):
                fired += batch
            return fired

        async def take_back(message_id):
            return message_id, await shop.stores.schedule.cancel(message_id)

        fired, *answers = await asyncio.gather(fire(), *map(take_back, ids))
        taken_back = [message_id for message_id, was_taken in answers if was_taken]
        assert sorted([*fired, *taken_back]) == sorted(ids)
        unsent = await shop.stores.outbox.unsent()
        assert sorted(row.envelope.id for row in unsent) == sorted(fired)

    async def test_of_taking_back_in_a_unit_of_work_and_firing_exactly_one_wins(
        self, shop: Shop
    ) -> None:
        ids = [f"m-{number}" for number in range(30)]
        await shop.schedule(*(shop.waiting(10, each) for each in ids))

        async def take_back(message_id):
            try:
                await shop.commit(Changes(schedule={message_id: None}))
            except ConflictError:
                return []
            return [message_id]

        async def fire():
            fired = []
            for _ in ids:
                fired += await shop.fire(10, limit=1)
            return fired

        shares = await asyncio.gather(fire(), *map(take_back, reversed(ids)))
        assert sorted(each for share in shares for each in share) == sorted(ids)
