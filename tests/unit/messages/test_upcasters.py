"""Data of older versions, brought up to the current one by functions of the user."""

from __future__ import annotations

import contextlib
import functools
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceflow import Command, Event, Key, upcasts
from sourceflow.errors import MalformedError, UnknownTypeError
from sourceflow.messages import Codec, Registry, is_upcaster

SECRET = "s3cr3t-value"


class PlaceOrder(Command, name="orders.place", version=3, aliases=("orders.create",)):
    order_id: Key[str]
    total: Decimal
    currency: str
    weight: float = 0.0
    pieces: int = 0


class OrderPlaced(Event, version=2):
    order_id: Key[str]


@upcasts(PlaceOrder, from_version=1)
def renamed(data: dict) -> dict:
    data["total"] = data.pop("amount")
    return data


@upcasts(PlaceOrder, from_version=2)
def with_currency(data: dict) -> dict:
    return {**data, "currency": "EUR"}


@upcasts(PlaceOrder, from_version=2)
def with_dollars(data: dict) -> dict:
    return {**data, "currency": "USD"}


@upcasts(PlaceOrder, from_version=3)
def too_new(data: dict) -> dict:
    return data


@upcasts(OrderPlaced, from_version=1)
def placed(data: dict) -> dict:
    return data


def codec_of(*functions):
    registry = Registry([PlaceOrder], functions)
    assert registry.faults == ()
    return Codec(registry)


def document(data, **changes):
    whole = {
        "specversion": "1.0",
        "id": "m-1",
        "source": "/orders",
        "type": "orders.place",
        "time": "2026-07-01T12:30:15.25Z",
        "data": data,
        "kind": "command",
        "subject": "o-1",
        **changes,
    }
    return json.dumps(whole).encode()


FIRST = {"order_id": "o-1", "amount": "9.90"}
SECOND = {"order_id": "o-1", "total": "9.90"}
CURRENT = {"order_id": "o-1", "total": "9.90", "currency": "EUR"}


@pytest.mark.parametrize("hint", [None, "orders.place"])
@pytest.mark.parametrize(
    ("version", "data"), [({}, FIRST), ({"dataversion": 1}, FIRST), ({"dataversion": 2}, SECOND)]
)
def test_any_older_version_is_brought_up_to_the_current_one(version, data, hint):
    codec = codec_of(renamed, with_currency)

    read = codec.decode(document(data, **version), type_hint=hint)

    assert read.message == PlaceOrder(order_id="o-1", total=Decimal("9.90"), currency="EUR")


@pytest.mark.parametrize("hint", [None, "orders.place"])
def test_the_current_version_passes_by_all_upcasters(hint):
    codec = codec_of(renamed, with_currency)
    data = {**CURRENT, "currency": "CLP"}

    read = codec.decode(document(data, dataversion=3), type_hint=hint)

    assert read.message.currency == "CLP"


@pytest.mark.parametrize("hint", [None, "orders.place"])
def test_data_that_fits_as_it_is_goes_through_its_upcasters_all_the_same(hint):
    codec = codec_of(renamed, with_dollars)

    read = codec.decode(document(CURRENT, dataversion=2), type_hint=hint)

    assert read.message.currency == "USD"


def test_a_type_without_upcasters_is_read_as_before():
    read = codec_of().decode(document(CURRENT, dataversion=1), type_hint="orders.place")

    assert read.message.currency == "EUR"


def test_a_higher_version_stays_unknown():
    with pytest.raises(UnknownTypeError, match="in version 4"):
        codec_of(renamed, with_currency).decode(document(CURRENT, dataversion=4))


def test_headers_and_an_old_name_stand_in_nobodys_way():
    codec = codec_of(renamed, with_currency)

    read = codec.decode(document(FIRST, type="orders.create", tenant="acme"))

    assert (read.message.currency, read.headers) == ("EUR", {"tenant": "acme"})


def test_data_without_metadata_is_brought_up_likewise():
    codec = codec_of(renamed, with_currency)

    read = codec.decode_data("orders.place", 1, json.dumps(FIRST).encode())

    assert read == PlaceOrder(order_id="o-1", total=Decimal("9.90"), currency="EUR")


@pytest.mark.parametrize(
    "number",
    ["1e60", "0.12345678901234567890123", "9.90", "12345678901234567890123456789", "-0.1", "3"],
)
def test_a_number_reaches_a_decimal_as_it_would_without_upcasters(number):
    data = b'{"order_id": "o-1", "total": %b, "currency": "EUR"}' % number.encode()

    read = codec_of(renamed, with_currency).decode_data("orders.place", 2, data)

    assert read == codec_of().decode_data("orders.place", 3, data)
    assert read.total == Decimal(number)


@given(st.integers(-(2**200), 2**200), st.floats(allow_nan=False, allow_infinity=False))
def test_whole_numbers_and_floats_come_out_as_they_went_in(pieces, weight):
    codec = codec_of(renamed, with_currency)
    data = {**SECOND, "pieces": pieces, "weight": weight}

    read = codec.decode(document(data, dataversion=2)).message

    assert (read.pieces, read.weight) == (pieces, weight)


