from __future__ import annotations

import pytest

from sourceflow.transports.aws.names import (
    check_queue_name,
    check_topic_name,
    dead_letter_name,
    display_name,
    event_queue_name,
)

CHECKS = pytest.mark.parametrize("check", [check_queue_name, check_topic_name])


@CHECKS
@pytest.mark.parametrize("name", ["orders", "orders.fifo", "a", "A-1_b", "Orders"])
def test_a_name_that_aws_takes_is_returned_as_it_is(check, name):
    assert check(name) == name


@CHECKS
@pytest.mark.parametrize("name", ["", "  ", "\t", None, 7])
def test_a_blank_name_is_refused(check, name):
    with pytest.raises(ValueError, match="is blank"):
        check(name)


@CHECKS
@pytest.mark.parametrize(
    "name",
    [
        "https://sqs.us-east-1.amazonaws.com/123456789012/orders",
        "http://127.0.0.1:4566/000000000000/orders",
    ],
)
def test_a_url_is_refused_with_the_name_it_holds(check, name):
    with pytest.raises(ValueError, match="is a URL: give the name only, 'orders'"):
        check(name)


@CHECKS
@pytest.mark.parametrize(
    "name", ["arn:aws:sqs:us-east-1:123456789012:orders", "ARN:aws:sns:x:1:orders"]
)
def test_an_arn_is_refused_with_the_name_it_holds(check, name):
    with pytest.raises(ValueError, match="is an ARN: give the name only, 'orders'"):
        check(name)


@CHECKS
@pytest.mark.parametrize(
    "name", ["or ders", "orders.fifo.fifo", "orders.", "bestellung-für", ".fifo", "a/b", "orders\n"]
)
def test_other_characters_are_refused(check, name):
    with pytest.raises(ValueError, match=r"may hold letters, digits, '-' and '_' only"):
        check(name)


@pytest.mark.parametrize(("check", "longest"), [(check_queue_name, 80), (check_topic_name, 256)])
def test_the_length_counts_suffix_and_prefix(check, longest):
    fits = "x" * (longest - len("test-.fifo")) + ".fifo"

    assert check(fits, prefix="test-") == f"test-{fits}"
    with pytest.raises(ValueError, match=f"has {longest + 1} characters; AWS takes {longest}"):
        check("x" + fits, prefix="test-")


@pytest.mark.parametrize(
    ("queue", "dead"), [("orders", "orders-dlq"), ("orders.fifo", "orders-dlq.fifo")]
)
def test_a_dead_letter_queue_is_of_its_queues_kind(queue, dead):
    assert dead_letter_name(queue) == dead


def test_an_app_has_one_event_queue_of_each_kind():
    assert event_queue_name("orders", fifo=False) == "orders-events"
    assert event_queue_name("orders", fifo=True) == "orders-events.fifo"


@pytest.mark.parametrize(
    ("topic", "shown"),
    [
        ("order-events", "Order Events"),
        ("order_events.fifo", "Order Events"),
        ("x" * 120, "X" + "x" * 99),
    ],
)
def test_a_display_name_is_made_of_words(topic, shown):
    assert display_name(topic) == shown
