"""Where things are, looked up by an App that does not run."""

from __future__ import annotations

import pytest

from sourceflow import Event, Key
from sourceflow.errors import AwsConfigurationError
from sourceflow.transports.aws.bus import configure_bus
from sourceflow.transports.aws.health import sought_places
from sourceflow.transports.aws.options import AwsOptions
from sourceflow.transports.aws.provisioning import plan_resources


class Struck(Event):
    id: Key[str]


@pytest.fixture
def places(sqs, sns):
    def make(configure):
        plan = plan_resources(
            AwsOptions(region="us-east-1"), configure_bus(configure), "clock", subscribed=()
        )
        return sought_places(plan, sqs, sns)

    return make


def only_topic(bus):
    return bus.raise_.event(Struck, topic="strikes")


def both(bus):
    return only_topic(bus).listen.to.command_queue("ticks")


@pytest.fixture
def make_topic(aws):
    def make(name):
        aws._sns.call("CreateTopic", {"Name": name}, 0.0)

    return make


async def test_a_queue_is_looked_up_once_with_its_dead_letter_queue(places, make_queue, wire):
    dead = await make_queue("ticks-dlq")
    arn = "arn:aws:sqs:us-east-1:000000000000:ticks-dlq"
    await make_queue(
        "ticks", RedrivePolicy=f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 3}}'
    )
    found = places(both).queues["ticks"]

    for _ in range(2):
        place = await found.get()

    assert place.arn.endswith(":ticks")
    assert place.dead_letter_url == dead
    assert wire.count("GetQueueUrl") == 2


async def test_a_queue_without_a_dead_letter_queue_has_none(places, make_queue):
    await make_queue("ticks")

    assert (await places(both).queues["ticks"].get()).dead_letter_url is None


async def test_what_failed_is_asked_for_once_too(places, wire):
    found = places(both).queues["ticks"]

    for _ in range(2):
        with pytest.raises(AwsConfigurationError):
            await found.get()

    assert wire.count("GetQueueUrl") == 1


async def test_a_topic_stands_where_the_queues_stand(places, make_queue, wire):
    await make_queue("ticks")

    arn = await places(both).topics["strikes"].get()

    assert arn == "arn:aws:sns:us-east-1:000000000000:strikes"
    assert not wire.count("ListTopics")


async def test_without_queues_all_topics_are_listed(places, make_topic, wire):
    for number in range(150):
        make_topic(f"t-{number}")
    make_topic("strikes")

    arn = await places(only_topic).topics["strikes"].get()

    assert arn.endswith(":strikes")
    assert wire.count("ListTopics") == 2


async def test_a_topic_that_is_nowhere_does_not_exist(places):
    with pytest.raises(AwsConfigurationError) as raised:
        await places(only_topic).topics["strikes"].get()

    assert raised.value.code == "NotFound"


async def test_a_topic_is_not_known_while_its_queues_cannot_be_asked_for(places, wire):
    wire.next("GetQueueUrl", (403, {"__type": "AccessDeniedException"}))

    with pytest.raises(AwsConfigurationError) as raised:
        await places(both).topics["strikes"].get()

    assert raised.value.operation == "GetQueueUrl"
    assert not wire.count("ListTopics")
