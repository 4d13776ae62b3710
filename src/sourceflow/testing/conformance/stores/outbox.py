"""Messages on their way out."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from sourceflow.bus.changes import Changes, Destination
from sourceflow.testing.conformance.stores.stores_tests import StoresTests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sourceflow.bus.changes import OutboxRow, Stream
    from sourceflow.testing.clock import ManualClock
    from sourceflow.testing.conformance.stores.shop import Shop


def lanes(rows: Iterable[OutboxRow]) -> dict[tuple[Stream, Destination], list[str]]:
    """Return the ids of messages, lane by lane: order counts within a lane only."""
    found = defaultdict(list)
    for row in rows:
        found[row.stream, row.destination].append(row.envelope.id)
    return dict(found)


class OutboxConformance(StoresTests):
    """Messages on their way out."""

    async def test_an_outbox_that_was_never_used_is_empty(self, shop: Shop) -> None:
        assert list(await shop.stores.outbox.unsent()) == []
        assert await shop.stores.outbox.depth() == 0

    async def test_a_row_waits_until_it_is_sent(self, shop: Shop) -> None:
        first, second = shop.leaving(shop.paid()), shop.leaving(shop.paid())
        await shop.commit(Changes(outbox=[first, second]))
        assert await shop.stores.outbox.depth() == 2
        await shop.stores.outbox.sent([first])
        assert list(await shop.stores.outbox.unsent()) == [second]
        assert await shop.stores.outbox.depth() == 1

    async def test_a_row_that_was_sent_may_be_sent_again(self, shop: Shop) -> None:
        row = shop.leaving(shop.paid())
        await shop.commit(Changes(outbox=[row]))
        await shop.stores.outbox.sent([row])
        await shop.stores.outbox.sent([row])
        assert await shop.stores.outbox.depth() == 0

    async def test_a_message_that_was_sent_twice_with_one_id_leaves_nothing_behind(
        self, shop: Shop
    ) -> None:
        row = shop.leaving(shop.paid())
        given = [
            *await shop.commit(Changes(outbox=[row])),
            *await shop.commit(Changes(outbox=[row])),
        ]
        assert given == [row, row]
        await shop.stores.outbox.sent(given[:1])
        await shop.stores.outbox.sent(given[1:])
        assert await shop.stores.outbox.depth() == 0

    async def test_rows_of_one_stream_keep_their_order_for_each_destination(
        self, shop: Shop
    ) -> None:
        written = [
            shop.leaving(shop.paid("o-1", amount=str(number)), destination, shop.stream(key))
            for number in range(3)
            for key in ("o-1", "o-2")
            for destination in (shop.queue, shop.topic)
        ]
        for start in range(0, len(written), 3):
            await shop.commit(Changes(outbox=written[start : start + 3]))
        unsent = list(await shop.stores.outbox.unsent())
        assert lanes(unsent) == lanes(written)
        assert len(unsent) == len(written)
        assert all(row in written for row in unsent)

    async def test_one_message_has_a_row_for_each_destination(self, shop: Shop) -> None:
        event = shop.paid()
        rows = [shop.leaving(event, shop.topic), shop.leaving(event, Destination("topic", "audit"))]
        await shop.commit(Changes(outbox=rows))
        await shop.stores.outbox.sent(rows[:1])
        assert list(await shop.stores.outbox.unsent()) == rows[1:]

    async def test_a_row_for_this_process_has_no_body(self, shop: Shop) -> None:
        local = shop.leaving(shop.paid(), Destination("subscriber", "Orders.paid"))._replace(
            body=None
        )
        await shop.commit(Changes(outbox=[local]))
        assert list(await shop.stores.outbox.unsent()) == [local]

    async def test_a_later_run_of_the_app_finds_what_was_left(self, shop: Shop) -> None:
        row = shop.leaving(shop.paid())
        await shop.commit(Changes(outbox=[row]))
        later = await shop.as_app("shop")
        assert list(await later.stores.outbox.unsent()) == [row]

    async def test_a_later_run_takes_over_what_was_left_once_and_in_its_order(
        self, shop: Shop
    ) -> None:
        written = [
            shop.leaving(shop.paid(key, amount=str(number)), destination, shop.stream(key))
            for number in range(3)
            for key in ("o-1", "o-2")
            for destination in (shop.queue, shop.topic)
        ]
        for row in written:
            await shop.commit(Changes(outbox=[row]))
        later = await shop.as_app("shop")
        taken = list(await later.stores.outbox.take())
        assert lanes(taken) == lanes(written)
        assert list(await later.stores.outbox.take()) == []
        assert await later.stores.outbox.depth() == len(written), "taken is not sent"

    async def test_the_oldest_row_that_waits_is_told(self, shop: Shop, clock: ManualClock) -> None:
        outbox = shop.stores.outbox
        assert await outbox.oldest() is None
        first, second = shop.leaving(shop.paid()), shop.leaving(shop.paid())
        await shop.commit(Changes(outbox=[first]))
        written = await outbox.oldest()
        assert written is not None
        await clock.advance(timedelta(minutes=1))
        await shop.commit(Changes(outbox=[second]))
        assert await outbox.oldest() == written
        await outbox.sent([first, second])
        assert await outbox.oldest() is None

    async def test_rows_of_another_app_are_not_touched(self, shop: Shop) -> None:
        row = shop.leaving(shop.paid())
        await shop.commit(Changes(outbox=[row]))
        other = await shop.as_app("crm")
        assert list(await other.stores.outbox.unsent()) == []
        assert await other.stores.outbox.depth() == 0
        await other.stores.outbox.sent([row])
        again = await other.as_app("shop")
        assert list(await again.stores.outbox.unsent()) == [row]
