"""Sending: what a message may be, what is answered, delays."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest


def test_the_answer_has_an_id_and_the_md5_of_the_body(backend):
    queue = backend.queue()
    answer = queue.send("größer")
    assert answer["MD5OfMessageBody"] == hashlib.md5("größer".encode()).hexdigest()
    message = queue.take_one()
    assert message["MessageId"] == answer["MessageId"]
    assert message["MD5OfBody"] == answer["MD5OfMessageBody"]
    assert message["Body"] == "größer"


def test_equal_messages_are_two_messages(backend):
    queue = backend.queue()
    assert queue.send("x")["MessageId"] != queue.send("x")["MessageId"]
    assert queue.bodies(2) == ["x", "x"]


def test_an_empty_body_is_refused(backend):
    with backend.refused("MissingParameter", text="MessageBody"):
        backend.queue().send("")


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_characters_that_xml_lacks_are_refused(backend, character):
    with backend.refused("InvalidMessageContents"):
        backend.queue().send(f"a{character}b")


def test_all_other_characters_are_kept(backend):
    body = "\t\n\r ~\x7f\x80\ud7ff\ue000\ufffd\U00010000\U0010ffff"
    queue = backend.queue()
    queue.send(body)
    assert queue.take_one()["Body"] == body


def test_a_message_of_one_mebibyte_is_taken_and_a_larger_one_refused(backend):
    queue = backend.queue()
    queue.send("x" * 1_048_576)
    with backend.refused("InvalidParameterValue", text="1048576"):
        queue.send("x" * 1_048_577)
    assert len(queue.take_one()["Body"]) == 1_048_576


def test_the_queue_says_how_large_a_message_may_be(backend):
    queue = backend.queue(MaximumMessageSize="1024")
    queue.send("x" * 1024)
    with backend.refused("InvalidParameterValue", text="1024"):
        queue.send("x" * 1025)


def test_size_is_counted_in_bytes_of_utf8(backend):
    queue = backend.queue(MaximumMessageSize="1024")
    queue.send("é" * 512)
    with backend.refused("InvalidParameterValue", text="1024"):
        queue.send("é" * 513)


def test_names_types_and_values_of_attributes_count_as_size(backend):
    queue = backend.queue(MaximumMessageSize="1024")
    attributes = {"name": {"DataType": "String", "StringValue": "value"}}
    spent = len("name") + len("String") + len("value")
    queue.send("x" * (1024 - spent), MessageAttributes=attributes)
    with backend.refused("InvalidParameterValue", text="1024"):
        queue.send("x" * (1025 - spent), MessageAttributes=attributes)


def test_system_attributes_do_not_count_as_size(backend):
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1"}}
    queue = backend.queue(MaximumMessageSize="1024")
    queue.send("x" * 1024, MessageSystemAttributes=trace)
    attributes = queue.take_one()["Attributes"]
    assert attributes["AWSTraceHeader"] == trace["AWSTraceHeader"]["StringValue"]


def test_the_trace_header_is_the_only_system_attribute_that_can_be_sent(backend):
    backend.lax("it takes any", rule="SQS API reference, SendMessage: MessageSystemAttributes")
    with backend.refused("InvalidParameterValue"):
        backend.queue().send(
            MessageSystemAttributes={"SenderId": {"DataType": "String", "StringValue": "me"}}
        )


def test_a_delayed_message_shows_when_its_delay_is_over(backend):
    queue = backend.queue()
    queue.send("later", DelaySeconds=2)
    queue.send("now")
    assert queue.take_one()["Body"] == "now"
    assert queue.receive() == []
    assert queue.counts() == (0, 1, 1)
    backend.advance(timedelta(seconds=2))
    assert queue.take_one()["Body"] == "later"


def test_a_queue_delays_all_that_say_nothing_else(backend):
    queue = backend.queue(DelaySeconds="2")
    queue.send("later")
    queue.send("now", DelaySeconds=0)
    assert queue.take_one()["Body"] == "now"
    assert queue.receive() == []
    backend.advance(timedelta(seconds=2))
    assert queue.take_one()["Body"] == "later"


def test_a_change_of_the_delay_leaves_sent_messages_as_they_are(local_aws):
    queue = local_aws.queue(DelaySeconds="60")
    queue.send("sent before")
    queue.set(DelaySeconds="0")
    assert queue.receive() == []
    local_aws.advance(timedelta(seconds=60))
    assert queue.take_one()["Body"] == "sent before"


def test_a_delay_over_fifteen_minutes_is_refused(backend):
    backend.lax("it takes any delay", rule="SQS API reference, SendMessage: DelaySeconds")
    with backend.refused("InvalidParameterValue", text="DelaySeconds"):
        backend.queue().send(DelaySeconds=901)


def test_a_standard_queue_takes_no_deduplication_id(backend):
    with backend.refused("InvalidParameterValue", text="MessageDeduplicationId"):
        backend.queue().send(MessageDeduplicationId="d")


def test_a_standard_queue_takes_a_group_id_and_keeps_no_order_by_it(backend):
    queue = backend.queue()
    queue.send("first", MessageGroupId="tenant")
    queue.send("second", MessageGroupId="tenant")
    taken = queue.take(2)
    assert {message["Body"] for message in taken} == {"first", "second"}
    assert [message["Attributes"]["MessageGroupId"] for message in taken] == ["tenant"] * 2
    assert "SequenceNumber" not in taken[0]["Attributes"]
