from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import pytest
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from sourceflow import Command, Envelope, Event, Key, ViewModel
from sourceflow.errors import (
    InvalidMessageError,
    MalformedError,
    UnknownTypeError,
    WrongKindError,
)
from sourceflow.messages import Codec, Registry
from sourceflow.messages.limits import LimitError, check_text

NOW = datetime(2026, 7, 1, 12, 30, 15, 250000, tzinfo=UTC)
SECRET = "s3cr3t-value"


class Line(msgspec.Struct, frozen=True):
    product: int
    price: Decimal


class PlaceOrder(Command, name="orders.place", version=2, aliases=("orders.create",)):
    order_id: Key[str]
    total: Decimal
    note: str | None = None
    lines: tuple[Line, ...] = ()
    weights: list[float] = msgspec.field(default_factory=list)
    due: datetime | None = None


class OrderPlaced(Event):
    order_id: Key[int]
    total: Decimal


class Checked(Command):
    id: Key[str]
    amount: int

    def __post_init__(self):
        if self.amount > 100:
            raise ValueError(f"{self.amount} is too much")


class Row(ViewModel):
    id: Key[str]
    price: Decimal


class Stranger(Command):
    id: Key[str]


@pytest.fixture(scope="module")
def codec():
    return Codec(Registry([PlaceOrder, OrderPlaced, Checked]))


def envelope(message, **changes):
    fields = {"id": "m-1", "source": "/orders", "time": NOW, "correlation_id": "c-1", **changes}
    return Envelope(message=message, **fields)


def document(**changes):
    whole = {
        "specversion": "1.0",
        "id": "m-1",
        "source": "/orders",
        "type": "orders.place",
        "time": "2026-07-01T12:30:15.25Z",
        "data": {"order_id": "o-1", "total": "9.90"},
        "kind": "command",
        **changes,
    }
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()


def test_a_command_is_written_as_a_cloudevents_document(codec):
    message = PlaceOrder(order_id="o-1", total=Decimal("9.90"), lines=(Line(1, Decimal(3)),))

    assert codec.encode(envelope(message, causation_id="m-0", depth=3)) == (
        b'{"specversion":"1.0","id":"m-1","source":"/orders","type":"orders.place",'
        b'"time":"2026-07-01T12:30:15.250000Z",'
        b'"data":{"order_id":"o-1","total":"9.90","note":null,'
        b'"lines":[{"product":1,"price":"3"}],"weights":[],"due":null},'
        b'"subject":"o-1","datacontenttype":"application/json","kind":"command",'
        b'"dataversion":2,"correlationid":"c-1","causationid":"m-0","depth":3}'
    )


def test_an_event_carries_its_number_and_its_headers(codec):
    message = OrderPlaced(order_id=7, total=Decimal(1))

    assert codec.encode(envelope(message, sequence=4, headers={"tenant": 'a"b'})) == (
        b'{"specversion":"1.0","id":"m-1","source":"/orders","type":"OrderPlaced",'
        b'"time":"2026-07-01T12:30:15.250000Z","data":{"order_id":7,"total":"1"},'
        b'"subject":"7","datacontenttype":"application/json","kind":"event",'
        b'"dataversion":1,"entitysequence":4,"correlationid":"c-1","depth":0,'
        b'"tenant":"a\\"b"}'
    )


def test_the_time_is_written_in_utc(codec):
    east = NOW.astimezone(timezone(timedelta(hours=5)))
    written = codec.encode(envelope(OrderPlaced(order_id=1, total=Decimal(1)), time=east))

    assert json.loads(written)["time"] == "2026-07-01T12:30:15.250000Z"


@pytest.mark.parametrize("hint", [None, "orders.place"])
@pytest.mark.parametrize("headers", [{}, {"tenant": "a"}])
def test_what_is_written_is_read_again(codec, hint, headers):
    message = PlaceOrder(order_id="o-1", total=Decimal("9.90"), due=NOW)
    sent = envelope(message, causation_id="m-0", depth=3, headers=headers)

    assert codec.decode(codec.encode(sent), type_hint=hint, kind="command") == sent


