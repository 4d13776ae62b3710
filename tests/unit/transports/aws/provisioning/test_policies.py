from __future__ import annotations

import json

import pytest

from sourceflow.errors import AwsConfigurationError
from sourceflow.transports.aws.provisioning.policies import (
    allowed_topics,
    may_allow,
    with_topics,
    without_topic,
)

QUEUE = "arn:aws:sqs:eu-central-1:123456789012:orders-events"
FOREIGN = {
    "Sid": "theirs",
    "Effect": "Allow",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": QUEUE,
}


def topic(name):
    return f"arn:aws:sns:eu-central-1:123456789012:{name}"


def sources(policy):
    return [
        each["Condition"]["ArnEquals"]["aws:SourceArn"]
        for each in json.loads(policy)["Statement"]
        if each["Sid"] == "sourceflow-sns"
    ]


def test_one_statement_names_all_topics():
    policy = with_topics("", QUEUE, [topic("b"), topic("a")])

    assert sources(policy) == [[topic("a"), topic("b")]]
    assert may_allow(policy, QUEUE, topic("a"))
    assert not may_allow(policy, QUEUE, topic("c"))


def test_the_statement_is_for_the_queues_own_account():
    [statement] = json.loads(with_topics("", QUEUE, [topic("a")]))["Statement"]

    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}


def test_nothing_is_written_where_all_is_there():
    policy = with_topics("", QUEUE, [topic("a"), topic("b")])

    assert with_topics(policy, QUEUE, [topic("b")]) is None
    assert with_topics(policy, QUEUE, []) is None


def test_topics_that_are_there_stay():
    policy = with_topics(with_topics("", QUEUE, [topic("a")]), QUEUE, [topic("b")])

    assert sources(policy) == [[topic("a"), topic("b")]]


@pytest.mark.parametrize("statement", [FOREIGN, [FOREIGN]], ids=["alone", "in a list"])
def test_statements_of_others_stay(statement):
    theirs = json.dumps({"Version": "2012-10-17", "Id": "x", "Statement": statement})
    policy = json.loads(with_topics(theirs, QUEUE, [topic("a")]))

    assert policy["Statement"][0] == FOREIGN
    assert policy["Id"] == "x"
    assert len(policy["Statement"]) == 2


def test_a_single_source_is_read_like_a_list_of_one():
    ours = with_topics("", QUEUE, [topic("a")]).replace(f'["{topic("a")}"]', f'"{topic("a")}"')

    assert with_topics(ours, QUEUE, [topic("a")]) is None


def test_a_policy_that_would_be_too_long_is_refused_before_aws_does():
    with pytest.raises(AwsConfigurationError, match="more than 8,192 bytes with 300 topics"):
        with_topics("", QUEUE, [topic(f"topic-{at}") for at in range(300)])


def test_a_policy_that_is_no_policy_is_refused_with_the_queue():
    with pytest.raises(AwsConfigurationError, match=f"the policy of {QUEUE} cannot be read"):
        with_topics("no json", QUEUE, [topic("a")])


class TestMayAllow:
    """What a policy of anybody's may allow; only what surely keeps a topic out is refused."""

    def test_our_statement_allows_its_topics(self):
        policy = with_topics("", QUEUE, [topic("a")])

        assert may_allow(policy, QUEUE, topic("a"))
        assert not may_allow(policy, QUEUE, topic("b"))

    def test_no_policy_allows_nothing(self):
        assert not may_allow("", QUEUE, topic("a"))

    @pytest.mark.parametrize(
        "change",
        [
            {},
            {"Action": "SQS:SendMessage"},
            {"Action": ["sqs:ReceiveMessage", "sqs:Send*"]},
            {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:123456789012:*"}}},
            {"Condition": {"StringEquals": {"AWS:SourceArn": [topic("b"), topic("a")]}}},
            {"Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}},
            {"Condition": {"ArnNotEquals": {"aws:SourceArn": topic("a")}}},
            {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        ],
    )
    def test_a_statement_of_others_may_allow_it(self, change):
        policy = json.dumps({"Statement": FOREIGN | change})

        assert may_allow(policy, QUEUE, topic("a"))

    @pytest.mark.parametrize(
        "change",
        [
            {"Effect": "Deny"},
            {"Action": "sqs:ReceiveMessage"},
            {"Condition": {"ArnEquals": {"aws:SourceArn": topic("b")}}},
            {"Condition": {"StringLike": {"aws:SourceArn": ["arn:aws:sns:*:999999999999:*"]}}},
        ],
    )
    def test_a_statement_that_is_about_something_else_does_not(self, change):
        policy = json.dumps({"Statement": [FOREIGN | change]})

        assert not may_allow(policy, QUEUE, topic("a"))


def test_one_topic_is_taken_out_and_others_stay():
    foreign = json.dumps({"Statement": FOREIGN})
    policy = with_topics(foreign, QUEUE, [topic("a"), topic("b")])

    one = without_topic(policy, QUEUE, topic("a"))
    assert allowed_topics(one, QUEUE) == (topic("b"),)
    none = without_topic(one, QUEUE, topic("b"))
    assert allowed_topics(none, QUEUE) == ()
    assert json.loads(none)["Statement"] == [FOREIGN]
    assert without_topic(none, QUEUE, topic("a")) is None


def test_a_policy_of_which_nothing_is_left_is_empty():
    policy = with_topics("", QUEUE, [topic("a")])

    assert without_topic(policy, QUEUE, topic("a")) == ""
    assert without_topic("", QUEUE, topic("a")) is None
