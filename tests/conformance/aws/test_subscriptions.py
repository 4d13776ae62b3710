"""Subscriptions: who may subscribe where, and how they are set."""

from __future__ import annotations

import json

import pytest

RAW = {"RawMessageDelivery": "true"}


def attributes_of(backend, subscription):
    answer = backend.sns.get_subscription_attributes(SubscriptionArn=subscription)
    return answer["Attributes"]


def set_attribute(backend, subscription, name, value):
    backend.sns.set_subscription_attributes(
        SubscriptionArn=subscription, AttributeName=name, AttributeValue=value
    )


def test_a_subscription_says_what_it_is(backend):
    topic, queue = backend.topic(), backend.queue()
    subscription = topic.subscribe(queue, **RAW)
    assert subscription.startswith(f"{topic.arn}:")
    found = attributes_of(backend, subscription)
    expected = {
        "TopicArn": topic.arn,
        "Endpoint": queue.arn,
        "Protocol": "sqs",
        "RawMessageDelivery": "true",
        "PendingConfirmation": "false",
        "SubscriptionArn": subscription,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_delivery_is_not_raw_where_nothing_is_said(backend):
    subscription = backend.topic().subscribe(backend.queue())
    assert attributes_of(backend, subscription)["RawMessageDelivery"] == "false"


def test_a_fifo_queue_cannot_subscribe_to_a_standard_topic(backend):
    with backend.refused("InvalidParameter", text="FIFO SQS Queues can not be subscribed"):
        backend.topic().subscribe(backend.fifo())


@pytest.mark.parametrize("kind", ["fifo", "queue"])
def test_queues_of_both_kinds_can_subscribe_to_a_fifo_topic(backend, kind):
    topic, queue = backend.fifo_topic(), getattr(backend, kind)()
    topic.subscribe(queue, **RAW)
    topic.publish("x", MessageGroupId="g", MessageDeduplicationId="d")
    assert queue.bodies(1) == ["x"]


def test_an_endpoint_that_is_no_queue_is_refused(backend):
    topic = backend.topic()
    with backend.refused("InvalidParameter", text="SQS endpoint ARN"):
        backend.sns.subscribe(TopicArn=topic.arn, Protocol="sqs", Endpoint="queue")


def test_an_unknown_protocol_is_refused(backend):
    topic, queue = backend.topic(), backend.queue()
    with backend.refused("InvalidParameter", text="pigeon"):
        backend.sns.subscribe(TopicArn=topic.arn, Protocol="pigeon", Endpoint=queue.arn)


@pytest.mark.parametrize("again", [RAW, {}])
def test_subscribing_again_gives_the_same_subscription(backend, again):
    topic, queue = backend.topic(), backend.queue()
    subscription = topic.subscribe(queue, **RAW)
    assert topic.subscribe(queue, **again) == subscription
    topic.publish("once")
    assert queue.bodies(1) == ["once"]
    assert queue.is_empty()


def test_subscribing_again_with_what_is_the_default_changes_nothing(backend):
    topic, queue = backend.topic(), backend.queue()
    assert topic.subscribe(queue) == topic.subscribe(queue, RawMessageDelivery="false")


def test_subscribing_again_with_other_attributes_is_refused(backend):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue, **RAW)
    with backend.refused("InvalidParameter", text="already exists with different attributes"):
        topic.subscribe(queue, RawMessageDelivery="false")


def test_raw_delivery_can_be_set_afterwards(backend):
    topic, queue = backend.topic(), backend.queue()
    subscription = topic.subscribe(queue)
    set_attribute(backend, subscription, "RawMessageDelivery", "true")
    topic.publish("as it is")
    assert queue.bodies(1) == ["as it is"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Nope", "1"),
        ("RawMessageDelivery", "yes"),
        ("RawMessageDelivery", ""),
        ("FilterPolicyScope", "Everything"),
        ("FilterPolicy", "no json"),
        ("RedrivePolicy", "no json"),
        ("RedrivePolicy", '{"deadLetterTargetArn": "queue"}'),
    ],
)
def test_unknown_attributes_and_malformed_values_are_refused(backend, name, value):
    topic, queue = backend.topic(), backend.queue()
    subscription = topic.subscribe(queue)
    with backend.refused("InvalidParameter", text="" if name == "Nope" else name):
        set_attribute(backend, subscription, name, value)


def test_a_wrong_attribute_is_refused_when_subscribing_too(backend):
    topic, queue = backend.topic(), backend.queue()
    with backend.refused("InvalidParameter", text="RawMessageDelivery"):
        topic.subscribe(queue, RawMessageDelivery="yes")
    assert topic.subscriptions() == []


def test_subscriptions_are_listed_by_topic(backend):
    topic, other = backend.topic(), backend.topic()
    queues = [backend.queue() for _ in range(2)]
    arns = {topic.subscribe(queue) for queue in queues}
    other.subscribe(queues[0])
    listed = topic.subscriptions()
    assert {each["SubscriptionArn"] for each in listed} == arns
    assert {each["Endpoint"] for each in listed} == {queue.arn for queue in queues}


def test_an_ended_subscription_gets_nothing(backend):
    topic, queue = backend.topic(), backend.queue()
    subscription = topic.subscribe(queue)
    backend.sns.unsubscribe(SubscriptionArn=subscription)
    topic.publish()
    assert queue.is_empty()
    assert topic.subscriptions() == []
    with backend.refused("NotFound", status=404):
        set_attribute(backend, subscription, "RawMessageDelivery", "true")


def test_ending_a_subscription_twice_succeeds(backend):
    subscription = backend.topic().subscribe(backend.queue())
    for _ in range(2):
        backend.sns.unsubscribe(SubscriptionArn=subscription)


def test_a_subscription_sees_nothing_that_was_published_before(backend):
    topic, queue = backend.topic(), backend.queue()
    topic.publish("before")
    topic.subscribe(queue, **RAW)
    topic.publish("after")
    assert queue.bodies(1) == ["after"]
    assert queue.is_empty()


def redrive_to(queue):
    return json.dumps({"deadLetterTargetArn": queue.arn})


def test_what_cannot_be_delivered_goes_to_the_dead_letter_queue_of_the_subscription(backend):
    topic, queue, dead = backend.topic(), backend.queue(), backend.queue()
    dead.allow(topic)
    topic.subscribe(queue, **RAW, RedrivePolicy=redrive_to(dead))
    backend.sqs.delete_queue(QueueUrl=queue.url)
    topic.publish("lost")
    assert dead.bodies(1) == ["lost"]


def test_the_dead_letter_queue_of_a_fifo_subscription_is_fifo(backend):
    topic, queue, dead = backend.fifo_topic(), backend.fifo(), backend.queue()
    with backend.refused("InvalidParameter", text="must use a FIFO queue"):
        topic.subscribe(queue, RedrivePolicy=redrive_to(dead))