def test_a_float_is_a_float_and_a_number_beyond_floats_a_decimal():
    seen = []

    @upcasts(OrderPlaced, from_version=1)
    def look(data: dict) -> dict:
        seen.append(data)
        return data

    codec = Codec(Registry([OrderPlaced], [look]))
    data = b'{"order_id": "o-1", "a": 1.50, "b": 0.12345678901234567890123, "c": 1e400}'
    codec.decode_data("OrderPlaced", 1, data)

    assert seen == [
        {
            "order_id": "o-1",
            "a": 1.5,
            "b": Decimal("0.12345678901234567890123"),
            "c": Decimal("1e400"),
        }
    ]
    assert [type(seen[0][name]) for name in "abc"] == [float, Decimal, Decimal]


def test_an_upcaster_may_put_in_what_json_has_no_word_for():
    @upcasts(PlaceOrder, from_version=1)
    def first(data: dict) -> dict:
        return data

    @upcasts(PlaceOrder, from_version=2)
    def second(data: dict) -> dict:
        return {"order_id": data["order_id"], "total": Decimal("1.10"), "currency": "EUR"}

    read = codec_of(first, second).decode(document(FIRST)).message

    assert str(read.total) == "1.10"


def raising(error):
    @upcasts(PlaceOrder, from_version=2)
    def spoiled(data: dict) -> dict:
        if isinstance(error, Exception):
            raise error
        return error

    return spoiled


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError(SECRET), "upcaster raising.<locals>.spoiled raised KeyError in line"),
        (RecursionError(SECRET), "raised RecursionError"),
        (None, "returned NoneType, no dict"),
        ([SECRET], "returned list, no dict"),
        ({"order_id": object()}, "the upcasters of orders.place made data that cannot be written"),
        ({"order_id": SECRET, "total": float("nan"), "currency": ""}, "it does not fit: "),
        # msgspec before 0.23 writes what its reader refuses, later ones refuse to write it
        (
            {"order_id": SECRET, "total": Decimal("NaN"), "currency": ""},
            "not JSON that can be|made data that cannot be written",
        ),
        ({"order_id": SECRET, "total": "1", "currency": "\uffff"}, "currency holds a character"),
        ({"order_id": SECRET, "total": "1", "currency": ""}, "its subject is not its key"),
        ({"order_id": "o-1", "total": "1"}, "missing required field `currency`"),
    ],
)
@pytest.mark.parametrize("hint", [None, "orders.place"])
def test_what_an_upcaster_gets_wrong_is_malformed_and_its_values_are_not_told(error, told, hint):
    codec = codec_of(renamed, raising(error))

    with pytest.raises(MalformedError) as caught:
        codec.decode(document(SECOND, dataversion=2), type_hint=hint)

    assert any(each in str(caught.value) for each in told.split("|"))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "data", [b"[]", b"nonsense", b"1", b'{"a": 1e99999999999999999999}', b"[" * 5000, b""]
)
def test_data_that_is_no_object_is_malformed(data):
    with pytest.raises(MalformedError):
        codec_of(renamed, with_currency).decode_data("orders.place", 1, data)


@given(st.binary() | st.binary().map(lambda value: b'{"amount": %b}' % value))
def test_any_data_is_read_or_refused(data):
    with contextlib.suppress(MalformedError):
        codec_of(renamed, with_currency).decode_data("orders.place", 1, data)


@pytest.mark.parametrize(
    ("functions", "faults"),
    [
        ([placed], ["placed upcasts OrderPlaced from version 1, and no component or route"]),
        (
            [renamed, with_currency, too_new],
            ["too_new upcasts orders.place from version 3, and 3 is its current version"],
        ),
        (
            [renamed, with_currency, with_dollars],
            ["with_dollars upcasts orders.place from version 2, and so does with_currency"],
        ),
        ([renamed], ["no function upcasts orders.place from version 2: there are some from 1"]),
        (
            [with_currency, with_currency],
            ["no function upcasts orders.place from version 1: there are some from 2"],
        ),
    ],
)
def test_an_upcaster_that_does_not_fit_is_a_fault_that_names_it(functions, faults):
    found = Registry([PlaceOrder], functions).faults

    assert len(found) == len(faults)
    assert all(fault in told for fault, told in zip(faults, found, strict=True))


@pytest.mark.parametrize("wrong", [str, Command, "orders.place", None])
def test_only_messages_have_upcasters(wrong):
    with pytest.raises(TypeError, match="@upcasts names a message"):
        upcasts(wrong, from_version=1)


@pytest.mark.parametrize("version", [0, -1, True, "1", None])
def test_versions_are_whole_numbers_from_1(version):
    with pytest.raises(ValueError, match="whole number from 1"):
        upcasts(PlaceOrder, from_version=version)


async def coroutine(data):
    return data


@pytest.mark.parametrize("wrong", [coroutine, PlaceOrder, functools.partial(renamed), None])
def test_only_plain_functions_are_upcasters(wrong):
    with pytest.raises(TypeError, match="marks plain functions"):
        upcasts(PlaceOrder, from_version=1)(wrong)


def test_a_marked_function_is_still_a_function():
    assert is_upcaster(renamed)
    assert not is_upcaster(coroutine)
    assert renamed({"amount": 1}) == {"total": 1}
