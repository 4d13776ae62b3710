"""The command log of each stream, and the event log of the App."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from sourceflow.bus.changes import Changes
from sourceflow.errors import ReplayError
from sourceflow.testing.conformance.stores.stores_tests import StoresTests

if TYPE_CHECKING:
    from sourceflow.testing.conformance.stores.shop import Shop


async def write_commands(shop, how_many, key="o-1"):
    envelopes = [shop.pay(key, amount=str(number)) for number in range(1, how_many + 1)]
    for number, envelope in enumerate(envelopes):
        await shop.commit(shop.handled(number, key=key, command=envelope))
    return envelopes


async def write_events(shop):
    """Positions 1 to 4: paid o-1, refunded o-1, paid o-2, and an arrived paid o-1."""
    refunded = shop.envelope(shop.Refunded(order_id="o-1"))
    arrived = shop.paid("o-1", source="/crm")
    await shop.commit(
        shop.handled(0, events=[(shop.paid("o-1"), shop.stream()), (refunded, shop.stream())])
    )
    await shop.commit(shop.handled(0, key="o-2", events=[(shop.paid("o-2"), shop.stream("o-2"))]))
    await shop.commit(Changes(events=[(arrived, None)]))


class LogsConformance(StoresTests):
    """The command log of each stream, and the event log of the App."""

    async def test_a_stream_is_read_in_order_with_its_numbers_and_whole_envelopes(
        self, shop: Shop
    ) -> None:
        written = await write_commands(shop, 3)
        await write_commands(shop, 2, key="o-2")
        read = await shop.commands()
        assert [each.position for each in read] == [1, 2, 3]
        assert [each.envelope for each in read] == written
        assert {each.stream for each in read} == {shop.stream()}

    async def test_a_command_is_logged_with_the_time_it_took_effect_at(
        self, shop: Shop, clock
    ) -> None:
        for number in range(2):
            await shop.commit(shop.handled(number))
            await clock.advance(timedelta(minutes=1, microseconds=1))
        now = clock.now()
        minute = timedelta(minutes=1, microseconds=1)
        assert [each.handled_at for each in await shop.commands()] == [
            now - 2 * minute,
            now - minute,
        ]
        assert {each.handled_at.tzinfo for each in await shop.commands()} == {UTC}

    async def test_a_reader_may_leave_a_stream_at_any_time(self, shop: Shop) -> None:
        await write_commands(shop, 3)
        async with aclosing(shop.stores.commands.read(shop.stream())) as commands:
            async for each in commands:
                if each.position == 2:
                    break
        assert [each async for each in commands] == []

    @pytest.mark.parametrize(("after", "numbers"), [(0, [1, 2, 3]), (1, [2, 3]), (3, []), (9, [])])
    async def test_a_stream_is_read_behind_a_number(self, shop: Shop, after, numbers) -> None:
        await write_commands(shop, 3)
        assert [each.position for each in await shop.commands(after=after)] == numbers

    async def test_a_stream_that_never_was_has_no_commands(self, shop: Shop) -> None:
        assert await shop.commands("nobody") == []

    async def test_metadata_of_a_logged_command_comes_back(self, shop: Shop) -> None:
        command = shop.pay(causation_id="c-1", depth=3, headers={"tenant": "acme"})
        await shop.commit(shop.handled(0, command=command))
        assert (await shop.commands())[0].envelope == command

    async def test_metadata_of_a_logged_event_comes_back(self, shop: Shop) -> None:
        event = shop.paid(causation_id="c-1", depth=3, sequence=7, headers={"tenant": "acme"})
        await shop.commit(Changes(events=[(event, shop.stream())]))
        assert (await shop.events())[0].envelope == event

    async def test_events_have_one_order_over_all_streams(self, shop: Shop) -> None:
        assert await shop.stores.events.position() == 0
        await write_events(shop)
        read = await shop.events()
        positions = [each.position for each in read]
        assert positions == sorted(set(positions))
        assert [(each.envelope.type_name, each.envelope.key) for each in read] == [
            ("Paid", "o-1"),
            ("Refunded", "o-1"),
            ("Paid", "o-2"),
            ("Paid", "o-1"),
        ]
        assert await shop.stores.events.position() == positions[-1]

    async def test_an_event_names_the_stream_that_raised_it_and_one_that_arrived_names_none(
        self, shop: Shop
    ) -> None:
        await write_events(shop)
        streams = [each.stream for each in await shop.events()]
        assert streams == [shop.stream(), shop.stream(), shop.stream("o-2"), None]

    @pytest.mark.parametrize(
        ("options", "found"),
        [
            ({"types": {"Paid"}}, [0, 2, 3]),
            ({"types": {"Refunded"}}, [1]),
            ({"types": set()}, []),
            ({"key": "o-1"}, [0, 1, 3]),
            ({"key": "o-1", "types": ["Paid"]}, [0, 3]),
            ({"key": "nobody"}, []),
        ],
    )
    async def test_events_are_read_by_type_and_by_key(self, shop: Shop, options, found) -> None:
        await write_events(shop)
        positions = [each.position for each in await shop.events()]
        read = await shop.events(**options)
        assert [each.position for each in read] == [positions[index] for index in found]

    async def test_events_are_read_behind_a_position(self, shop: Shop) -> None:
        await write_events(shop)
        first, second, *rest = [each.position for each in await shop.events()]
        assert [each.position for each in await shop.events(after=second)] == rest
        read = await shop.events(after=first, types={"Paid"})
        assert [each.position for each in read] == rest

    async def test_an_event_is_logged_once_for_each_source_and_id(self, shop: Shop) -> None:
        event = shop.paid(message_id="e-1")
        other = shop.paid(message_id="e-1", source="/crm")
        await shop.commit(Changes(events=[(event, shop.stream())]))
        await shop.commit(Changes(events=[(event, None), (other, None)]))
        assert [each.envelope for each in await shop.events()] == [event, other]

    async def test_a_reader_is_not_disturbed_by_what_is_written_meanwhile(self, shop: Shop) -> None:
        await write_commands(shop, 2)
        seen = []
        async for each in shop.stores.commands.read(shop.stream()):
            seen.append(each.position)
            if len(seen) == 1:
                await shop.commit(shop.handled(2))
        assert seen in ([1, 2], [1, 2, 3])

    async def test_a_command_that_can_no_longer_be_read_is_named_with_its_number(
        self, shop: Shop
    ) -> None:
        await write_commands(shop, 2)
        later = await shop.as_app("shop", types=(shop.Paid,))
        with pytest.raises(ReplayError) as raised:
            await later.commands(after=1)
        assert (raised.value.position, raised.value.type_name) == (2, "Pay")

    async def test_an_event_that_can_no_longer_be_read_is_named_with_its_position(
        self, shop: Shop
    ) -> None:
        await write_events(shop)
        later = await shop.as_app("shop", types=(shop.Pay,))
        with pytest.raises(ReplayError) as raised:
            await later.events(types={"Paid"})
        assert (raised.value.position, raised.value.type_name) == (1, "Paid")
