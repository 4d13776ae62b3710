"""Message attributes and system attributes of SQS. The MD5s are ones that AWS has answered."""

from __future__ import annotations

import time

import pytest


def text(value, kind="String"):
    return {"DataType": kind, "StringValue": value}


HELLO = {"Hello": text("There"), "General": text("Kenobi"), "Help.Me": text("Me")}
MD5_OF_ALL = "4c360f3fdafd970e05fae2f149d997f5"
MD5_OF_HELLO = "a311262e065454b75da111d535b8dacd"
MD5_OF_HEL = "83fee93c1bcd8b9a5a923ffacdc636c7"


def test_attributes_come_as_they_were_sent(backend):
    attributes = {
        "text": text("größer\n"),
        "number": text("-12.50", "Number"),
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff\x1e"},
        "labelled": text("5", "Number.int"),
        "own-label_1.x": {"DataType": "Binary.gzip", "BinaryValue": b"\x1f\x8b"},
    }
    queue = backend.queue()
    queue.send(MessageAttributes=attributes)
    assert queue.take_one()["MessageAttributes"] == attributes


def test_the_md5_of_attributes_is_that_of_aws(backend):
    queue = backend.queue()
    assert queue.send(MessageAttributes=HELLO)["MD5OfMessageAttributes"] == MD5_OF_ALL
    assert queue.take_one()["MD5OfMessageAttributes"] == MD5_OF_ALL
    assert "MD5OfMessageAttributes" not in queue.send()


def test_the_md5_of_binary_attributes_is_that_of_aws(backend):
    value = b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"
    attributes = {"attr1": {"DataType": "Binary", "BinaryValue": value}}
    answer = backend.queue().send(MessageAttributes=attributes)
    assert answer["MD5OfMessageAttributes"] == "8cbe4db156db8a94db8b801b7addb984"


@pytest.mark.parametrize(
    ("asked", "names", "md5"),
    [
        ([], set(), None),
        (["All"], {"Hello", "General", "Help.Me"}, MD5_OF_ALL),
        ([".*"], {"Hello", "General", "Help.Me"}, MD5_OF_ALL),
        (["Hello", "Never"], {"Hello"}, MD5_OF_HELLO),
        (["Hel.*"], {"Hello", "Help.Me"}, MD5_OF_HEL),
        (["Never"], set(), None),
    ],
)
def test_only_attributes_that_are_asked_for_come_and_make_the_md5(backend, asked, names, md5):
    queue = backend.queue()
    queue.send(MessageAttributes=HELLO)
    message = queue.take_one(MessageAttributeNames=asked)
    assert message.get("MessageAttributes", {}).keys() == names
    assert message.get("MD5OfMessageAttributes") == md5


def test_ten_attributes_are_taken(backend):
    queue = backend.queue()
    attributes = {f"a{number}": text("x") for number in range(10)}
    queue.send(MessageAttributes=attributes)
    assert queue.take_one()["MessageAttributes"] == attributes


def test_eleven_attributes_are_refused(backend):
    backend.lax("it takes any number", rule="SQS developer guide, Message attributes: up to 10")
    with backend.refused("InvalidParameterValue"):
        backend.queue().send(MessageAttributes={f"a{number}": text("x") for number in range(11)})


@pytest.mark.parametrize(
    "name", ["AWS.x", "aws.x", "Amazon.x", "amazon.x", ".x", "x.", "two words", "a$", "n" * 257]
)
def test_names_that_are_reserved_or_malformed_are_refused(backend, name):
    with backend.refused("InvalidParameterValue"):
        backend.queue().send(MessageAttributes={name: text("x")})


def test_a_name_has_no_dots_in_succession(backend):
    backend.lax("it takes them", rule="SQS developer guide, Message attributes: Name")
    with backend.refused("InvalidParameterValue"):
        backend.queue().send(MessageAttributes={"a..b": text("x")})


def test_a_name_of_256_characters_is_taken(backend):
    backend.strict("it takes 255", rule="SQS developer guide, Message attributes: Name")
    queue = backend.queue()
    queue.send(MessageAttributes={"n" * 256: text("x")})
    assert queue.take_one()["MessageAttributes"].keys() == {"n" * 256}


@pytest.mark.parametrize(
    "attribute",
    [
        text(""),
        {"DataType": "String"},
        text("x", "Text"),
        text("x", "string"),
        text("a\x01b"),
        text("a\uffff"),
        {"DataType": "String", "BinaryValue": b"x"},
    ],
)
def test_values_that_are_empty_or_not_of_their_type_are_refused(backend, attribute):
    with backend.refused("InvalidParameterValue", "InvalidMessageContents"):
        backend.queue().send(MessageAttributes={"a": attribute})


@pytest.mark.parametrize(
    "attribute", [text("", "Number"), {"DataType": "Binary", "BinaryValue": b""}]
)
def test_a_number_or_bytes_of_no_length_are_refused(backend, attribute):
    backend.lax("it takes them", rule="SQS developer guide, Message attributes: no value is empty")
    with backend.refused("InvalidParameterValue"):
        backend.queue().send(MessageAttributes={"a": attribute})


@pytest.mark.parametrize("value", ["twelve", "NaN", "Infinity", "1_000", " 1", "1,5", "0x10", "."])
def test_a_number_must_be_one(backend, value):
    backend.lax("it takes any text", rule="SQS developer guide, Message attribute data types")
    with backend.refused("InvalidParameterValue"):
        backend.queue().send(MessageAttributes={"a": text(value, "Number")})


def test_numbers_come_as_they_were_written(backend):
    attributes = {
        f"a{at}": text(value, "Number")
        for at, value in enumerate(("0", "-1.50", "1e10", "2.5E-3", "12345678901234567890"))
    }
    queue = backend.queue()
    queue.send(MessageAttributes=attributes)
    assert queue.take_one()["MessageAttributes"] == attributes


def test_system_attributes_come_only_when_asked_for(backend):
    queue = backend.queue()
    queue.send()
    assert "Attributes" not in queue.take_one(MessageSystemAttributeNames=[], VisibilityTimeout=0)
    some = queue.take_one(MessageSystemAttributeNames=["SentTimestamp"], VisibilityTimeout=0)
    assert some["Attributes"].keys() == {"SentTimestamp"}
    every = queue.take_one(MessageSystemAttributeNames=["All"])["Attributes"]
    assert every.keys() == {
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
    }


def test_the_older_parameter_for_system_attributes_still_works(backend):
    queue = backend.queue()
    queue.send()
    answer = backend.sqs.receive_message(
        QueueUrl=queue.url, AttributeNames=["ApproximateReceiveCount"]
    )
    assert answer["Messages"][0]["Attributes"] == {"ApproximateReceiveCount": "1"}


def test_times_are_milliseconds_since_1970(backend):
    queue = backend.queue()
    began = backend.now().timestamp() * 1000
    queue.send()
    time.sleep(0.002)
    first = queue.take_one(VisibilityTimeout=0)["Attributes"]
    again = queue.take_one()["Attributes"]
    sent = int(first["SentTimestamp"])
    received = int(first["ApproximateFirstReceiveTimestamp"])
    ended = backend.now().timestamp() * 1000
    assert began - 1 <= sent <= received <= ended
    assert again["ApproximateFirstReceiveTimestamp"] == first["ApproximateFirstReceiveTimestamp"]
    assert again["SentTimestamp"] == first["SentTimestamp"]
