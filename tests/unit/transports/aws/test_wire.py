from __future__ import annotations

import json
import uuid
from uuid import UUID

import pytest
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from sourceflow import Command, Key
from sourceflow.messages import TraceContext
from sourceflow.transports.aws.client import AttributeValue, ReceivedMessage
from sourceflow.transports.aws.encryption import CONTENT_TYPE
from sourceflow.transports.aws.encryption.format import (
    KeySection,
    write_key_section,
    write_message_section,
    write_sealed,
)
from sourceflow.transports.aws.wire import (
    Arrived,
    envelope_id,
    group_of,
    message_size,
    read_arrived,
    trace_of,
    traced,
    wire_attributes,
)

TOPIC = "arn:aws:sns:us-east-1:000000000000:order-events"


class ByText(Command):
    id: Key[str]


class Named(Command, name="Größe"):
    id: Key[str]


class ByNumber(Command):
    id: Key[int]


class ByUuid(Command):
    id: Key[UUID]


@pytest.fixture
def group(outgoing_of):
    return lambda message: group_of(outgoing_of(message, "q").envelope)


def received(body, **attributes):
    values = {name: AttributeValue("String", value) for name, value in attributes.items()}
    return ReceivedMessage(message_id="m", receipt_handle="r", body=body, attributes=values)


def notification(message="{}", *, topic=TOPIC, kind="Notification", **attributes):
    return json.dumps(
        {
            "Type": kind,
            "MessageId": "n-1",
            "TopicArn": topic,
            "Message": message,
            "Timestamp": "2026-01-01T00:00:00.000Z",
            "MessageAttributes": {
                name: {"Type": "String", "Value": value} for name, value in attributes.items()
            },
        }
    )


@pytest.mark.parametrize("key", ["o-1", "!", "~", "x" * 128])
def test_a_key_that_sqs_takes_is_the_group(group, key):
    assert group(ByText(id=key)) == key


@pytest.mark.parametrize("key", ["x" * 129, "two words", "ä", "a\tb", "日本"])
def test_any_other_key_is_named_by_its_hash(group, key):
    name = group(ByText(id=key))

    assert name.startswith("~")
    assert len(name) == 44
    assert group(ByText(id=key)) == name != group(ByText(id=key + "!"))


def test_numbers_and_uuids_are_groups_by_their_text(group):
    number = uuid.uuid4()

    assert group(ByNumber(id=-42)) == "-42"
    assert group(ByUuid(id=number)) == str(number)


def test_a_key_that_may_not_be_seen_is_named_by_its_hash(outgoing_of, group):
    envelope = outgoing_of(ByText(id="o-1"), "q").envelope
    name = group_of(envelope, hidden=True)

    assert name.startswith("~")
    assert len(name) == 44
    assert group(ByText(id="o-1")) == "o-1"


def test_beside_an_encrypted_body_stands_what_it_is():
    found = wire_attributes("ByText", encrypted=True)
    assert found.values == {
        "type": AttributeValue("String", "ByText"),
        "content-type": AttributeValue("String", CONTENT_TYPE),
    }
    assert found.size == sum(
        len(name) + len("String") + len(value.string_value) for name, value in found.values.items()
    )


def test_the_type_stands_beside_the_body():
    assert wire_attributes("ByText").values == {"type": AttributeValue("String", "ByText")}


def test_the_size_counts_names_types_and_values_in_bytes(outgoing_of):
    outgoing = outgoing_of(Named(id="1"), "q")._replace(body=b"12345")

    assert message_size(outgoing) == 5 + 4 + 6 + 7


def test_a_raw_message_is_taken_as_it_is():
    arrived = read_arrived(received('{"a":1}', type="Opened"), ())

    assert (arrived.body, arrived.type_hint, arrived.subscribers) == (b'{"a":1}', "Opened", None)


def test_an_envelope_of_sns_is_opened_on_an_event_queue():
    arrived = read_arrived(received(notification('{"a":1}', type="Opened")), {TOPIC})

    assert (arrived.body, arrived.type_hint) == (b'{"a":1}', "Opened")


@pytest.mark.parametrize(
    ("body", "topics"),
    [
        (notification(), ()),
        (notification(topic=TOPIC + "-other"), {TOPIC}),
        (notification(kind="SubscriptionConfirmation"), {TOPIC}),
        ("no json", {TOPIC}),
        ('{"Type":"Notification"}', {TOPIC}),
        ("[" * 10_000, {TOPIC}),
    ],
)
def test_nothing_else_is_believed_to_be_an_envelope_of_sns(body, topics):
    arrived = read_arrived(received(body), topics)

    assert (arrived.body, arrived.type_hint) == (body.encode(), None)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
fields = st.sampled_from(
    ["Type", "TopicArn", "Message", "MessageAttributes", "Subject", "message", "type"]
)
attributes = st.dictionaries(
    st.sampled_from(["type", "sourceflow-dead-letter", "content-type", "x"]),
    st.text(max_size=5) | values.map(json.dumps),
    max_size=3,
)


@st.composite
def notifications(draw):
    """Draw an envelope of SNS with other values, and with characters cut out and put in."""
    whole = json.loads(notification(draw(st.text(max_size=5)), type="Opened"))
    whole.update(draw(st.dictionaries(fields, values, max_size=2)))
    body = json.dumps(whole, ensure_ascii=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(body)))
        more = draw(
            st.text(st.characters(codec="utf-8"), max_size=3)
            | st.sampled_from(["\\ud800", "[" * 3000, "9" * 5000, "1e999999", "\\u0000"])
        )
        body = body[:at] + more + body[at + draw(st.integers(0, 3)) :]
    return body


