"""Messages that were given up, kept for people."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sourceflow.bus.dead_letter import DeadLetterFilter, describe_error
from sourceflow.testing.conformance.stores.stores_tests import StoresTests

if TYPE_CHECKING:
    from sourceflow.testing.conformance.stores.shop import Shop

ALL = DeadLetterFilter()


class DeadLettersConformance(StoresTests):
    """Messages that were given up, kept for people."""

    @pytest.fixture
    def letters(self, shop: Shop):
        """What is kept for people."""
        return shop.stores.dead_letters

    async def test_a_saved_letter_has_an_id_and_is_found_by_it_as_it_was(
        self, shop: Shop, letters
    ) -> None:
        saved = await shop.save_letter(
            subscribers=("Orders.paid", "Sales.paid"), attributes={"type": "Pay"}
        )
        assert saved.id
        assert await letters.get(saved.id) == saved
        assert saved.subscribers == ("Orders.paid", "Sales.paid")
        assert saved.attributes == {"type": "Pay"}
        assert saved.body == b"\x00\xff"

    async def test_a_letter_is_kept_whatever_its_error_and_its_message_say(
        self, shop: Shop, letters
    ) -> None:
        saved = await shop.save_letter(
            "x" * 255,
            error=describe_error(ValueError("a\x00b\ud800c\uffff")),
            body=b'{"id": "\\u0000"}\x00',
            attributes={"note": '"\\u0000"'},
        )
        assert await letters.get(saved.id) == saved

    async def test_a_letter_that_is_not_there_is_none(self, letters) -> None:
        assert await letters.get("nobody") is None

    async def test_a_letter_is_kept_once_for_each_source_and_message_and_the_later_one_replaces(
        self, shop: Shop, letters
    ) -> None:
        first = await shop.save_letter("m-1", error="first")
        await letters.mark_replayed(first.id, shop.noon)
        again = await shop.save_letter("m-1", error="again")
        assert again.id == first.id
        assert list(await letters.query(ALL)) == [again]
        assert again.replayed_at is None

    async def test_the_same_message_from_another_source_is_another_letter(
        self, shop: Shop, letters
    ) -> None:
        one = await shop.save_letter("m-1", source="a.fifo")
        two = await shop.save_letter("m-1", source="b.fifo")
        assert one.id != two.id
        assert await letters.count(ALL) == 2

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            ({}, "cba"),
            ({"type_name": "Pay"}, "ca"),
            ({"type_name": "pay"}, ""),
            ({"reason": "Rejected"}, "b"),
            ({"reason": "EXHAUST"}, "ca"),
            ({"reason": "%"}, ""),
            ({"reason": "_"}, ""),
            ({"source": "payments.fifo"}, "ba"),
            ({"source": "payments"}, ""),
            ({"message_id": "b"}, "b"),
            ({"message_id": "nobody"}, ""),
            ({"message_id": "b", "source": "payments.fifo"}, "b"),
            ({"message_id": "b", "source": "shipping.fifo"}, ""),
            ({"message_id": "b", "source": "payments.fifo", "replayed": False}, ""),
            ({"since": 1}, "cb"),
            ({"until": 1}, "a"),
            ({"since": 1, "until": 2}, "b"),
            ({"replayed": True}, "b"),
            ({"replayed": False}, "ca"),
            ({"type_name": "Pay", "source": "payments.fifo"}, "a"),
        ],
    )
    async def test_letters_are_asked_for_by_what_they_say(
        self, shop: Shop, letters, where, found
    ) -> None:
        await shop.save_letter("a", minutes=0)
        b = await shop.save_letter("b", minutes=1, type_name="Ship", reason="Rejected")
        await shop.save_letter("c", minutes=2, source="shipping.fifo")
        await letters.mark_replayed(b.id, shop.noon)
        for bound in where.keys() & {"since", "until"}:
            where = {**where, bound: shop.noon + timedelta(minutes=where[bound])}
        asked = DeadLetterFilter(**where)
        assert [letter.message_id for letter in await letters.query(asked)] == list(found)
        assert await letters.count(asked) == len(found)

    async def test_letters_come_newest_first_whatever_the_order_they_were_saved_in(
        self, shop: Shop, letters
    ) -> None:
        for message_id, minutes in (("b", 1), ("c", 2), ("a", 0)):
            await shop.save_letter(message_id, minutes)
        assert [letter.message_id for letter in await letters.query(ALL)] == ["c", "b", "a"]

    async def test_letters_are_paged_without_a_gap_or_a_repeat(self, shop: Shop, letters) -> None:
        for number in range(5):
            await shop.save_letter(f"m-{number}", minutes=number // 2)
        pages = [await letters.query(ALL, limit=2, skip=skip) for skip in (0, 2, 4, 6)]
        assert [len(page) for page in pages] == [2, 2, 1, 0]
        paged = [letter.message_id for page in pages for letter in page]
        assert paged == [letter.message_id for letter in await letters.query(ALL)]
        assert sorted(paged) == [f"m-{number}" for number in range(5)]

    async def test_a_letter_that_was_sent_again_says_when(self, shop: Shop, letters) -> None:
        saved = await shop.save_letter()
        assert await letters.mark_replayed(saved.id, shop.noon)
        assert await letters.get(saved.id) == replace(saved, replayed_at=shop.noon)
        assert not await letters.mark_replayed("nobody", shop.noon)

    async def test_a_letter_is_deleted_once(self, shop: Shop, letters) -> None:
        saved, kept = await shop.save_letter("m-1"), await shop.save_letter("m-2")
        assert await letters.delete(saved.id)
        assert not await letters.delete(saved.id)
        assert list(await letters.query(ALL)) == [kept]

    async def test_a_deleted_letter_may_come_again(self, shop: Shop, letters) -> None:
        saved = await shop.save_letter("m-1")
        await letters.delete(saved.id)
        again = await shop.save_letter("m-1")
        assert list(await letters.query(ALL)) == [again]

    async def test_letters_older_than_a_time_are_deleted_and_counted(
        self, shop: Shop, letters
    ) -> None:
        for minutes in range(4):
            await shop.save_letter(f"m-{minutes}", minutes)
        assert await letters.delete_older_than(shop.noon + timedelta(minutes=2)) == 2
        assert await letters.delete_older_than(shop.noon) == 0
        assert [letter.message_id for letter in await letters.query(ALL)] == ["m-3", "m-2"]

    async def test_a_later_run_of_the_app_finds_the_letters(self, shop: Shop) -> None:
        saved = await shop.save_letter()
        later = await shop.as_app("shop")
        assert await later.stores.dead_letters.get(saved.id) == saved
