"""One transaction: all of it or nothing, and only one of two who started from the same state."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from sourceflow import DELETE
from sourceflow.bus.changes import Changes
from sourceflow.errors import ConflictError, DuplicateError
from sourceflow.testing.conformance.stores.stores_tests import StoresTests

if TYPE_CHECKING:
    from sourceflow.testing.conformance.stores.shop import Shop


class UnitOfWorkConformance(StoresTests):
    """One transaction: all of it or nothing, and only one of two who started from the same state."""

    async def test_a_stream_that_never_was_has_the_head_0_and_no_entity(self, shop: Shop) -> None:
        assert await shop.head(claim=shop.claim()) == (0, None, False)
        assert await shop.stores.load(shop.stream(), shop.Order) is None

    async def test_a_commit_writes_everything_that_it_is_given(self, shop: Shop, clock) -> None:
        command, event = shop.pay(), shop.paid(sequence=1)
        order = shop.Order(id="o-1", paid=Decimal("1.5"), notes=["first"])
        listing = shop.Listing(id="o-1", total=Decimal("1.5"))
        leaving = shop.leaving(event)
        await shop.commit(
            shop.handled(
                0,
                entity=order,
                command=command,
                events=[(event, shop.stream())],
                rows=[shop.put(listing)],
                outbox=[leaving],
            )
        )
        claim = shop.claim(command.id, "")
        assert await shop.head(claim=claim) == (1, order, True)
        assert await shop.stores.load(shop.stream(), shop.Order) == order
        assert await shop.commands() == [(1, command, shop.stream(), clock.now())]
        assert await shop.events() == [(1, event, shop.stream())]
        assert await shop.stores.find(shop.Listing, "o-1") == listing
        assert list(await shop.stores.outbox.unsent()) == [leaving]

    async def test_the_row_that_may_leave_at_once_is_returned(self, shop: Shop) -> None:
        leaving = shop.leaving(shop.paid())
        assert list(await shop.commit(shop.handled(0, outbox=[leaving]))) == [leaving]

    async def test_a_unit_of_work_that_is_left_without_a_commit_leaves_nothing(
        self, shop: Shop
    ) -> None:
        before = await shop.everything()
        async with shop.stores.begin() as uow:
            await uow.head(shop.stream(), shop.Order, None)
            await uow.row(shop.Listing, "o-1")
            await uow.claimed([shop.claim()])
        assert await shop.everything() == before

    async def test_an_error_comes_out_of_a_unit_of_work_as_it_is_and_leaves_nothing(
        self, shop: Shop
    ) -> None:
        before = await shop.everything()
        with pytest.raises(ZeroDivisionError):
            async with shop.stores.begin() as uow:
                await uow.head(shop.stream(), shop.Order, None)
                raise ZeroDivisionError
        assert await shop.everything() == before

    @pytest.mark.parametrize("expected", [0, 2])
    async def test_a_stale_writer_is_refused_and_leaves_nothing(self, shop: Shop, expected) -> None:
        await shop.commit(shop.handled(0, entity=shop.Order(id="o-1")))
        before = await shop.everything()
        late = shop.paid()
        changes = shop.handled(
            expected,
            entity=shop.Order(id="o-1", paid=Decimal(9)),
            events=[(late, shop.stream())],
            rows=[shop.put(shop.Listing(id="o-1"))],
            outbox=[shop.leaving(late)],
        )
        with pytest.raises(ConflictError, match="o-1"):
            await shop.commit(changes)
        assert await shop.everything() == before
        assert not (await shop.head(claim=changes.claims[0])).claimed

    async def test_of_two_who_read_the_same_head_one_wins(self, shop: Shop) -> None:
        async with shop.stores.begin() as one, shop.stores.begin() as other:
            assert (await one.head(shop.stream(), shop.Order, None)).number == 0
            assert (await other.head(shop.stream(), shop.Order, None)).number == 0
            await one.commit(shop.handled(0))
            with pytest.raises(ConflictError):
                await other.commit(shop.handled(0))
        assert [each.position for each in await shop.commands()] == [1]

    @pytest.mark.parametrize("expected", [0, 2])
    async def test_a_row_that_has_moved_on_is_a_conflict_and_leaves_nothing(
        self, shop: Shop, expected
    ) -> None:
        await shop.list(shop.Listing(id="l-1"))
        before = await shop.everything()
        row = shop.Listing(id="l-1", total=Decimal(2))
        with pytest.raises(ConflictError, match="l-1"):
            await shop.commit(shop.handled(0, rows=[shop.put(row, expected)]))
        assert await shop.everything() == before

    async def test_a_row_counts_its_versions(self, shop: Shop) -> None:
        async with shop.stores.begin() as uow:
            assert await uow.row(shop.Listing, "l-1") == (0, None)
        await shop.list(shop.Listing(id="l-1"))
        async with shop.stores.begin() as uow:
            version, row = await uow.row(shop.Listing, "l-1")
        assert row == shop.Listing(id="l-1")
        await shop.commit(Changes(rows=[shop.put(row, version)]))
        async with shop.stores.begin() as uow:
            assert (await uow.row(shop.Listing, "l-1")).version > version

    async def test_who_saw_a_row_that_was_removed_since_loses_the_race(self, shop: Shop) -> None:
        await shop.list(shop.Listing(id="l-1"))
        async with shop.stores.begin() as uow:
            version, row = await uow.row(shop.Listing, "l-1")
            await shop.commit(Changes(rows=[shop.remove("l-1", version)]))
            with pytest.raises(ConflictError):
                await uow.commit(Changes(rows=[shop.put(row, version)]))
        assert await shop.stores.find(shop.Listing, "l-1") is None

    async def test_a_row_can_come_back_after_it_was_removed(self, shop: Shop) -> None:
        await shop.list(shop.Listing(id="l-1"))
        for row in (None, shop.Listing(id="l-1", country="Chile")):
            async with shop.stores.begin() as uow:
                version, _ = await uow.row(shop.Listing, "l-1")
                change = shop.remove("l-1", version) if row is None else shop.put(row, version)
                await uow.commit(Changes(rows=[change]))
        assert await shop.country("l-1") == "Chile"

    async def test_a_command_is_taken_once_whatever_its_stream(self, shop: Shop) -> None:
        command = shop.pay(message_id="m-1")
        await shop.commit(shop.handled(0, command=command))
        before = await shop.everything()
        with pytest.raises(DuplicateError):
            await shop.commit(shop.handled(1, command=command))
        with pytest.raises(DuplicateError):
            await shop.commit(shop.handled(0, key="o-2", command=command))
        assert await shop.everything() == before

    async def test_a_command_of_another_source_with_the_same_id_is_another_command(
        self, shop: Shop
    ) -> None:
        await shop.commit(shop.handled(0, command=shop.pay(message_id="m-1")))
        await shop.commit(shop.handled(1, command=shop.pay(message_id="m-1", source="/crm")))
        assert [each.position for each in await shop.commands()] == [1, 2]

    async def test_a_command_without_a_stream_is_claimed_too(self, shop: Shop) -> None:
        claim = shop.claim("m-1", "")
        await shop.commit(Changes(claims=[claim]))
        async with shop.stores.begin() as uow:
            assert list(await uow.claimed([claim])) == [claim]
        with pytest.raises(DuplicateError):
            await shop.commit(Changes(claims=[claim]))

    async def test_unchanged_state_still_makes_a_step(self, shop: Shop) -> None:
        order = shop.Order(id="o-1", paid=Decimal(3))
        await shop.commit(shop.handled(0, entity=order))
        await shop.commit(shop.handled(1))
        assert (await shop.head())[:2] == (2, order)

    async def test_the_numbers_go_on_after_a_deletion(self, shop: Shop) -> None:
        await shop.commit(shop.handled(0, entity=shop.Order(id="o-1")))
        await shop.commit(shop.handled(1, entity=DELETE))
        assert (await shop.head())[:2] == (2, None)
        await shop.commit(shop.handled(2, entity=shop.Order(id="o-1")))
        assert [each.position for each in await shop.commands()] == [1, 2, 3]

    async def test_a_swap_of_the_entity_makes_no_step(self, shop: Shop) -> None:
        await shop.commit(shop.handled(0, entity=shop.Order(id="o-1")))
        swapped = shop.Order(id="o-1", paid=Decimal(7))
        step = shop.step(1, entity=swapped)
        step.command = None
        await shop.commit(Changes(stream=step))
        assert (await shop.head())[:2] == (1, swapped)
        assert len(await shop.commands()) == 1

    async def test_streams_do_not_share_their_numbers(self, shop: Shop) -> None:
        for key in ("o-1", "o-2", "o-1"):
            head = await shop.head(key)
            await shop.commit(shop.handled(head.number, key=key))
        assert [(await shop.head(key)).number for key in ("o-1", "o-2")] == [2, 1]

    async def test_50_writers_at_once_number_their_commands_without_a_gap(self, shop: Shop) -> None:
        async def write():
            while True:
                try:
                    async with shop.stores.begin() as uow:
                        number = (await uow.head(shop.stream(), shop.Order, None)).number
                        await asyncio.sleep(0)
                        await uow.commit(shop.handled(number))
                except ConflictError:
                    continue
                return

        async with asyncio.TaskGroup() as writers:
            for _ in range(50):
                writers.create_task(write())
        assert [each.position for each in await shop.commands()] == list(range(1, 51))

    @pytest.mark.parametrize("rounds", range(6))
    async def test_a_cancelled_commit_is_whole_or_nothing_when_its_task_has_ended(
        self, shop: Shop, rounds
    ) -> None:
        event = shop.paid()
        changes = shop.handled(
            0,
            entity=shop.Order(id="o-1"),
            events=[(event, shop.stream())],
            rows=[shop.put(shop.Listing(id="o-1"))],
            outbox=[shop.leaving(event)],
            schedule={"m-1": shop.waiting(10, "m-1")},
        )
        task = asyncio.create_task(shop.commit(changes))
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        everything = await shop.everything()
        head, commands, events, position, rows, unsent, depth, scheduled = everything
        claimed = (await shop.head(claim=changes.claims[0])).claimed
        seen = {
            head.number,
            int(head.entity is not None),
            int(claimed),
            len(commands),
            len(events),
            position,
            len(rows),
            len(unsent),
            depth,
            len(scheduled),
        }
        assert seen in ({0}, {1})
        assert await shop.everything() == everything

    async def test_what_was_read_is_not_changed_by_later_writes(self, shop: Shop) -> None:
        await shop.commit(shop.handled(0, entity=shop.Order(id="o-1")))
        await shop.list(shop.Listing(id="l-1"))
        order = (await shop.head()).entity
        row = await shop.stores.find(shop.Listing, "l-1")
        listed = await shop.query()
        await shop.commit(shop.handled(1, entity=shop.Order(id="o-1", paid=Decimal(5))))
        version = await shop.version("l-1")
        await shop.commit(Changes(rows=[shop.put(shop.Listing(id="l-1", country="Peru"), version)]))
        assert order == shop.Order(id="o-1")
        assert row == shop.Listing(id="l-1")
        assert listed == [row]

    async def test_who_changes_what_was_read_or_written_changes_nothing_in_the_store(
        self, shop: Shop
    ) -> None:
        order = shop.Order(id="o-1", notes=["kept"])
        row = shop.Listing(id="l-1", notes=["kept"])
        command, event = shop.pay(), shop.paid()
        for message in (command.message, event.message):
            message.notes.append("kept")
        await shop.commit(
            shop.handled(
                0,
                entity=order,
                command=command,
                events=[(event, shop.stream())],
                rows=[shop.put(row)],
            )
        )

        async def seen():
            (logged,), (raised,) = await shop.commands(), await shop.events()
            return [
                (await shop.head()).entity,
                await shop.stores.load(shop.stream(), shop.Order),
                await shop.stores.find(shop.Listing, "l-1"),
                *await shop.query(),
                logged.envelope.message,
                raised.envelope.message,
            ]

        for value in (order, row, command.message, event.message, *await seen()):
            value.notes.append("changed outside")
        assert [value.notes for value in await seen()] == [["kept"]] * 6

    @pytest.mark.parametrize("key", ["x" * 1_000, "\0" * 500, "\U0001f600" * 250])
    async def test_the_longest_keys_are_kept(self, shop: Shop, key) -> None:
        entity = shop.Order(id=key, paid=Decimal(1))
        row, event = shop.Listing(id=key), shop.paid(key)
        changes = shop.handled(0, key=key, entity=entity, events=[(event, shop.stream(key))])
        changes.rows = [shop.put(row)]
        changes.outbox = [shop.leaving(event, stream=shop.stream(key))]
        await shop.commit(changes)
        assert (await shop.head(key))[:2] == (1, entity)
        assert await shop.stores.find(shop.Listing, key) == row
        assert [each.envelope for each in await shop.events(key=key)] == [event]
