"""Queue policies: a topic delivers only where the queue's policy lets it."""

from __future__ import annotations

import json

import pytest

RAW = {"RawMessageDelivery": "true"}
UNREAD = "it keeps the policy unread"
GUIDE = "SNS developer guide, Subscribing a queue: the queue's policy must allow the topic"
SERVICE = {"Service": "sns.amazonaws.com"}
ACCOUNT = "000000000000"


def statement(queue, topic, **changes):
    """Return a statement that lets a topic send, but for some changes."""
    whole = {
        "Effect": "Allow",
        "Principal": SERVICE,
        "Action": "sqs:SendMessage",
        "Resource": queue.arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic.arn}},
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def put(queue, *statements):
    queue.set(Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


@pytest.fixture
def topic(backend):
    return backend.topic()


@pytest.fixture
def queue(backend, topic):
    """A queue that is subscribed and has no policy yet."""
    queue = backend.queue()
    topic.subscribe_only(queue, **RAW)
    return queue


def part(arn, index, value):
    parts = arn.split(":")
    parts[index] = value
    return ":".join(parts)


@pytest.mark.parametrize(
    "changes",
    [
        lambda arn: {},
        lambda arn: {"Principal": "*", "Condition": {"ArnLike": {"AWS:SourceArn": arn}}},
        lambda arn: {"Principal": {"AWS": "*"}, "Condition": {"ArnLike": {"aws:SourceArn": arn}}},
        lambda arn: {"Principal": {"Service": ["sqs.amazonaws.com", "sns.amazonaws.com"]}},
        lambda arn: {"Action": ["sqs:ReceiveMessage", "SQS:SendMessage"]},
        lambda arn: {"Action": "sqs:*"},
        lambda arn: {"Resource": "*"},
        lambda arn: {"Condition": None},
        lambda arn: {"Condition": {"ArnEquals": {"aws:SourceArn": ["arn:aws:sns:a:b:c", arn]}}},
        lambda arn: {"Condition": {"ArnLike": {"aws:SourceArn": part(arn, 5, "t-*")}}},
        lambda arn: {"Condition": {"ArnEquals": {"aws:SourceArn": part(arn, 3, "*")}}},
        lambda arn: {"Condition": {"StringEquals": {"aws:SourceArn": arn}}},
        lambda arn: {"Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}},
        lambda arn: {
            "Condition": {
                "ArnEquals": {"aws:SourceArn": arn},
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
            }
        },
    ],
)
def test_a_policy_that_allows_the_topic_lets_it_deliver(topic, queue, changes):
    put(queue, statement(queue, topic, **changes(topic.arn)))
    topic.publish("x")
    assert queue.bodies(1) == ["x"]


def test_without_a_policy_nothing_is_delivered(backend, topic, queue):
    backend.lax("it delivers without one", rule=GUIDE)
    topic.publish("x")
    assert queue.is_empty()


@pytest.mark.parametrize(
    "changes",
    [
        lambda arn: {"Principal": {"AWS": ACCOUNT}},
        lambda arn: {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}},
        lambda arn: {"Principal": {"Service": "s3.amazonaws.com"}},
        lambda arn: {"Action": "sqs:ReceiveMessage"},
        lambda arn: {"Resource": "arn:aws:sqs:us-east-1:000000000000:other"},
        lambda arn: {"Condition": {"ArnEquals": {"aws:SourceArn": f"{arn}-other"}}},
        lambda arn: {"Condition": {"StringEquals": {"aws:SourceArn": part(arn, 5, "*")}}},
        lambda arn: {"Condition": {"StringEquals": {"aws:SourceAccount": "111111111111"}}},
        lambda arn: {
            "Condition": {
                "ArnEquals": {"aws:SourceArn": arn},
                "StringEquals": {"aws:SourceAccount": "111111111111"},
            }
        },
    ],
)
def test_a_policy_that_allows_others_delivers_nothing(backend, topic, queue, changes):
    backend.lax(UNREAD, rule=GUIDE)
    put(queue, statement(queue, topic, **changes(topic.arn)))
    topic.publish("x")
    assert queue.is_empty()


def test_a_denial_wins(backend, topic, queue):
    backend.lax(UNREAD, rule="IAM user guide, Policy evaluation logic: an explicit deny wins")
    put(queue, statement(queue, topic), statement(queue, topic, Effect="Deny"))
    topic.publish("x")
    assert queue.is_empty()


def test_what_a_policy_refuses_goes_to_the_dead_letter_queue_of_the_subscription(backend):
    backend.lax(UNREAD, rule="SNS developer guide, Amazon SNS dead-letter queues")
    topic, queue, dead = backend.topic(), backend.queue(), backend.queue()
    dead.allow(topic)
    redrive = json.dumps({"deadLetterTargetArn": dead.arn})
    topic.subscribe_only(queue, **RAW, RedrivePolicy=redrive)
    topic.publish("x")
    backend.settle()
    assert [message["Body"] for message in dead.receive()] == ["x"]
    assert queue.is_empty()


def test_the_dead_letter_queue_of_a_subscription_needs_a_policy_too(local_aws):
    topic, queue, dead = local_aws.topic(), local_aws.queue(), local_aws.queue()
    redrive = json.dumps({"deadLetterTargetArn": dead.arn})
    topic.subscribe_only(queue, **RAW, RedrivePolicy=redrive)
    topic.publish("x")
    assert dead.is_empty()


def test_the_account_needs_no_policy_for_its_own_queue(backend):
    queue = backend.queue()
    queue.send("x")
    assert queue.bodies(1) == ["x"]


def test_a_policy_can_forbid_an_operation_to_its_own_account(backend):
    backend.lax(UNREAD, rule="IAM user guide, Policy evaluation logic: an explicit deny wins")
    topic, queue = backend.topic(), backend.queue()
    queue.send("x")
    put(queue, statement(queue, topic, Effect="Deny", Principal="*", Condition=None))
    with backend.refused("AccessDenied", status=403):
        queue.send("y")
    with backend.refused("AccessDenied", status=403):
        queue.send_batch({"Id": "a", "MessageBody": "y"})
    assert queue.bodies(1) == ["x"]


@pytest.mark.parametrize("text", ["no json", "[]", '{"Statement": [{"Effect": "Maybe"}]}'])
def test_a_policy_that_is_none_is_refused(backend, text):
    backend.lax("it takes any text", rule="SQS API reference, SetQueueAttributes: Policy")
    with backend.refused("InvalidAttributeValue", text="Policy"):
        backend.queue().set(Policy=text)
