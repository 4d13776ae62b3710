from __future__ import annotations

from datetime import timedelta

import pytest

from sourceflow import Command, Event, Key
from sourceflow.transports.aws import AwsOptions, AwsTransport
from sourceflow.transports.aws.bus import ListenedQueue, SubscribedTopic, configure_bus


class Open(Command):
    id: Key[str]


class Close(Command):
    id: Key[str]


class Opened(Event):
    id: Key[str]


class Closed(Event):
    id: Key[str]


def test_the_sections_are_read_in_the_designs_order():
    bus = configure_bus(
        lambda bus: (
            bus.send.command(Open, queue="accounts.fifo")
            .command(Close, queue="accounts.fifo")
            .raise_.event(Opened, topic="account-events")
            .event(Closed, topic="account-events")
            .listen.to.command_queue("accounts.fifo")
            .subscribe.to.topic("account-events")
        )
    )

    assert bus.commands == {Open: "accounts.fifo", Close: "accounts.fifo"}
    assert bus.events == {Opened: "account-events", Closed: "account-events"}
    assert bus.command_queues == (ListenedQueue(name="accounts.fifo"),)
    assert bus.topics == (SubscribedTopic(name="account-events"),)


def test_sections_come_in_any_order_and_more_than_once():
    bus = configure_bus(
        lambda bus: (
            bus.subscribe.to.topic("a")
            .send.command(Open, queue="q")
            .listen.to.command_queue("q")
            .raise_.event(Opened, topic="a")
            .send.command(Close, queue="r")
            .subscribe.to.topic("b")
        )
    )

    assert bus.commands == {Open: "q", Close: "r"}
    assert [topic.name for topic in bus.topics] == ["a", "b"]


def test_a_bus_may_say_nothing_at_all():
    bus = configure_bus(lambda bus: bus)

    assert (bus.commands, bus.events, bus.command_queues, bus.topics) == ({}, {}, (), ())


def test_a_queue_overrides_the_options_for_itself():
    bus = configure_bus(
        lambda bus: bus.listen.to.command_queue(
            "slow",
            max_concurrent_calls=2,
            visibility_timeout=timedelta(minutes=5),
            max_attempts=3,
            timeout=timedelta(seconds=90),
        )
    )

    assert bus.command_queues == (
        ListenedQueue(
            name="slow",
            max_concurrent_calls=2,
            visibility_timeout=timedelta(minutes=5),
            max_attempts=3,
            timeout=timedelta(seconds=90),
        ),
    )


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ({"max_concurrent_calls": 0}, "max_concurrent_calls"),
        ({"visibility_timeout": timedelta(days=1)}, "visibility_timeout"),
        ({"max_attempts": 1000}, "max_attempts"),
        ({"timeout": timedelta(0)}, "timeout"),
    ],
)
def test_an_override_out_of_range_is_refused(override, text):
    with pytest.raises(ValueError, match=text):
        configure_bus(lambda bus: bus.listen.to.command_queue("q", **override))


@pytest.mark.parametrize(
    "configure",
    [
        lambda bus: bus.send.command(Open, queue=" "),
        lambda bus: bus.raise_.event(Opened, topic="arn:aws:sns:us-east-1:1:t"),
        lambda bus: bus.listen.to.command_queue("https://sqs/1/q"),
        lambda bus: bus.subscribe.to.topic("no spaces"),
        lambda bus: bus.send.command(Open, queue="x" * 76 + ".fifo"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_when_the_transport_is_made(configure):
    with pytest.raises(ValueError, match="name"):
        AwsTransport(AwsOptions(region="us-east-1"), configure)


def test_a_type_has_one_destination():
    with pytest.raises(ValueError, match="Open goes to the queue 'a' already, not also to 'b'"):
        configure_bus(lambda bus: bus.send.command(Open, queue="a").command(Open, queue="b"))
    with pytest.raises(ValueError, match="Opened goes to the topic 'a' already, not also to 'b'"):
        configure_bus(lambda bus: bus.raise_.event(Opened, topic="a").event(Opened, topic="b"))


def test_the_same_route_may_be_said_twice():
    bus = configure_bus(lambda bus: bus.send.command(Open, queue="a").command(Open, queue="a"))

    assert bus.commands == {Open: "a"}


def test_nothing_is_listened_to_twice():
    with pytest.raises(ValueError, match="the queue 'q' is listened to twice"):
        configure_bus(lambda bus: bus.listen.to.command_queue("q").command_queue("q"))
    with pytest.raises(ValueError, match="the topic 't' is subscribed to twice"):
        configure_bus(lambda bus: bus.subscribe.to.topic("t").topic("t"))


def test_names_that_differ_in_case_are_different():
    bus = configure_bus(lambda bus: bus.listen.to.command_queue("orders").command_queue("Orders"))

    assert [queue.name for queue in bus.command_queues] == ["orders", "Orders"]


def test_a_route_is_for_a_type():
    with pytest.raises(TypeError, match="a route is for a message type, not for 'Open'"):
        configure_bus(lambda bus: bus.send.command("Open", queue="q"))


@pytest.mark.parametrize(
    ("option", "part", "rest"),
    [
        ("enable_command_routing", "commands", {}),
        ("enable_event_routing", "events", {}),
        ("enable_command_listener", "listens", ()),
        ("enable_event_listener", "subscribes", ()),
    ],
)
def test_a_part_that_is_switched_off_has_no_routes(option, part, rest):
    def configure(bus):
        return (
            bus.send.command(Open, queue="q")
            .raise_.event(Opened, topic="t")
            .listen.to.command_queue("q")
            .subscribe.to.topic("t")
        )

    whole = AwsTransport(AwsOptions(region="us-east-1"), configure).routes
    less = AwsTransport(AwsOptions(region="us-east-1", **{option: False}), configure).routes

    assert getattr(less, part) == rest
    for other in {"commands", "events", "listens", "subscribes"} - {part}:
        assert getattr(less, other) == getattr(whole, other)
        assert getattr(whole, other)