def test_the_least_document_is_read(codec):
    read = codec.decode(document())

    assert read == envelope(PlaceOrder(order_id="o-1", total=Decimal("9.90")), correlation_id="m-1")


def test_the_time_is_read_in_utc(codec):
    read = codec.decode(document(time="2026-07-01T17:30:15.25+05:00"))

    assert read.time == NOW
    assert read.time.utcoffset() == timedelta(0)


def test_an_alias_is_read(codec):
    body = document(type="orders.create")

    assert isinstance(codec.decode(body, type_hint="orders.create").message, PlaceOrder)


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (document(dataversion=7), 7),
        (document(), 1),
        (document(type="Nobody", data=None, dataversion=2), 2),
        (document(dataversion=0), None),
        (b"{", None),
        (b"\xff", None),
        (b"[" * 5000, None),
    ],
)
def test_the_version_of_a_document_is_told_where_it_can_be_read(codec, body, version):
    assert codec.version_in(body) == version


def test_an_older_version_is_read(codec):
    assert codec.decode(document(dataversion=1)).message.order_id == "o-1"


@pytest.mark.parametrize("hint", [None, "orders.place"])
def test_fields_that_a_newer_sender_added_are_passed_over(codec, hint):
    body = document(data={"order_id": "o-1", "total": "1", "colour": "red"})

    assert codec.decode(body, type_hint=hint).message.total == Decimal(1)


@pytest.mark.parametrize("hint", [None, "orders.place"])
def test_of_a_repeated_attribute_the_last_counts(codec, hint):
    body = document().replace(b'"id": "m-1"', b'"id": "m-0", "id": "m-2"')

    assert codec.decode(body, type_hint=hint).id == "m-2"


def test_attributes_of_cloudevents_that_are_not_used_are_kept(codec):
    assert codec.decode(document(dataschema="urn:x")).headers == {"dataschema": "urn:x"}


DEEP = b'{"specversion":' * 10_000

