from __future__ import annotations

import json

from sourceflow.transports.aws.client import AttributeValue, ReceivedMessage
from sourceflow.transports.aws.dead_letters import dead_letter_queues
from sourceflow.transports.aws.dead_letters.letter import read_letter
from sourceflow.transports.aws.dead_letters.letter_cipher import LetterCipher
from sourceflow.transports.aws.provisioning import Provisioned, ProvisionedQueue

TOPIC = "arn:aws:sns:us-east-1:000000000000:paid"


async def read(message, queue, post):
    return await read_letter(message, queue, post.codec, LetterCipher(None, queue))


def queue(name, dead_letter_url):
    return ProvisionedQueue(
        name=name,
        url=f"http://sqs/0/{name}",
        arn=f"arn:aws:sqs:us-east-1:000000000000:{name}",
        dead_letter_url=dead_letter_url,
        max_message_bytes=1_048_576,
    )


def provisioned():
    return Provisioned(
        queues={
            "orders.fifo": queue("p-orders.fifo", "http://sqs/0/p-orders-dlq.fifo"),
            "shop-events": queue("p-shop-events", "http://sqs/0/p-shop-events-dlq"),
            "bare": queue("p-bare", None),
        },
        topics={},
        event_queues=("shop-events",),
        subscribed_arns=frozenset({TOPIC}),
        warnings=(),
    )


def test_queues_go_by_the_names_of_the_bus_and_those_without_dead_letters_are_left_out():
    found = dead_letter_queues(("orders.fifo", "shop-events", "bare"), provisioned())

    assert {name: (each.url, each.is_fifo) for name, each in found.items()} == {
        "orders.fifo": ("http://sqs/0/p-orders-dlq.fifo", True),
        "shop-events": ("http://sqs/0/p-shop-events-dlq", False),
    }
    assert found["orders.fifo"].topics == frozenset()


def test_letters_of_queues_that_share_a_dead_letter_queue_are_read_by_either():
    shared = "http://sqs/0/dead"
    found = dead_letter_queues(
        ("a", "shop-events"),
        Provisioned(
            queues={
                "a": queue("a", shared),
                "b": queue("b", shared),
                "shop-events": queue("shop-events", "http://sqs/0/other"),
            },
            topics={},
            event_queues=("shop-events",),
            subscribed_arns=frozenset({TOPIC}),
            warnings=(),
        ),
    )
    arn = "arn:aws:sqs:us-east-1:000000000000:"
    assert found["a"].destinations == {f"{arn}a", f"{arn}b"}
    assert found["shop-events"].destinations == {f"{arn}shop-events", TOPIC}


async def test_a_notification_is_read_on_an_event_queue_only(post):
    """Where raw delivery is off, SNS wraps what it delivers."""
    found = dead_letter_queues(("orders.fifo", "shop-events"), provisioned())
    paid = next(info.type for info in post.codec._registry if info.name == "Paid")
    body = {
        "Type": "Notification",
        "TopicArn": TOPIC,
        "Message": post.body(paid(order="o-1"), "m-1"),
        "MessageAttributes": {"type": {"Type": "String", "Value": "Paid"}},
    }
    message = ReceivedMessage(
        message_id="s-1", receipt_handle="r", body=json.dumps(body), attributes={}
    )

    letter = await read(message, found["shop-events"], post)
    assert letter.message == paid(order="o-1")
    letter = await read(message, found["orders.fifo"], post)
    assert letter.problem.startswith("MalformedError")


async def test_a_letter_without_an_id_goes_by_the_copy_that_was_given_up(post):
    """As its record does: so a redrive finds it."""
    found = dead_letter_queues(("orders.fifo",), provisioned())
    message = ReceivedMessage(
        message_id="s-2",
        receipt_handle="r",
        body="no json",
        attributes={
            "sourceflow-dead-letter": AttributeValue("String", json.dumps({"copy": "s-1"}))
        },
    )
    letter = await read(message, found["orders.fifo"], post)
    assert letter.message_id == "s-1"
