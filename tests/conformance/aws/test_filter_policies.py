"""Filter policies: which messages a subscription gets."""

from __future__ import annotations

import json

import pytest

RAW = {"RawMessageDelivery": "true"}
GUIDE = "SNS developer guide, Amazon SNS subscription filter policies"


def text(value):
    return {"DataType": "String", "StringValue": value}


def number(value):
    return {"DataType": "Number", "StringValue": value}


def array(*values):
    return {"DataType": "String.Array", "StringValue": json.dumps(values)}


def filtered(backend, policy, **more):
    topic, queue = backend.topic(), backend.queue()
    topic.subscribe(queue, **RAW, FilterPolicy=json.dumps(policy), **more)
    return topic, queue


@pytest.mark.parametrize(
    ("policy", "wanted", "unwanted"),
    [
        ({"k": ["a", "b"]}, [{"k": text("b")}], [{"k": text("c")}, {"k": text("B")}, {}]),
        ({"k": [{"prefix": "ord"}]}, [{"k": text("order")}], [{"k": text("reorder")}, {}]),
        ({"k": [{"suffix": "er"}]}, [{"k": text("order")}], [{"k": text("orders")}]),
        ({"k": [{"equals-ignore-case": "ab"}]}, [{"k": text("aB")}], [{"k": text("b")}]),
        ({"k": [{"anything-but": ["a", "b"]}]}, [{"k": text("c")}], [{"k": text("a")}, {}]),
        ({"k": [{"anything-but": "a"}]}, [{"k": text("b")}], [{"k": text("a")}]),
        ({"k": [{"anything-but": {"prefix": "a"}}]}, [{"k": text("b")}], [{"k": text("ab")}]),
        ({"k": [{"exists": True}]}, [{"k": text("a")}], [{"other": text("a")}, {}]),
        ({"k": [{"exists": False}]}, [{"other": text("a")}, {}], [{"k": text("a")}]),
        ({"k": [{"numeric": ["=", 1.5]}]}, [{"k": number("1.50")}], [{"k": number("2")}]),
        (
            {"k": [{"numeric": [">", 0, "<=", 10]}]},
            [{"k": number("0.1")}, {"k": number("10")}],
            [{"k": number("0")}, {"k": number("10.1")}],
        ),
        ({"k": [{"numeric": ["<", 5]}]}, [{"k": number("-5")}], [{"k": number("5")}, {}]),
        ({"k": ["a", {"prefix": "b"}]}, [{"k": text("a")}, {"k": text("bc")}], [{"k": text("ab")}]),
        (
            {"k": ["a"], "m": ["b"]},
            [{"k": text("a"), "m": text("b")}],
            [{"k": text("a")}, {"k": text("a"), "m": text("c")}],
        ),
        ({"k": ["a"]}, [{"k": array("x", "a")}], [{"k": array("x", "y")}]),
    ],
)
def test_a_message_passes_when_every_key_has_a_rule_that_matches(backend, policy, wanted, unwanted):
    topic, queue = filtered(backend, policy)
    batch = [("no", attributes) for attributes in unwanted] + [("yes", each) for each in wanted]
    topic.publish_batch(
        *(
            {"Id": str(at), "Message": body, "MessageAttributes": attributes}
            for at, (body, attributes) in enumerate(batch)
        )
    )
    assert queue.bodies(len(wanted)) == ["yes"] * len(wanted)
    assert queue.is_empty()


def test_texts_are_not_compared_with_numbers(backend):
    backend.lax("it takes the text for a number", rule=GUIDE + ": numeric value matching")
    topic, queue = filtered(backend, {"k": [{"numeric": ["=", 5]}]})
    topic.publish(MessageAttributes={"k": text("5")})
    assert queue.is_empty()


def test_bytes_match_no_rule_but_that_they_exist(backend):
    topic, queue = filtered(backend, {"k": ["a"]})
    topic.publish(MessageAttributes={"k": {"DataType": "Binary", "BinaryValue": b"a"}})
    assert queue.is_empty()


def test_a_policy_of_the_body_looks_into_the_message_at_any_depth(backend):
    policy = {"kind": ["order"], "customer": {"country": [{"prefix": "F"}]}}
    topic, queue = filtered(backend, policy, FilterPolicyScope="MessageBody")
    right = {"kind": "order", "customer": {"country": "France"}}
    wrong = {"kind": "order", "customer": {"country": "Germany"}}
    for body in (wrong, {"kind": "order"}, right):
        topic.publish(json.dumps(body))
    topic.publish("no json")
    assert [json.loads(body) for body in queue.bodies(1)] == [right]
    assert queue.is_empty()


def test_a_policy_can_be_set_and_removed(backend):
    topic, queue = backend.topic(), backend.queue()
    subscription = topic.subscribe(queue, **RAW)

    def set_policy(policy):
        backend.sns.set_subscription_attributes(
            SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue=policy
        )

    set_policy('{"k": ["a"]}')
    topic.publish("first")
    assert queue.is_empty()
    set_policy("{}")
    topic.publish("second")
    assert queue.bodies(1) == ["second"]


def test_every_subscription_has_its_own_policy(backend):
    topic, red, blue = backend.topic(), backend.queue(), backend.queue()
    for queue, colour in ((red, "red"), (blue, "blue")):
        topic.subscribe(queue, **RAW, FilterPolicy=json.dumps({"colour": [colour]}))
    topic.publish("x", MessageAttributes={"colour": text("blue")})
    assert blue.bodies(1) == ["x"]
    assert red.is_empty()


@pytest.mark.parametrize(
    "policy",
    [
        {"k": "a"},
        {"k": []},
        {"k": [["a"]]},
        {"k": {"nested": ["a"]}},
        {"k": [{"like": "a"}]},
        {"k": [{"prefix": "a", "suffix": "b"}]},
        {"k": [{"prefix": 1}]},
        {"k": [{"exists": "yes"}]},
        {"k": [{"numeric": ["~", 1]}]},
        {"k": [{"numeric": [">", "1"]}]},
        {str(key): ["a"] for key in range(6)},
        {str(key): [str(rule) for rule in range(6)] for key in range(3)},
    ],
)
def test_policies_that_are_malformed_or_too_complex_are_refused(backend, policy):
    with backend.refused("InvalidParameter"):
        filtered(backend, policy)
