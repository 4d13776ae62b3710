"""FIFO queues: groups, order, deduplication, receive attempts."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

MINUTES_5 = timedelta(minutes=5)


def send(queue, body, group="g", **parameters):
    return queue.send(
        body, **{"MessageGroupId": group, "MessageDeduplicationId": body, **parameters}
    )


def test_a_group_is_required(backend):
    with backend.refused("MissingParameter", text="MessageGroupId"):
        backend.fifo().send(MessageDeduplicationId="d")


def test_a_deduplication_id_is_required_unless_it_is_made_of_the_content(backend):
    with backend.refused("InvalidParameterValue", text="ContentBasedDeduplication"):
        backend.fifo().send(MessageGroupId="g")
    backend.fifo(ContentBasedDeduplication="true").send(MessageGroupId="g")


@pytest.mark.parametrize("parameter", ["MessageGroupId", "MessageDeduplicationId"])
@pytest.mark.parametrize("value", ["i" * 129, "two words", "é"])
def test_ids_have_up_to_128_letters_digits_and_punctuation(backend, parameter, value):
    with backend.refused("InvalidParameterValue", text=parameter):
        send(backend.fifo(), "x", **{parameter: value})


def test_ids_may_be_128_characters_of_any_punctuation(backend):
    value = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".ljust(128, "i")
    queue = backend.fifo()
    send(queue, "x", group=value, MessageDeduplicationId=value)
    attributes = queue.take_one()["Attributes"]
    assert attributes["MessageGroupId"] == attributes["MessageDeduplicationId"] == value


def test_messages_cannot_be_delayed_one_by_one(backend):
    queue = backend.fifo()
    with backend.refused("InvalidParameterValue", text="DelaySeconds"):
        send(queue, "x", DelaySeconds=1)
    send(queue, "x", DelaySeconds=0)


def test_a_fifo_queue_can_delay_all_its_messages(backend):
    queue = backend.fifo(DelaySeconds="1")
    for body in "12":
        send(queue, body)
    assert queue.receive() == []
    backend.advance(timedelta(seconds=1))
    assert queue.bodies(2) == ["1", "2"]


def test_one_receive_gives_several_of_a_group_in_order(backend):
    queue = backend.fifo()
    for body in "12345":
        send(queue, body)
    assert [message["Body"] for message in queue.receive(3)] == ["1", "2", "3"]


def test_a_group_is_blocked_while_one_of_it_is_in_flight(backend):
    queue = backend.fifo()
    for body in "12":
        send(queue, body)
    first = queue.take_one()
    assert queue.receive() == []
    queue.delete(first)
    assert queue.bodies(1) == ["2"]


def test_a_message_that_is_sent_to_a_blocked_group_waits(backend):
    queue = backend.fifo()
    send(queue, "1")
    first = queue.take_one()
    send(queue, "2")
    assert queue.receive() == []
    queue.delete(first)
    assert queue.bodies(1) == ["2"]


def test_a_group_is_blocked_until_the_last_of_a_receive_is_settled(backend):
    queue = backend.fifo()
    for body in "123":
        send(queue, body)
    first, second = queue.receive(2)
    queue.delete(first)
    assert queue.receive() == []
    queue.delete(second)
    assert queue.bodies(1) == ["3"]


def test_other_groups_go_on(backend):
    queue = backend.fifo()
    send(queue, "a1", "a")
    send(queue, "a2", "a")
    send(queue, "b1", "b")
    assert queue.bodies(1) == ["a1"]
    assert queue.bodies(1) == ["b1"]
    assert queue.receive() == []


def test_a_message_that_comes_back_is_not_overtaken(backend):
    queue = backend.fifo(VisibilityTimeout="1")
    for body in "123":
        send(queue, body)
    assert [message["Body"] for message in queue.receive(2)] == ["1", "2"]
    backend.advance(timedelta(seconds=1))
    assert queue.bodies(3) == ["1", "2", "3"]


def test_a_message_that_is_handed_back_is_the_next(backend):
    queue = backend.fifo()
    for body in "12":
        send(queue, body)
    queue.hide(queue.take_one(), 0)
    assert queue.bodies(2) == ["1", "2"]


def test_a_message_handed_back_stays_behind_those_before_it_that_are_in_flight(backend):
    backend.lax(
        "it shows the later one while the earlier is in flight",
        rule="SQS developer guide, FIFO queue delivery logic",
    )
    queue = backend.fifo()
    for body in "123":
        send(queue, body)
    first, second = queue.receive(2)
    queue.hide(second, 0)
    assert queue.receive() == []
    queue.delete(first)
    assert queue.bodies(2) == ["2", "3"]


def test_sequence_numbers_rise(backend):
    queue = backend.fifo()
    numbers = [int(send(queue, body)["SequenceNumber"]) for body in "123"]
    assert numbers == sorted(set(numbers))
    received = [int(message["Attributes"]["SequenceNumber"]) for message in queue.take(3)]
    assert received == numbers


def test_a_message_says_its_group_and_deduplication_id(backend):
    queue = backend.fifo()
    send(queue, "x", group="g", MessageDeduplicationId="d")
    attributes = queue.take_one()["Attributes"]
    assert (attributes["MessageGroupId"], attributes["MessageDeduplicationId"]) == ("g", "d")


def test_a_duplicate_is_accepted_and_not_delivered(backend):
    queue = backend.fifo()
    first = queue.send("one", MessageGroupId="g", MessageDeduplicationId="d")
    second = queue.send("two", MessageGroupId="g", MessageDeduplicationId="d")
    assert second["MessageId"] == first["MessageId"]
    assert queue.bodies(1) == ["one"]
    assert queue.counts() == (0, 1, 0)


def test_a_duplicate_is_one_also_after_the_delete(backend):
    queue = backend.fifo()
    send(queue, "x")
    queue.delete(queue.take_one())
    send(queue, "x")
    assert queue.is_empty()
    assert queue.counts() == (0, 0, 0)


def test_a_deduplication_id_is_free_after_five_minutes(local_aws):
    queue = local_aws.fifo()
    send(queue, "x")
    queue.delete(queue.take_one())
    local_aws.advance(MINUTES_5 - timedelta(seconds=1))
    send(queue, "x")
    assert queue.is_empty()
    local_aws.advance(timedelta(seconds=1))
    send(queue, "x")
    queue.take_one()


def test_a_duplicate_does_not_make_the_five_minutes_longer(local_aws):
    queue = local_aws.fifo()
    for _ in range(2):
        send(queue, "x")
        local_aws.advance(MINUTES_5 / 2)
    send(queue, "x")
    queue.delete(queue.take_one())
    queue.take_one()


def test_another_group_makes_no_other_message_of_a_duplicate(backend):
    queue = backend.fifo()
    queue.send("one", MessageGroupId="a", MessageDeduplicationId="d")
    queue.send("two", MessageGroupId="b", MessageDeduplicationId="d")
    assert queue.counts() == (1, 0, 0)


def test_deduplication_by_group_sees_each_group_alone(backend):
    queue = backend.fifo(DeduplicationScope="messageGroup")
    for group in "aab":
        queue.send(group, MessageGroupId=group, MessageDeduplicationId="d")
    assert queue.counts() == (2, 0, 0)
    assert sorted(queue.bodies(2)) == ["a", "b"]


def test_content_based_deduplication_is_by_the_sha256_of_the_body(backend):
    queue = backend.fifo(ContentBasedDeduplication="true")
    queue.send("same", MessageGroupId="g")
    queue.send("same", MessageGroupId="g")
    message = queue.take_one()
    digest = hashlib.sha256(b"same").hexdigest()
    assert message["Attributes"]["MessageDeduplicationId"] == digest
    queue.delete(message)
    assert queue.is_empty()


def test_content_based_deduplication_looks_at_no_attribute(backend):
    queue = backend.fifo(ContentBasedDeduplication="true")
    for value in "ab":
        attributes = {"a": {"DataType": "String", "StringValue": value}}
        queue.send("same", MessageGroupId="g", MessageAttributes=attributes)
    assert queue.counts() == (1, 0, 0)


def test_an_id_that_is_given_counts_more_than_the_content(backend):
    queue = backend.fifo(ContentBasedDeduplication="true")
    for identity in "12":
        queue.send("same", MessageGroupId="g", MessageDeduplicationId=identity)
    assert queue.bodies(2) == ["same", "same"]


def test_a_receive_that_is_repeated_gives_the_same_messages(backend):
    backend.lax("it ignores the attempt's id", rule="SQS API reference, ReceiveMessage")
    queue = backend.fifo()
    for body in "12":
        send(queue, body)
    first = queue.receive(2, ReceiveRequestAttemptId="attempt")
    again = queue.receive(2, ReceiveRequestAttemptId="attempt")
    assert [message["Body"] for message in again] == ["1", "2"]
    assert [m["ReceiptHandle"] for m in again] == [m["ReceiptHandle"] for m in first]
    queue.delete(again[0])


def test_another_attempt_gives_nothing_that_is_in_flight(backend):
    queue = backend.fifo()
    send(queue, "x")
    assert len(queue.receive(ReceiveRequestAttemptId="one")) == 1
    assert queue.receive(ReceiveRequestAttemptId="two") == []


def test_a_receive_cannot_be_repeated_when_a_message_of_it_was_settled(backend):
    queue = backend.fifo()
    for body in "12":
        send(queue, body)
    first, _ = queue.receive(2, ReceiveRequestAttemptId="attempt")
    queue.delete(first)
    assert queue.receive(2, ReceiveRequestAttemptId="attempt") == []


def test_a_repeated_receive_begins_the_timeout_anew(local_aws):
    queue = local_aws.fifo(VisibilityTimeout="60")
    send(queue, "x")
    queue.receive(ReceiveRequestAttemptId="attempt")
    local_aws.advance(timedelta(seconds=40))
    (message,) = queue.receive(ReceiveRequestAttemptId="attempt")
    local_aws.advance(timedelta(seconds=40))
    assert queue.receive() == []
    queue.delete(message)


def test_a_receive_that_is_repeated_when_its_messages_show_again_is_a_new_one(local_aws):
    queue = local_aws.fifo(VisibilityTimeout="60")
    for body in "12":
        send(queue, body)
    (first,) = queue.receive(1, ReceiveRequestAttemptId="attempt")
    local_aws.advance(timedelta(seconds=61))
    (again,) = queue.receive(1, ReceiveRequestAttemptId="attempt")
    assert again["Body"] == "1"
    assert again["ReceiptHandle"] != first["ReceiptHandle"]
    queue.delete(again)
    assert queue.bodies(1) == ["2"]


def test_a_receive_can_be_repeated_for_five_minutes(local_aws):
    queue = local_aws.fifo(VisibilityTimeout="3600")
    send(queue, "x")
    queue.receive(ReceiveRequestAttemptId="attempt")
    local_aws.advance(MINUTES_5)
    assert queue.receive(ReceiveRequestAttemptId="attempt") == []
