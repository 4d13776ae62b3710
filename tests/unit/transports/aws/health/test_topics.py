"""Subscriptions, as SNS tells of them."""

from __future__ import annotations

import pytest

from sourceflow.bus.ports import HealthStatus
from sourceflow.transports.aws.client.sns_topics import Subscription, SubscriptionPage
from sourceflow.transports.aws.health.topics import SubscriptionHealth

HEALTHY, DEGRADED, UNHEALTHY = HealthStatus
TOPIC = "arn:aws:sns:us-east-1:000000000000:strikes"


@pytest.fixture
def call(aws):
    return lambda action, **form: aws._sns.call(action, form, 0.0)


@pytest.fixture
async def queue(make_queue, sqs):
    url = await make_queue("clock-events")
    return (await sqs.get_queue_attributes(url, ("QueueArn",)))["QueueArn"]


@pytest.fixture
def health(sns, queue, call):
    call("CreateTopic", Name="strikes")
    return SubscriptionHealth(sns, TOPIC, queue)


def subscribe(call, queue, *, raw=True):
    attribute = "Attributes.entry.1."
    call(
        "Subscribe",
        TopicArn=TOPIC,
        Protocol="sqs",
        Endpoint=queue,
        **{f"{attribute}key": "RawMessageDelivery", f"{attribute}value": str(raw).lower()},
    )


async def test_it_is_found_among_hundreds_and_remembered(health, call, queue, wire, make_queue):
    for number in range(120):
        await make_queue(f"other-{number}")
        subscribe(call, queue.replace("clock-events", f"other-{number}"))
    subscribe(call, queue)

    for _ in range(3):
        assert (await health.look()).status is HEALTHY

    assert wire.count("ListSubscriptionsByTopic") == 2


async def test_without_raw_delivery_it_degrades(health, call, queue):
    subscribe(call, queue, raw=False)

    assert (await health.look()).status is DEGRADED


async def test_one_that_was_removed_is_red_and_one_that_was_made_anew_is_found(
    health, call, queue, sns
):
    subscribe(call, queue)
    assert (await health.look()).status is HEALTHY
    (found,) = (await sns.list_subscriptions_by_topic(TOPIC)).subscriptions

    call("Unsubscribe", SubscriptionArn=found.arn)
    assert (await health.look()).status is UNHEALTHY

    subscribe(call, queue)
    assert (await health.look()).status is HEALTHY


async def test_one_that_waits_to_be_confirmed_is_red(health, call, queue, sns, monkeypatch):
    subscribe(call, queue)

    async def attributes(arn):
        return {"PendingConfirmation": "true", "RawMessageDelivery": "true"}

    monkeypatch.setattr(sns, "get_subscription_attributes", attributes)

    assert (await health.look()).status is UNHEALTHY


async def test_one_in_the_list_without_an_arn_is_none(health, call, queue, sns, monkeypatch):
    async def page(topic_arn, *, token):
        return SubscriptionPage((Subscription("PendingConfirmation", queue),), None)

    monkeypatch.setattr(sns, "list_subscriptions_by_topic", page)

    assert (await health.look()).status is UNHEALTHY


async def test_without_a_topic_it_is_red(sns, queue):
    found = await SubscriptionHealth(sns, TOPIC, queue).look()

    assert found == (UNHEALTHY, "the topic does not exist")
