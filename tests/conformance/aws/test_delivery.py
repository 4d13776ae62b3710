"""What arrives in queues of what was published: raw and in an envelope, groups and attributes."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta

import pytest

RAW = {"RawMessageDelivery": "true"}
ATTRIBUTES = {
    "type": {"DataType": "String", "StringValue": "größer"},
    "count": {"DataType": "Number", "StringValue": "1.50"},
    "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    "list": {"DataType": "String.Array", "StringValue": '["a", 1]'},
}


def many(count):
    return {f"a{number}": {"DataType": "String", "StringValue": "x"} for number in range(count)}


def test_a_raw_message_arrives_as_it_was_published(backend):
    body = '{"text": "a+b = 100% & é \U0001f600 <tag>\t"}'
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue, **RAW)
    topic.publish(body, MessageAttributes=ATTRIBUTES)
    message = queue.take_one()
    assert message["Body"] == body
    assert message["MessageAttributes"] == ATTRIBUTES


def test_a_raw_batch_arrives_as_it_was_published(backend):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue, **RAW)
    topic.publish_batch(
        {"Id": "a", "Message": "one", "MessageAttributes": ATTRIBUTES},
        {"Id": "b", "Message": "two"},
    )
    found = {m["Body"]: m.get("MessageAttributes") for m in queue.take(2)}
    assert found == {"one": ATTRIBUTES, "two": None}


def test_an_envelope_carries_the_message(backend):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue)
    published = topic.publish("größer\n", Subject="News")
    message = queue.take_one()
    envelope = json.loads(message["Body"])
    expected = {
        "Type": "Notification",
        "MessageId": published["MessageId"],
        "TopicArn": topic.arn,
        "Subject": "News",
        "Message": "größer\n",
        "SignatureVersion": "1",
    }
    assert {name: envelope.get(name) for name in expected} == expected
    assert {"Signature", "SigningCertURL", "UnsubscribeURL"} <= envelope.keys()
    assert "MessageAttributes" not in message
    assert envelope["Timestamp"].endswith("Z")
    age = backend.now() - datetime.fromisoformat(envelope["Timestamp"])
    assert timedelta() <= age + timedelta(milliseconds=1) < timedelta(minutes=1)


def test_an_envelope_has_no_more_than_there_is(backend):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue)
    topic.publish("x")
    assert not {"Subject", "MessageAttributes"} & json.loads(queue.take_one()["Body"]).keys()


def test_an_envelope_carries_the_attributes_inside(backend):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue)
    topic.publish("x", MessageAttributes=ATTRIBUTES)
    message = queue.take_one()
    assert json.loads(message["Body"])["MessageAttributes"] == {
        "type": {"Type": "String", "Value": "größer"},
        "count": {"Type": "Number", "Value": "1.50"},
        "bytes": {"Type": "Binary", "Value": base64.b64encode(b"\x00\xff").decode()},
        "list": {"Type": "String.Array", "Value": '["a", 1]'},
    }
    assert "MessageAttributes" not in message


def test_every_queue_that_is_subscribed_gets_the_message(backend):
    topic, queues = backend.topic(), [backend.queue() for _ in range(3)]
    for queue in queues:
        topic.subscribe(queue, **RAW)
    topic.publish("for all")
    assert [queue.bodies(1) for queue in queues] == [["for all"]] * 3


def test_ten_attributes_are_delivered_raw(backend):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue, **RAW)
    topic.publish("x", MessageAttributes=many(10))
    assert len(queue.take_one()["MessageAttributes"]) == 10


def test_more_than_ten_attributes_arrive_in_an_envelope(backend):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue)
    topic.publish("x", MessageAttributes=many(11))
    assert len(json.loads(queue.take_one()["Body"])["MessageAttributes"]) == 11


def test_raw_delivery_discards_a_message_of_more_than_ten_attributes(backend):
    backend.lax("it delivers it", rule="SNS developer guide, Amazon SNS message attributes")
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue, **RAW)
    topic.publish("x", MessageAttributes=many(11))
    assert queue.is_empty()


def test_what_raw_delivery_discards_goes_to_the_subscriptions_dead_letters(local_aws):
    topic, queue, dead = local_aws.topic(), local_aws.queue(), local_aws.queue()
    dead.allow(topic)
    redrive = json.dumps({"deadLetterTargetArn": dead.arn})
    topic.subscribe(queue, **RAW, RedrivePolicy=redrive)
    topic.publish("x", MessageAttributes=many(11))
    assert queue.is_empty()
    assert dead.bodies(1) == ["x"]


@pytest.mark.parametrize("raw", ["true", "false"])
def test_the_group_of_a_standard_topic_reaches_standard_queues(backend, raw):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue, RawMessageDelivery=raw)
    topic.publish("x", MessageGroupId="tenant")
    topic.publish_batch({"Id": "a", "Message": "x", "MessageGroupId": "tenant"})
    groups = [message["Attributes"]["MessageGroupId"] for message in queue.take(2)]
    assert groups == ["tenant", "tenant"]


def test_a_published_message_ends_a_long_poll(backend):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue, **RAW)
    poll = backend.begin_poll(queue, 20)
    topic.publish("here")
    assert [message["Body"] for message in poll.result(timeout=5)] == ["here"]
