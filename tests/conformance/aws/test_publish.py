"""Publishing one message or a batch: limits, and what fails."""

from __future__ import annotations

import pytest

API = "SNS API reference, "
LIMIT = 262_144


def text(value, kind="String"):
    return {"DataType": kind, "StringValue": value}


def entries(*identities, **parameters):
    return [{"Id": identity, "Message": "x", **parameters} for identity in identities]


def test_every_message_has_an_id_of_its_own(backend):
    topic = backend.topic()
    assert topic.publish()["MessageId"] != topic.publish()["MessageId"]


def test_an_empty_message_is_refused(backend):
    with backend.refused("InvalidParameter", text="Empty message"):
        backend.topic().publish("")


def test_a_message_of_256_kib_is_taken_and_a_larger_one_refused(backend):
    topic = backend.topic()
    topic.publish("x" * LIMIT)
    with backend.refused("InvalidParameter", text="Message too long"):
        topic.publish("x" * (LIMIT + 1))


def test_size_is_counted_in_bytes_of_utf8(backend):
    with backend.refused("InvalidParameter", text="Message too long"):
        backend.topic().publish("é" * (LIMIT // 2) + "x")


def test_names_types_and_values_of_attributes_count_as_size(backend):
    topic = backend.topic()
    attributes = {"name": text("value")}
    spent = len("name") + len("String") + len("value")
    topic.publish("x" * (LIMIT - spent), MessageAttributes=attributes)
    with backend.refused("InvalidParameter", text="Message too long"):
        topic.publish("x" * (LIMIT - spent + 1), MessageAttributes=attributes)


def test_the_topic_says_how_large_a_message_may_be(local_aws):
    topic = local_aws.topic(MaximumMessageSize="1024")
    topic.publish("x" * 1024)
    with local_aws.refused("InvalidParameter", text="Message too long"):
        topic.publish("x" * 1025)
    topic.set("MaximumMessageSize", "1048576")
    topic.publish("x" * 1_048_576)


@pytest.mark.parametrize("subject", ["", "s" * 101, "two\nlines", " starts with a space"])
def test_a_subject_is_one_line_of_100_characters(backend, subject):
    if subject:
        backend.lax("it takes any that is not empty", rule=API + "Publish: Subject")
    with backend.refused("InvalidParameter", text="Subject"):
        backend.topic().publish(Subject=subject)


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("a", text("")),
        ("a", text("x", "Text")),
        ("a", {"DataType": "Binary", "BinaryValue": b""}),
        (".a", text("x")),
        ("a.", text("x")),
        ("a..b", text("x")),
        ("a$", text("x")),
        ("n" * 257, text("x")),
    ],
)
def test_attributes_that_are_malformed_or_empty_are_refused(backend, name, attribute):
    with backend.refused("ParameterValueInvalid"):
        backend.topic().publish(MessageAttributes={name: attribute})


def test_a_standard_topic_takes_no_deduplication_id(backend):
    with backend.refused("InvalidParameter", text="MessageDeduplicationId"):
        backend.topic().publish(MessageDeduplicationId="d")


@pytest.mark.parametrize("value", ["g" * 129, "two words"])
def test_a_group_of_a_standard_topic_follows_the_rules_of_groups(backend, value):
    backend.lax("it takes any", rule=API + "Publish: MessageGroupId")
    with backend.refused("InvalidParameter", text="MessageGroupId"):
        backend.topic().publish(MessageGroupId=value)


def test_a_message_may_have_a_text_for_each_protocol(backend):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue, RawMessageDelivery="true")
    topic.publish('{"default": "for all", "sqs": "for queues"}', MessageStructure="json")
    topic.publish('{"default": "for all", "email": "a letter"}', MessageStructure="json")
    assert sorted(queue.bodies(2)) == ["for all", "for queues"]


@pytest.mark.parametrize("message", ["no json", '{"sqs": "x"}', '{"default": 1}'])
def test_a_text_for_each_protocol_has_a_default(backend, message):
    with backend.refused("InvalidParameter", text="Message Structure"):
        backend.topic().publish(message, MessageStructure="json")


def test_every_entry_of_a_batch_is_answered(backend):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue, RawMessageDelivery="true")
    identities = [f"i-_{number}" for number in range(10)]
    answer = topic.publish_batch(*({"Id": i, "Message": i} for i in identities))
    assert [entry["Id"] for entry in answer["Successful"]] == identities
    assert len({entry["MessageId"] for entry in answer["Successful"]}) == 10
    assert not answer["Failed"]
    assert sorted(queue.bodies(10)) == sorted(identities)


def test_an_empty_batch_is_refused(backend):
    backend.lax("it says yes", rule=API + "PublishBatch: EmptyBatchRequest")
    with backend.refused("EmptyBatchRequest"):
        backend.topic().publish_batch()


def test_a_batch_has_ten_entries_at_most(backend):
    with backend.refused("TooManyEntriesInBatchRequest"):
        backend.topic().publish_batch(*entries(*map(str, range(11))))


def test_ids_of_a_batch_are_distinct(backend):
    with backend.refused("BatchEntryIdsNotDistinct"):
        backend.topic().publish_batch(*entries("a", "b", "a"))


@pytest.mark.parametrize("identity", ["", "a b", "i" * 81])
def test_ids_have_80_letters_digits_hyphens_and_underscores(backend, identity):
    backend.lax("it takes any", rule=API + "PublishBatchRequestEntry: Id")
    with backend.refused("InvalidBatchEntryId"):
        backend.topic().publish_batch(*entries(identity))


def test_all_entries_together_have_256_kib_at_most(backend):
    topic = backend.topic()
    half = "x" * (LIMIT // 2)
    topic.publish_batch({"Id": "a", "Message": half}, {"Id": "b", "Message": half})
    with backend.refused("BatchRequestTooLong"):
        topic.publish_batch({"Id": "a", "Message": half}, {"Id": "b", "Message": f"{half}x"})


def test_a_batch_with_a_malformed_attribute_is_refused_whole(backend):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue)
    bad = {"Id": "b", "Message": "x", "MessageAttributes": {"a": text("")}}
    with backend.refused("ParameterValueInvalid"):
        topic.publish_batch({"Id": "a", "Message": "x"}, bad)
    assert queue.is_empty()


def test_an_entry_fails_alone(backend):
    backend.lax("it says yes to it", rule=API + "PublishBatch: results are reported one by one")
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue, RawMessageDelivery="true")
    answer = topic.publish_batch({"Id": "a", "Message": "good"}, {"Id": "b", "Message": ""})
    assert [entry["Id"] for entry in answer["Successful"]] == ["a"]
    (failed,) = answer["Failed"]
    assert (failed["Id"], failed["Code"]) == ("b", "InvalidParameter")
    assert failed["SenderFault"] is True
    assert queue.bodies(1) == ["good"]
    assert queue.is_empty()
