"""FIFO topics: groups, order and deduplication, to queues of both kinds."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest

RAW = {"RawMessageDelivery": "true"}
TOPIC_DEDUPLICATES = "SNS developer guide, Message deduplication for FIFO topics"


def publish(topic, body, group="g", **parameters):
    return topic.publish(
        body, **{"MessageGroupId": group, "MessageDeduplicationId": body, **parameters}
    )


def pair(backend, **attributes):
    """Return a FIFO topic, and a FIFO queue that is subscribed to it."""
    topic, queue = backend.fifo_topic(**attributes), backend.fifo()
    topic.subscribe(queue, **RAW)
    return topic, queue


def test_a_group_is_required(backend):
    with backend.refused("InvalidParameter", text="MessageGroupId"):
        backend.fifo_topic().publish(MessageDeduplicationId="d")


def test_a_deduplication_id_is_required_unless_it_is_made_of_the_content(backend):
    with backend.refused("InvalidParameter", text="ContentBasedDeduplication"):
        backend.fifo_topic().publish(MessageGroupId="g")
    backend.fifo_topic(ContentBasedDeduplication="true").publish(MessageGroupId="g")


@pytest.mark.parametrize("missing", ["MessageGroupId", "MessageDeduplicationId"])
def test_a_batch_is_refused_whole_where_an_id_is_missing(backend, missing):
    topic, queue = pair(backend)
    good = {"Id": "a", "Message": "x", "MessageGroupId": "g", "MessageDeduplicationId": "1"}
    bad = {**good, "Id": "b", "MessageDeduplicationId": "2"}
    del bad[missing]
    with backend.refused("InvalidParameter", text=missing):
        topic.publish_batch(good, bad)
    assert queue.is_empty()


def test_group_and_deduplication_id_reach_fifo_queues(backend):
    topic, queue = pair(backend)
    publish(topic, "x", group="g", MessageDeduplicationId="d")
    attributes = queue.take_one()["Attributes"]
    assert (attributes["MessageGroupId"], attributes["MessageDeduplicationId"]) == ("g", "d")


def test_neither_group_nor_deduplication_id_reaches_standard_queues(backend):
    topic, queue = backend.fifo_topic(), backend.queue()
    topic.subscribe(queue, **RAW)
    publish(topic, "x")
    attributes = queue.take_one()["Attributes"]
    assert not {"MessageGroupId", "MessageDeduplicationId", "SequenceNumber"} & attributes.keys()


def test_a_batch_keeps_its_order(backend):
    topic, queue = pair(backend)
    bodies = [str(number) for number in range(10)]
    answer = topic.publish_batch(
        *(
            {"Id": body, "Message": body, "MessageGroupId": "g", "MessageDeduplicationId": body}
            for body in bodies
        )
    )
    numbers = [int(entry["SequenceNumber"]) for entry in answer["Successful"]]
    assert numbers == sorted(set(numbers))
    backend.settle()
    assert queue.bodies(10) == bodies


def test_a_group_is_blocked_while_one_of_it_is_in_flight(backend):
    topic, queue = pair(backend)
    publish(topic, "1")
    first = queue.take_one()
    publish(topic, "2")
    assert queue.is_empty()
    queue.delete(first)
    assert queue.bodies(1) == ["2"]


def test_a_duplicate_is_accepted_and_not_delivered(backend):
    topic, queue = pair(backend)
    publish(topic, "one", MessageDeduplicationId="d")
    publish(topic, "two", MessageDeduplicationId="d")
    message = queue.take_one()
    assert message["Body"] == "one"
    queue.delete(message)
    assert queue.is_empty()


def test_a_topic_deduplicates_for_standard_queues_too(backend):
    backend.lax("it leaves deduplication to the queue", rule=TOPIC_DEDUPLICATES)
    topic, queue = backend.fifo_topic(), backend.queue()
    topic.subscribe(queue, **RAW)
    first = publish(topic, "one", MessageDeduplicationId="d")
    assert publish(topic, "two", MessageDeduplicationId="d")["MessageId"] == first["MessageId"]
    assert queue.bodies(1) == ["one"]
    assert queue.is_empty()


def test_a_deduplication_id_is_free_after_five_minutes(local_aws):
    topic, queue = pair(local_aws)
    publish(topic, "x")
    queue.delete(queue.take_one())
    local_aws.advance(timedelta(minutes=5, seconds=-1))
    publish(topic, "x")
    assert queue.is_empty()
    local_aws.advance(timedelta(seconds=1))
    publish(topic, "x")
    queue.take_one()


def test_content_based_deduplication_is_by_the_sha256_of_the_body(backend):
    topic, queue = pair(backend, ContentBasedDeduplication="true")
    for _ in range(2):
        topic.publish("same", MessageGroupId="g")
    message = queue.take_one()
    digest = hashlib.sha256(b"same").hexdigest()
    assert message["Attributes"]["MessageDeduplicationId"] == digest
    queue.delete(message)
    assert queue.is_empty()


def test_deduplication_by_group_sees_each_group_alone(local_aws):
    topic, queue = local_aws.fifo_topic(FifoThroughputScope="MessageGroup"), local_aws.queue()
    topic.subscribe(queue, **RAW)
    for group in "aab":
        publish(topic, group, group=group, MessageDeduplicationId="d")
    assert sorted(queue.bodies(2)) == ["a", "b"]
    assert queue.is_empty()


def test_an_envelope_of_a_fifo_topic_is_numbered_and_not_signed(backend):
    topic, queue = backend.fifo_topic(), backend.fifo()
    topic.subscribe(queue)
    number = publish(topic, "x")["SequenceNumber"]
    assert len(number) == 20
    envelope = json.loads(queue.take_one()["Body"])
    assert envelope["SequenceNumber"] == number
    assert not {"Signature", "SigningCertURL", "SignatureVersion"} & envelope.keys()
