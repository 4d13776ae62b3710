"""Queries: each store sorts, compares and pages as Python does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import pytest_asyncio

from sourceflow import field
from sourceflow.bus.changes import Changes
from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.errors import InvalidMessageError
from sourceflow.testing.conformance.stores.stores_tests import StoresTests

if TYPE_CHECKING:
    from sourceflow.testing.conformance.stores.shop import Shop

EAST = timezone(timedelta(hours=5, minutes=30))

SORTED: dict[str, list[Any]] = {
    "text": ["", "\0", "\0a", "\1", "\1\2", "\2", " ", "B", "a", "a\0", "a\1", "ab", "b", "Ä", "ä", "Ω",
             "\ud7ff", "\ue000", "\U00010000", "\U0010ffff"],
    "number": [-(10**40), -(2**63) - 1, -(2**63), -11, -10, -2, -1, 0, 1, 2, 9, 10, 99, 100, 2**63, 10**40],
    "small": [-100, -2, -1, 0, 1, 2, 10, 100],
    "ratio": [-1e300, -1.5, -1.0, -5e-324, 0.0, 5e-324, 0.1, 0.25, 1.0, 9.0, 10.0, 1e300],
    "total": [Decimal(each) for each in (
        "-1E+64", "-100", "-99.5", "-10", "-9", "-1.01", "-1", "-0.1", "-1E-64", "0", "1E-64", "0.09",
        "0.1", "0.11", "1", "1.000000000000000000000000000000000001", "9", "10", "99", "100", "1E+64")],
    "flag": [False, True],
    "seen": [
        datetime(1, 1, 1, tzinfo=EAST),
        datetime(1969, 12, 31, 23, tzinfo=UTC),
        datetime(2026, 1, 1, 0, tzinfo=EAST),
        datetime(2025, 12, 31, 19, tzinfo=UTC),
        datetime(2025, 12, 31, 19, 0, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
    "day": [date(1, 1, 1), date(999, 12, 31), date(2025, 12, 31), date(2026, 1, 1), date(9999, 12, 31)],
    "ref": [UUID(int=each) for each in (0, 1, 255, 2**64, 2**127, 2**128 - 1)],
    "color": ["blue", "red"],
    "level": [1, 10],
}  # fmt: skip
"""Values of each kind, in their order."""

FIELDS = list(SORTED)


def keys(rows):
    return [row.id for row in rows]


def sample(shop, name, index, value):
    if value is not None and name in {"color", "level"}:
        value = {"color": shop.Color, "level": shop.Level}[name](value)
    return shop.Sample(
        id=f"k{index:02d}" if value is not None else f"n{index:02d}", **{name: value}
    )


async def paged(shop, limit, row_type, **options):
    found, after = [], None
    while page := await shop.query(row_type, limit=limit, after=after, **options):
        assert len(page) <= limit
        found += page
        after = page[-1]
    return found


async def nothing_left(_events):
    return {}


class QueriesConformance(StoresTests):
    """Queries: each store sorts, compares and pages as Python does."""

    @pytest_asyncio.fixture
    async def samples(self, shop: Shop):
        """For each field: two rows without a value, and a row for each value, in no order."""

        async def fill(name):
            values = [*SORTED[name], None, None]
            rows = [sample(shop, name, index, value) for index, value in enumerate(values)]
            rows.sort(key=lambda row: row.id[::-1])
            await shop.list(*rows)
            return [f"k{index:02d}" for index in range(len(SORTED[name]))]

        return fill

    @pytest.mark.parametrize("name", FIELDS)
    async def test_rows_sort_as_their_values_do_and_none_comes_first(
        self, shop: Shop, samples, name
    ) -> None:
        ordered = await samples(name)
        none = [f"n{len(ordered):02d}", f"n{len(ordered) + 1:02d}"]
        assert keys(await shop.query(shop.Sample, order_by=name)) == [*none, *ordered]
        assert keys(await shop.query(shop.Sample, order_by=f"-{name}")) == [*none, *ordered][::-1]

    @pytest.mark.parametrize("name", FIELDS)
    async def test_pages_go_on_behind_their_last_row(self, shop: Shop, samples, name) -> None:
        await samples(name)
        for order_by in (name, f"-{name}"):
            whole = await shop.query(shop.Sample, order_by=order_by)
            for limit in (1, 2, 3):
                assert await paged(shop, limit, shop.Sample, order_by=order_by) == whole

    @pytest.mark.parametrize("name", FIELDS)
    async def test_values_are_compared_as_python_compares_them(
        self, shop: Shop, samples, name
    ) -> None:
        ordered = await samples(name)
        none = [f"n{len(ordered):02d}", f"n{len(ordered) + 1:02d}"]
        middle = len(ordered) // 2
        value, this = SORTED[name][middle], field(name)
        found = {
            "==": this == value,
            "!=": this != value,
            "<": this < value,
            "<=": this <= value,
            ">": this > value,
            ">=": this >= value,
            "not ==": ~(this == value),
            "not <": ~(this < value),
            "not >=": ~(this >= value),
            "in": this.in_([value, SORTED[name][0]]),
            "in, or none": this.in_([value, None]),
            "not in": ~this.in_([value]),
            "in nothing": this.in_([]),
            "not in nothing": ~this.in_([]),
            "none": this.is_none(),
            "== none": this == None,  # noqa: E711 - what is tested
            "some": ~this.is_none(),
        }
        answers = {
            name: keys(await shop.query(shop.Sample, where=where)) for name, where in found.items()
        }
        others = [key for key in ordered if key != ordered[middle]]
        assert answers == {
            "==": [ordered[middle]],
            "!=": [*others, *none],
            "<": ordered[:middle],
            "<=": ordered[: middle + 1],
            ">": ordered[middle + 1 :],
            ">=": ordered[middle:],
            "not ==": [*others, *none],
            "not <": [*ordered[middle:], *none],
            "not >=": [*ordered[:middle], *none],
            "in": [ordered[0], ordered[middle]],
            "in, or none": [ordered[middle], *none],
            "not in": [*others, *none],
            "in nothing": [],
            "not in nothing": [*ordered, *none],
            "none": none,
            "== none": none,
            "some": ordered,
        }

    async def test_conditions_are_combined(self, shop: Shop) -> None:
        await shop.list(
            shop.Sample(id="a", number=1, text="x", flag=True),
            shop.Sample(id="b", number=2, text="x"),
            shop.Sample(id="c", number=3, text="y", flag=False),
            shop.Sample(id="d", text="y"),
        )

        async def found(where):
            return "".join(keys(await shop.query(shop.Sample, where=where)))

        number, text, flag = field("number"), field("text"), field("flag")
        assert await found((number > 1) & (text == "x")) == "b"
        assert await found((number > 1) | (text == "x")) == "abc"
        assert await found(~((number > 1) & (text == "x"))) == "acd"
        assert await found(~((number > 1) | (text == "x"))) == "d"
        assert await found(~(flag == True)) == "bcd"  # noqa: E712 - what is tested
        assert await found(((number == 1) | (number == 3)) & ~(flag.is_none())) == "ac"
        assert await found(~~(number == 1)) == "a"
        assert await found((field("id") > "a") & (field("id") <= "c")) == "bc"
        assert await found({"text": "x", "flag": None}) == "b"
        assert await found({}) == "abcd"

    @pytest.mark.parametrize("prefix", ["", "a", "ab", "\0", "a\0", "\ud7ff", "\U0010ffff", "Ä"])
    async def test_texts_begin_with_what_is_asked_for(self, shop: Shop, samples, prefix) -> None:
        ordered = await samples("text")
        none = [f"n{len(ordered):02d}", f"n{len(ordered) + 1:02d}"]
        beginning = [each.startswith(prefix) for each in SORTED["text"]]
        where = field("text").startswith(prefix)
        assert keys(await shop.query(shop.Sample, where=where)) == [
            key for key, begins in zip(ordered, beginning, strict=True) if begins
        ]
        assert keys(await shop.query(shop.Sample, where=~where)) == [
            *(key for key, begins in zip(ordered, beginning, strict=True) if not begins),
            *none,
        ]

    async def test_a_condition_and_an_order_by_another_field_are_paged(self, shop: Shop) -> None:
        await shop.list(
            *(
                shop.Sample(id=f"{n:02d}", number=-n, flag=n % 2 == 0, text="x" * n)
                for n in range(20)
            )
        )
        where = (field("flag") == True) & (field("text") > "xx")  # noqa: E712 - a condition
        found = await paged(shop, 3, shop.Sample, where=where, order_by="number")
        assert keys(found) == ["18", "16", "14", "12", "10", "08", "06", "04"]

    async def test_keys_that_are_numbers_sort_by_number(self, shop: Shop) -> None:
        numbers = [-(2**63), -10, -9, 0, 2, 10, 100, 2**63 - 1]
        await shop.list(*(shop.Numbered(id=each) for each in (numbers[::2] + numbers[1::2])))
        assert keys(await shop.query(shop.Numbered)) == numbers
        assert keys(await shop.query(shop.Numbered, order_by="country")) == numbers
        assert keys(await paged(shop, 3, shop.Numbered, order_by="-country")) == numbers[::-1]
        assert keys(await shop.query(shop.Numbered, where=field("id") > 9)) == numbers[-3:]

    async def test_keys_that_are_uuids_sort_by_value(self, shop: Shop) -> None:
        ids = [UUID(int=each) for each in (1, 2**40, 2**100, 2**128 - 1)]
        await shop.list(*(shop.Tagged(id=each) for each in reversed(ids)))
        assert keys(await paged(shop, 1, shop.Tagged, order_by="country")) == ids
        assert keys(await shop.query(shop.Tagged, where=field("id").in_(ids[:2]))) == ids[:2]
        assert await shop.stores.find(shop.Tagged, ids[1]) == shop.Tagged(id=ids[1])

    async def test_keys_that_are_texts_sort_by_code_points(self, shop: Shop) -> None:
        await shop.list(*(shop.Listing(id=each) for each in SORTED["text"][:0:-1]))
        assert keys(await paged(shop, 4, shop.Listing)) == SORTED["text"][1:]
        assert keys(await paged(shop, 4, shop.Listing, order_by="country")) == SORTED["text"][1:]

    @pytest.mark.parametrize("key", [5, True, UUID(int=1), "\ud800", "", None])
    async def test_there_is_no_row_with_a_key_of_another_kind(self, shop: Shop, key) -> None:
        await shop.list(shop.Listing(id="5"))
        assert await shop.stores.find(shop.Listing, key) is None

    @pytest.mark.parametrize("key", ["5", 2**63])
    async def test_there_is_no_row_with_a_number_no_key_can_be(self, shop: Shop, key) -> None:
        await shop.list(shop.Numbered(id=5), shop.Numbered(id=1))
        assert await shop.stores.find(shop.Numbered, key) is None

    async def test_a_text_with_a_null_character_is_kept_in_every_place(self, shop: Shop) -> None:
        key, name = "a\0b", "c\0d\1"
        await shop.list(shop.Listing(id=key, country=name))
        stored = await shop.stores.find(shop.Listing, key)
        assert stored == shop.Listing(id=key, country=name)
        assert await shop.query(where={"id": key, "country": name}) == [stored]
        assert await shop.query(where={"country": "c"}) == []

        change = shop.handled(
            0, key=key, entity=shop.Order(id=key), events=[(shop.paid(key), None)]
        )
        await shop.commit(change)
        assert (await shop.head(key)).entity == shop.Order(id=key)
        assert [each.envelope.key for each in await shop.commands(key)] == [key]
        assert [each.envelope.key for each in await shop.events()] == [key]
        letter = await shop.save_letter(error=f"OSError: {name}", type_name=name)
        assert [
            each.error for each in await shop.stores.dead_letters.query(DeadLetterFilter())
        ] == [f"OSError: {name}"]
        assert letter.error == f"OSError: {name}"

    @pytest.mark.parametrize("text", ["x" * 1_200, "\0" * 600, "é" * 600])
    async def test_the_longest_text_of_an_index_is_found(self, shop: Shop, text) -> None:
        key = text[: len(text) * 5 // 6]  # of a key, 1,000 bytes are the most
        await shop.list(shop.Sample(id=key, text=text))
        (row,) = await shop.query(shop.Sample, where={"text": text}, order_by="text")
        assert row.text == text
        assert await shop.query(shop.Sample, order_by="text", after=row) == []

    @pytest.mark.parametrize(
        "fields",
        [
            {"text": "x" * 1_201},
            {"text": "\0" * 601},
            {"text": "é" * 601},
            {"number": 10**1_000},
        ],
    )
    async def test_what_no_index_could_take_is_refused_before_it_is_written(
        self, shop: Shop, fields
    ) -> None:
        row = shop.Sample(**{"id": "a", **fields})
        (name,) = fields
        with pytest.raises(InvalidMessageError, match=rf"Sample: {name} "):
            await shop.commit(Changes(rows=[shop.put(row)]))
        shadow = await shop.stores.shadow(shop.Sample, resume=False)
        with pytest.raises(InvalidMessageError):
            await shadow.save({row.id: row}, position=0)
        assert await shop.query(shop.Sample) == []

    async def test_the_largest_number_of_an_index_is_found(self, shop: Shop) -> None:
        numbers = [-(10**1_000) + 1, 0, 10**1_000 - 1]
        await shop.list(*(shop.Sample(id=f"k{each % 7}", number=each) for each in numbers))
        assert [each.number for each in await shop.query(shop.Sample, order_by="number")] == numbers

    async def test_a_changed_row_is_found_by_its_new_values_only(self, shop: Shop) -> None:
        await shop.list(shop.Listing(id="a", country="Chile"))
        version = await shop.version("a")
        row = shop.Listing(id="a", country="Peru", total=Decimal(5))
        await shop.commit(Changes(rows=[shop.put(row, version)]))
        assert await shop.query(where={"country": "Chile"}) == []
        assert await shop.query(where={"country": "Peru", "total": 5}) == [row]

    async def test_a_rebuilt_row_is_found_by_its_new_values(self, shop: Shop) -> None:
        await shop.list(shop.Listing(id="a", country="Chile"))
        row = shop.Listing(id="a", country="Peru")
        shadow = await shop.stores.shadow(shop.Listing, resume=False)
        await shadow.save({"a": row}, position=0)
        await shadow.swap(nothing_left, types=[], claims=())
        assert await shop.query(where=field("country") >= "D") == [row]

    async def test_rows_that_are_being_built_are_found_by_keys_of_any_kind(
        self, shop: Shop
    ) -> None:
        kinds: dict[type[Any], tuple[Any, ...]] = {
            shop.Listing: ("a\0", "a\1", "ä"),
            shop.Tagged: (UUID(int=1), UUID(int=2**100)),
            shop.Numbered: (-5, 2**62),
        }
        for row_type, row_keys in kinds.items():
            rows = {key: row_type(id=key) for key in row_keys}
            shadow = await shop.stores.shadow(row_type, resume=False)
            await shadow.save(rows, position=0)
            assert await shadow.load(list(rows)) == rows

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 499])
    async def test_lists_of_any_length_are_looked_through(self, shop: Shop, count) -> None:
        await shop.list(shop.Sample(id="a", number=0), shop.Sample(id="b", number=1_000))
        found = await shop.query(shop.Sample, where=field("number").in_(range(count)))
        assert keys(found) == (["a"] if count else [])

    async def test_a_limit_may_be_larger_than_any_table(self, shop: Shop) -> None:
        await shop.list(shop.Sample(id="a"))
        assert keys(await shop.query(shop.Sample, limit=10**30)) == ["a"]