MALFORMED = {
    "nothing": b"",
    "no JSON": b"hello " + SECRET.encode(),
    "cut short": document()[:-1],
    "trailing": document() + b"x",
    "an array": b"[1]",
    "a text": json.dumps(SECRET).encode(),
    "null": b"null",
    "an empty object": b"{}",
    "invalid UTF-8": document(id="@").replace(b"@", b"\xff\xfe"),
    "invalid UTF-8 in the data": document(data={"order_id": "@", "total": "1"}).replace(
        b"@", b"\xff"
    ),
    "nested 10,000 deep": DEEP,
    "nested arrays": b"[" * 10_000,
    "nested in a header": document()[:-1] + b',"tenant":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "nested in data": document(data="@").replace(b'"@"', b'{"order_id":' * 10_000),
    "nested in an unknown field": document(data="@").replace(
        b'"@"', b'{"order_id":"o-1","total":"1","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    ),
    "NaN": document(data="@").replace(b'"@"', b'{"order_id":"o-1","total":NaN}'),
    "no specversion": document(specversion=...),
    "another specversion": document(specversion="0.3"),
    "no id": document(id=...),
    "an empty id": document(id=""),
    "an id of two lines": document(id=f"a\n{SECRET}"),
    "a long id": document(id="i" * 81),
    "an id that is a number": document(id=1),
    "no source": document(source=...),
    "an empty source": document(source=""),
    "a long source": document(source="s" * 256),
    "a source that is no text": document(source="\ufffe"),
    "a source with NUL": document(source="/a\0b"),
    "a source of two lines": document(source=f"/a\n{SECRET}"),
    "no type": document(type=...),
    "an empty type": document(type=""),
    "a long type": document(type="t" * 256),
    "no time": document(time=...),
    "a naive time": document(time="2026-07-01T12:30:15"),
    "no time at all": document(time=SECRET),
    "a time before time": document(time="0001-01-01T00:00:00+02:00"),
    "no kind": document(kind=...),
    "another kind": document(kind=SECRET),
    "no data": document(data=...),
    "data null": document(data=None),
    "data of another shape": document(data=[SECRET]),
    "a field missing": document(data={"order_id": "o-1"}),
    "a field of another type": document(data={"order_id": "o-1", "total": [SECRET]}),
    "a key that is null": document(data={"order_id": None, "total": "1"}),
    "an empty key": document(data={"order_id": "", "total": "1"}),
    "a key that is too long": document(data={"order_id": "x" * 1_001, "total": "1"}),
    "a subject that is not the key": document(subject=SECRET),
    "version 0": document(dataversion=0),
    "a version that is a text": document(dataversion="1"),
    "a version that is huge": document(dataversion=10**30),
    "a number below 1": document(entitysequence=0),
    "a depth below 0": document(depth=-1),
    "a depth that is huge": document(depth=10**30),
    "an empty correlation id": document(correlationid=""),
    "a correlation id of two lines": document(correlationid=f"a\n{SECRET}"),
    "a long causation id": document(causationid="c" * 81),
    "a header that is a number": document(tenant=1),
    "a header with a control character": document(tenant=f"a\n{SECRET}"),
    "a header with a surrogate": document()[:-1] + b',"tenant":"\\ud800"}',
    "a header with a bad name": document(**{f"{SECRET}!": "a"}),
    "a decimal NaN": document(data={"order_id": "o-1", "total": "NaN"}),
    "a decimal Infinity": document(data={"order_id": "o-1", "total": "Infinity"}),
    "39 digits": document(data={"order_id": "o-1", "total": "1" * 39}),
    "an exponent of 65": document(data={"order_id": "o-1", "total": "1E+65"}),
    "an exponent of -65": document(data={"order_id": "o-1", "total": "1E-65"}),
    "an exponent beyond all": document(data={"order_id": "o-1", "total": "1E+999999999999"}),
    "a float that is too large": document(data="@").replace(
        b'"@"', b'{"order_id":"o-1","total":"1","weights":[1e999]}'
    ),
    "a number of 5,000 digits": document(data="@").replace(
        b'"@"', b'{"order_id":"o-1","total":"1","weights":[' + b"9" * 5000 + b"]}"
    ),
    "U+FFFE": document(data={"order_id": "o-1", "total": "1", "note": "a\ufffe"}),
    "U+FFFF": document(data={"order_id": "o-\uffff", "total": "1"}),
    "a lone surrogate": document(data={"order_id": "o-1", "total": "1", "note": "\ud800x"}),
    "a naive datetime": document(
        data={"order_id": "o-1", "total": "1", "due": "2026-07-01T12:30:15"}
    ),
}


@pytest.mark.parametrize("hint", [None, "orders.place"])
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_ours_is_malformed_and_its_values_are_not_told(codec, body, hint):
    with pytest.raises(MalformedError) as caught:
        codec.decode(body, type_hint=hint)

    assert SECRET not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("body", [MALFORMED["no JSON"], b"{}", DEEP])
def test_malformed_data_and_state_are_refused_likewise(codec, body):
    with pytest.raises(MalformedError):
        codec.decode_data("orders.place", 2, body)
    with pytest.raises(MalformedError):
        codec.decode_state(Row, body)


def test_what_a_class_says_of_a_value_is_not_told(codec):
    body = document(type="Checked", data={"id": "a", "amount": 12345})

    with pytest.raises(MalformedError) as caught:
        codec.decode(body)

    assert str(caught.value) == "it does not fit: a check of its own class refuses it"


def test_the_place_of_what_does_not_fit_is_told(codec):
    lines = [{"product": 1, "price": "1"}, {"product": SECRET, "price": "1"}]
    body = document(data={"order_id": "o-1", "total": "1", "lines": lines})

    with pytest.raises(MalformedError) as caught:
        codec.decode(body)

    assert str(caught.value) == (
        "it does not fit: Expected `int`, got `str` - at `$.lines[1].product`"
    )


@pytest.mark.parametrize("hint", [None, "Nobody"])
def test_a_type_that_nobody_registered_is_unknown(codec, hint):
    with pytest.raises(UnknownTypeError) as caught:
        codec.decode(document(type="Nobody"), type_hint=hint)

    assert (caught.value.type_name, caught.value.version) == ("Nobody", None)


@pytest.mark.parametrize("hint", [None, "orders.place"])
def test_a_higher_version_is_unknown_whatever_its_data(codec, hint):
    with pytest.raises(UnknownTypeError) as caught:
        codec.decode(document(dataversion=3, data=[1]), type_hint=hint)

    assert (caught.value.type_name, caught.value.version) == ("orders.place", 3)


@pytest.mark.parametrize("kind", ["command", "event"])
def test_a_kind_that_is_not_taken_here_is_refused(codec, kind):
    message = {
        "event": PlaceOrder(order_id="o-1", total=Decimal(1)),
        "command": OrderPlaced(order_id=1, total=Decimal(1)),
    }[kind]

    with pytest.raises(WrongKindError):
        codec.decode(codec.encode(envelope(message)), kind=kind)


def test_an_unknown_type_of_the_wrong_kind_is_of_the_wrong_kind(codec):
    # no newer instance will ever take it here, so that it need not wait for one
    with pytest.raises(WrongKindError):
        codec.decode(document(type="Nobody", kind="event"), kind="command")


@pytest.mark.parametrize("hint", [None, "orders.place"])
def test_a_document_that_gives_a_type_another_kind_is_refused(codec, hint):
    with pytest.raises(WrongKindError):
        codec.decode(document(kind="event"), type_hint=hint)


@pytest.mark.parametrize("hint", ["OrderPlaced", "orders.create", "Nobody"])
def test_a_type_beside_the_document_must_be_the_one_inside(codec, hint):
    with pytest.raises(MalformedError, match="beside"):
        codec.decode(document(), type_hint=hint)


def test_a_type_beside_an_unknown_one_inside_is_malformed(codec):
    with pytest.raises(MalformedError, match="beside"):
        codec.decode(document(type="Nobody"), type_hint="orders.place")


def test_data_is_written_without_metadata_and_read_again(codec):
    message = OrderPlaced(order_id=1, total=Decimal("1.0"))
    written = codec.encode_data(message)

    assert written == b'{"order_id":1,"total":"1.0"}'
    assert codec.decode_data("OrderPlaced", 1, written) == message


def test_data_of_an_unknown_type_is_not_read(codec):
    with pytest.raises(UnknownTypeError):
        codec.decode_data("Stranger", 1, b"{}")


def test_state_is_written_and_read_again(codec):
    row = Row(id="a", price=Decimal("0.10"))

    assert codec.decode_state(Row, codec.encode_state(row)) == row


def test_state_that_was_changed_past_its_constructor_is_checked_when_written(codec):
    row = msgspec.structs.replace(Row(id="a", price=Decimal(1)), price="1")

    with pytest.raises(InvalidMessageError, match="Row: Expected `decimal`, got `str`"):
        codec.encode_state(row)


def test_a_message_that_was_changed_past_its_constructor_is_checked_when_sent(codec):
    message = PlaceOrder(order_id="o-1", total=Decimal(1), weights=[1.0])
    message.weights.append(float("nan"))

    with pytest.raises(InvalidMessageError, match="weights is not a finite number"):
        codec.encode(envelope(message))


def test_a_number_that_python_will_not_write_is_refused_at_send(codec):
    line = Line(10**5000, Decimal(1))
    message = PlaceOrder(order_id="o-1", total=Decimal(1), lines=(line,))

    with pytest.raises(InvalidMessageError, match="cannot be written"):
        codec.encode(envelope(message))


def sendable(text):
    try:
        check_text(text)
    except LimitError:
        return False
    return True


texts = st.text().filter(sendable)
ids = st.from_regex(r"[!-~]{1,80}", fullmatch=True)
decimals = st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda value: len(value.as_tuple().digits) <= 38 and abs(value.as_tuple().exponent) <= 64
)
times = st.datetimes(
    min_value=datetime(1, 1, 3),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(9999, 12, 29),  # noqa: DTZ001 - likewise
    timezones=st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
orders = st.builds(
    PlaceOrder,
    order_id=texts.filter(bool),
    total=decimals,
    note=st.none() | texts,
    lines=st.lists(st.builds(Line, product=st.integers(), price=decimals)).map(tuple),
    weights=st.lists(st.floats(allow_nan=False, allow_infinity=False)),
    due=st.none() | times,
)
envelopes = st.builds(
    Envelope,
    message=orders
    | st.builds(OrderPlaced, order_id=st.integers(-(2**63), 2**63 - 1), total=decimals),
    id=ids,
    source=ids,
    time=times,
    correlation_id=ids,
    causation_id=st.none() | ids,
    depth=st.integers(0, 50),
    sequence=st.none() | st.integers(1, 2**63 - 1),
    headers=st.dictionaries(
        st.from_regex(r"h[a-z0-9]{0,19}", fullmatch=True),
        st.text(st.characters(exclude_categories=["C"])),
        max_size=3,
    ),
)


@fuzzed(5_000)
@given(envelopes)
def test_any_message_is_read_as_it_was_written(sent):
    codec = Codec(Registry([PlaceOrder, OrderPlaced]))
    body = codec.encode(sent)

    assert codec.decode(body) == sent
    assert codec.decode(body, type_hint=sent.type_name, kind=sent.kind) == sent


def read_or_refuse(body, hint):
    codec = Codec(Registry([PlaceOrder, OrderPlaced, Checked]))
    try:
        read = codec.decode(body, type_hint=hint)
    except (MalformedError, UnknownTypeError, WrongKindError):
        pass
    else:
        assert codec.decode(codec.encode(read)) == read


hints = st.sampled_from([None, "orders.place", "OrderPlaced"])


@fuzzed(50_000)
@given(st.binary(), hints)
def test_any_bytes_are_read_or_refused(body, hint):
    read_or_refuse(body, hint)


@fuzzed(50_000)
@given(
    st.data(),
    hints,
    st.sampled_from([document(), document(tenant="a"), document(type="OrderPlaced")]),
)
def test_any_damage_to_a_document_is_read_or_refused(data, hint, body):
    at = data.draw(st.integers(0, len(body)))
    length = data.draw(st.integers(0, 8))
    damage = data.draw(st.binary(max_size=8))

    read_or_refuse(body[:at] + damage + body[at + length :], hint)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
attributes = ("specversion", "id", "source", "type", "time", "kind", "data", "subject", "depth")
attributes = (*attributes, "dataversion", "entitysequence", "correlationid", "causationid", "x")
attributes = (*attributes, "dataschema", "datacontenttype", "Upper")


@fuzzed(20_000)
@given(st.dictionaries(st.sampled_from(attributes), json_values, max_size=4), hints)
def test_any_values_of_attributes_are_read_or_refused(changes, hint):
    read_or_refuse(document(**changes), hint)


@fuzzed(20_000)
@given(
    st.dictionaries(
        st.sampled_from(["order_id", "total", "note", "lines", "weights", "due"]), json_values
    ),
    hints,
)
def test_any_values_of_fields_are_read_or_refused(changes, hint):
    read_or_refuse(document(data={"order_id": "o-1", "total": "1", **changes}), hint)
