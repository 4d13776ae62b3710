from __future__ import annotations

from datetime import timedelta

import pytest

from sourceflow import Command, Event, Key
from sourceflow.transports.aws import AwsOptions, DeadLetterMonitor, SnsAlert
from sourceflow.transports.aws.bus import configure_bus
from sourceflow.transports.aws.provisioning import plan_resources


class Pay(Command):
    id: Key[str]


class Paid(Event):
    id: Key[str]


def page(bus):
    return (
        bus.send.command(Pay, queue="payments.fifo")
        .raise_.event(Paid, topic="payment-events")
        .listen.to.command_queue("payments.fifo")
        .subscribe.to.topic("payment-events")
    )


def plan(configure=page, *, app="orders", **options):
    return plan_resources(
        AwsOptions(**{"region": "us-east-1", **options}),
        configure_bus(configure),
        app,
        subscribed=("Paid",),
    )


def names(resources):
    return [each.full_name for each in resources]


def test_every_name_has_the_prefix():
    made = plan(resource_prefix="test-")

    assert names(made.queues) == ["test-payments.fifo", "test-orders-events"]
    assert [queue.dead_letter_name for queue in made.queues] == [
        "test-payments-dlq.fifo",
        "test-orders-events-dlq",
    ]
    assert names(made.topics) == ["test-payment-events"]


def test_a_queue_that_is_sent_to_and_listened_to_is_made_once():
    assert names(plan().queues) == ["payments.fifo", "orders-events"]


@pytest.mark.parametrize(
    ("off", "queues", "topics"),
    [
        (("enable_command_routing", "enable_command_listener"), ["orders-events"], 1),
        (("enable_event_routing", "enable_event_listener"), ["payments.fifo"], 0),
        (("enable_event_listener",), ["payments.fifo"], 1),
        (("enable_command_listener",), ["payments.fifo", "orders-events"], 1),
    ],
)
def test_what_is_switched_off_needs_nothing(off, queues, topics):
    made = plan(**dict.fromkeys(off, False))

    assert names(made.queues) == queues
    assert len(made.topics) == topics


def test_the_topic_of_an_alert_is_made_and_feeds_no_queue():
    made = plan(
        resource_prefix="test-",
        enable_event_routing=False,
        dead_letter_monitor=DeadLetterMonitor(alerts=(SnsAlert("alerts"),)),
    )

    assert {topic.full_name: topic.queue for topic in made.topics} == {
        "test-payment-events": "orders-events",
        "test-alerts": None,
    }


def test_a_queue_that_is_only_sent_to_is_not_listened_to():
    made = plan(enable_command_listener=False, enable_event_listener=False)

    assert [queue.listened for queue in made.queues] == [False]


def test_the_options_set_attributes_and_a_queues_own_values_override_them():
    def configure(bus):
        return bus.listen.to.command_queue("fast").command_queue(
            "slow", visibility_timeout=timedelta(minutes=5), max_attempts=2
        )

    fast, slow = plan(
        configure,
        visibility_timeout=timedelta(seconds=45),
        max_attempts=7,
        wait_time=timedelta(seconds=3),
        message_retention=timedelta(days=10),
    ).queues

    assert (fast.attributes["VisibilityTimeout"], fast.max_receive_count) == ("45", 21)
    assert (slow.attributes["VisibilityTimeout"], slow.max_receive_count) == ("300", 6)
    assert slow.attributes["ReceiveMessageWaitTimeSeconds"] == "3"
    assert slow.attributes["MessageRetentionPeriod"] == "864000"
    assert slow.dead_letter_attributes["MessageRetentionPeriod"] == "1209600"


def test_a_name_that_gets_too_long_by_prefix_or_suffix_is_refused():
    long = "x" * 75 + ".fifo"

    with pytest.raises(ValueError, match="characters; AWS takes 80"):
        plan(lambda bus: bus.listen.to.command_queue(long))  # its dead letter queue's name
    with pytest.raises(ValueError, match="characters; AWS takes 80"):
        plan(lambda bus: bus.listen.to.command_queue("x" * 70), resource_prefix="y" * 20)
