"""What is missing and what is left over of an App's queues, topics, subscriptions and policies."""

from __future__ import annotations

import json

import pytest

from sourceflow import Event, Key
from sourceflow.transports.aws import AwsTransport


class Happened(Event):
    id: Key[str]


@pytest.fixture
def resources(cloud):
    """Connects to the resources of an App that subscribes to topics."""

    def resources(*topics, app="shop", **options):
        def configure(bus):
            bus.listen.to.command_queue("orders.fifo")
            for topic in topics:
                bus.subscribe.to.topic(topic)

        transport = AwsTransport(cloud.options(**options), configure, credentials=cloud.credentials)
        return transport.resources(app, subscribed=())

    return resources


def told(found, cloud):
    return {
        (
            each.kind,
            each.name.removeprefix(cloud.prefix),
            each.topic.removeprefix(cloud.prefix),
        )
        for each in found
    }


def feeds(queue, *topics):
    return {(kind, queue, topic) for kind in ("subscription", "policy") for topic in topics}


QUEUES = {("queue", "orders.fifo", ""), ("dead letter queue", "orders-dlq.fifo", "")}
EVENTS = {("queue", "shop-events", ""), ("dead letter queue", "shop-events-dlq", "")}


async def test_everything_is_missing_at_first_and_nothing_when_it_is_made(cloud, resources):
    async with resources("sales") as own:
        missing = await own.missing()
        assert told(missing, cloud) == {
            *QUEUES,
            *EVENTS,
            ("topic", "sales", ""),
            *feeds("shop-events", "sales"),
        }
        assert await own.missing() == missing  # looking has changed nothing
        await own.make()
        assert await own.missing() == []
        assert await own.surplus() == []


async def test_what_is_added_is_all_that_is_missing(cloud, resources):
    async with resources("sales") as own:
        await own.make()
    async with resources("sales", "stock") as own:
        expected = {("topic", "stock", ""), *feeds("shop-events", "stock")}
        assert told(await own.missing(), cloud) == expected


async def test_a_queue_that_has_other_dead_letters_misses_none(cloud, resources):
    other = await cloud.make_queue("other.fifo", FifoQueue="true")
    answer = await cloud.plane.sqs(
        "get_queue_attributes", QueueUrl=other["QueueUrl"], AttributeNames=["QueueArn"]
    )
    redrive = {"deadLetterTargetArn": answer["Attributes"]["QueueArn"], "maxReceiveCount": 3}
    await cloud.make_queue("orders.fifo", FifoQueue="true", RedrivePolicy=json.dumps(redrive))
    async with resources() as own:
        assert await own.missing() == []


async def test_a_topic_that_is_no_longer_subscribed_to_is_left_over_and_removed(cloud, resources):
    async with resources("sales", "stock") as own:
        await own.make()
    async with resources("sales") as own:
        surplus = await own.surplus()
        assert told(surplus, cloud) == feeds("shop-events", "stock")
        assert [await own.remove(each) for each in surplus] == [True, True]
        assert await own.surplus() == []
        assert await own.missing() == []
    for queue in ("shop-events", "shop-events-dlq"):
        policy = (await cloud.attributes(queue))["Policy"]
        assert "sales" in policy
        assert "stock" not in policy


async def test_an_event_queue_that_nothing_feeds_is_removed_if_it_is_empty(cloud, resources):
    async with resources("sales", "stock.fifo") as own:
        await own.make()
    url = await cloud.url("shop-events.fifo")
    sent = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
    await cloud.plane.sqs("send_message", QueueUrl=url, MessageBody="{}", **sent)

    async with resources("sales") as own:
        surplus = await own.surplus()
        assert told(surplus, cloud) == {
            *feeds("shop-events.fifo", "stock.fifo"),
            ("queue", "shop-events.fifo", ""),
            ("dead letter queue", "shop-events-dlq.fifo", ""),
        }
        gone = {each.kind: await own.remove(each) for each in surplus}
        assert gone == {
            "subscription": True,
            "policy": True,
            "queue": False,
            "dead letter queue": True,
        }
        assert [each.keeps for each in await own.surplus()] == [1]
        await cloud.plane.sqs("purge_queue", QueueUrl=url)
        (left,) = await own.surplus()
        assert await own.remove(left)
        assert await own.surplus() == []


async def test_what_may_be_anothers_is_never_left_over(cloud, resources):
    async with resources("sales", app="stock") as other:
        await other.make()
    await cloud.make_queue("payments.fifo", FifoQueue="true")
    async with resources("sales") as own:
        await own.make()
        arn = (await cloud.attributes("shop-events"))["QueueArn"]
    topic = (await cloud.plane.sns("create_topic", Name=f"{cloud.prefix}by-hand"))["TopicArn"]
    await cloud.plane.sns("subscribe", TopicArn=topic, Protocol="sqs", Endpoint=arn)

    async with resources("sales") as own:
        assert await own.surplus() == []
    async with resources() as own:
        assert told(await own.surplus(), cloud) == {*feeds("shop-events", "sales"), *EVENTS}


async def test_a_topic_that_was_deleted_is_only_a_policy_that_is_left(cloud, resources):
    async with resources("sales", "stock") as own:
        provisioned = await own.make()
    await cloud.plane.sns("delete_topic", TopicArn=provisioned.topics["stock"].arn)

    async with resources("sales") as own:
        surplus = await own.surplus()
        assert ("policy", "shop-events", "stock") in told(surplus, cloud)
        for each in surplus:
            await own.remove(each)
        assert await own.surplus() == []