@fuzzed(50_000)
@given(notifications(), attributes)
def test_any_damaged_envelope_of_sns_is_opened_or_taken_as_it_is(body, beside):
    arrived = read_arrived(received(body, **beside), {TOPIC})

    if arrived.body != body.encode():
        inside = json.loads(body, parse_int=float)  # Python reads no numbers of 5,000 digits
        assert (inside["Type"], inside["TopicArn"]) == ("Notification", TOPIC)
        assert arrived.body == inside["Message"].encode()
        assert "type" not in beside
    else:
        assert arrived.type_hint == beside.get("type")
    on_a_command_queue = read_arrived(received(body, **beside), ())
    assert on_a_command_queue.body == body.encode()
    assert on_a_command_queue.type_hint == beside.get("type")
    assert envelope_id(arrived.body) is None or len(envelope_id(arrived.body)) <= 255


def test_a_dead_letter_that_comes_back_names_its_subscribers():
    note = json.dumps({"reason": "RetriesExhausted", "subscribers": ["Views.opened"]})

    arrived = read_arrived(received("{}", **{"type": "Opened", "sourceflow-dead-letter": note}), ())

    assert arrived.subscribers == ("Views.opened",)


@pytest.mark.parametrize("note", ["no json", '{"subscribers":[]}', '{"subscribers":7}', "{}"])
def test_a_note_without_subscribers_is_for_all(note):
    assert read_arrived(received("{}", **{"sourceflow-dead-letter": note}), ()).subscribers is None


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"id":"a"}', "a"),
        (b'{"id":""}', None),
        (b'{"id":7}', None),
        (b'{"id":"a\\u0000"}', None),
        (b'{"id":"' + b"a" * 255 + b'"}', "a" * 255),
        (b'{"id":"' + b"a" * 256 + b'"}', None),
        (b"{}", None),
        (b"\xff", None),
        (b"[" * 10_000, None),
    ],
)
def test_an_id_is_read_where_there_is_one(body, found):
    assert envelope_id(body) == found


@pytest.mark.parametrize(
    ("message_id", "found"),
    [("m-1", "m-1"), ("", None), ("a\x00", None), ("a" * 255, "a" * 255), ("a" * 256, None)],
)
def test_the_id_of_an_encrypted_message_stands_in_clear(message_id, found):
    header = write_key_section(KeySection("k", b"e", "/shop", "arn:q"))
    header += write_message_section("Pay", message_id)
    assert envelope_id(write_sealed(header, b"n" * 12, b"t" * 16).encode()) == found


def test_an_encrypted_message_that_is_cut_off_has_no_id():
    assert envelope_id(b"sfenAQ") is None


PARENT = f"00-{'a' * 32}-{'b' * 16}-01"
STATE = "vendor=1"


def bytes_of(attributes):
    return sum(
        len(name) + len(value.data_type) + len(value.string_value)
        for name, value in attributes.items()
    )


@pytest.mark.parametrize("trace", [TraceContext(PARENT), TraceContext(PARENT, STATE)])
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_trace_travels_in_attributes_and_is_counted(trace, encrypted):
    plain = wire_attributes("ByText", encrypted=encrypted)

    found = traced(plain, trace, 1000)

    assert trace_of(found.values) == trace
    assert found.size == bytes_of(found.values)
    assert plain.values.items() < found.values.items()


def test_a_message_has_four_attributes_at_most():
    plain = wire_attributes("ByText", encrypted=True)

    assert len(traced(plain, TraceContext(PARENT, STATE), 1000).values) == 4


def test_a_message_without_a_trace_has_none():
    plain = wire_attributes("ByText")

    assert traced(plain, None, 0) is plain


def test_a_trace_makes_no_message_too_large():
    plain = wire_attributes("ByText")
    whole = traced(plain, TraceContext(PARENT), 1000).size

    assert traced(plain, TraceContext(PARENT), whole).size == whole
    assert traced(plain, TraceContext(PARENT), whole - 1) is plain


def test_an_arrived_message_tells_its_trace():
    arrived = read_arrived(received("{}", type="T", traceparent=PARENT, tracestate=STATE), ())

    assert arrived.trace == TraceContext(PARENT, STATE)


def test_an_envelope_of_sns_tells_its_trace():
    body = notification("{}", type="T", traceparent=PARENT, tracestate=STATE)

    assert read_arrived(received(body), {TOPIC}).trace == TraceContext(PARENT, STATE)


@pytest.mark.parametrize("parent", ["", "garbage", PARENT.upper(), PARENT + "x", "x" * 10_000])
def test_a_trace_that_is_not_valid_is_left_out_of_a_message(parent):
    arrived = read_arrived(received("{}", type="T", traceparent=parent, tracestate=STATE), ())

    assert arrived == Arrived(b"{}", "T", None, None)


def test_a_trace_of_another_type_is_left_out_of_a_message():
    message = received("{}", type="T")
    message.attributes["traceparent"] = AttributeValue("Binary", binary_value=PARENT.encode())
    message.attributes["tracestate"] = AttributeValue("Binary", binary_value=b"\xff")

    assert read_arrived(message, ()).trace is None
