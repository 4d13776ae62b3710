"""What an App makes of AWS when it starts: on LocalAws and on LocalStack."""

from __future__ import annotations

import asyncio
import json

import pytest

from sourceflow import Command, Event, Key
from sourceflow.clock import SystemClock
from sourceflow.errors import AwsConfigurationError
from sourceflow.transports.aws.bus import configure_bus
from sourceflow.transports.aws.provisioning import Provisioner, plan_resources


class Pay(Command):
    id: Key[str]


class Paid(Event):
    id: Key[str]


class Shipped(Event):
    id: Key[str]


def page(bus):
    """The page's topology in small: FIFO command queue, standard topic, listens and subscribes."""
    return (
        bus.send.command(Pay, queue="payments.fifo")
        .raise_.event(Paid, topic="payment-events")
        .listen.to.command_queue("payments.fifo")
        .subscribe.to.topic("payment-events")
    )


@pytest.fixture
def provision(cloud):
    async def provision(configure=page, *, app="orders", subscribed=("Paid",), **options):
        chosen = cloud.options(**options)
        plan = plan_resources(chosen, configure_bus(configure), app, subscribed=subscribed)
        return await Provisioner.run(
            chosen, plan, clock=SystemClock(), credentials=cloud.credentials
        )

    return provision


async def subscriptions(cloud, topic_arn):
    answer = await cloud.plane.sns("list_subscriptions_by_topic", TopicArn=topic_arn)
    return answer["Subscriptions"]


async def test_queues_have_dead_letter_queues_of_their_kind(cloud, provision):
    found = await provision()

    assert set(found.queues) == {"payments.fifo", "orders-events"}
    for name, dead, fifo in (
        ("payments.fifo", "payments-dlq.fifo", "true"),
        ("orders-events", "orders-events-dlq", None),
    ):
        queue, letters = await cloud.attributes(name), await cloud.attributes(dead)
        assert queue.get("FifoQueue") == letters.get("FifoQueue") == fifo
        redrive = json.loads(queue["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"] == letters["QueueArn"]
        assert int(redrive["maxReceiveCount"]) == 15
        assert queue["VisibilityTimeout"] == "30"
        assert int(letters["MessageRetentionPeriod"]) > int(queue["MessageRetentionPeriod"])
        assert found.queues[name].dead_letter_url.endswith(cloud.prefix + dead)


async def test_fifo_queues_never_make_ids_of_the_content_and_are_fast(cloud, provision):
    await provision()
    queue = await cloud.attributes("payments.fifo")

    assert queue["ContentBasedDeduplication"] == "false"
    assert queue["DeduplicationScope"] == "messageGroup"
    assert queue["FifoThroughputLimit"] == "perMessageGroupId"


async def test_topics_have_display_names(cloud, provision):
    found = await provision()
    answer = await cloud.plane.sns(
        "get_topic_attributes", TopicArn=found.topics["payment-events"].arn
    )

    assert answer["Attributes"]["DisplayName"] == "Payment Events"


async def test_the_event_queue_is_subscribed_with_raw_delivery_and_a_dead_letter_queue(
    cloud, provision
):
    found = await provision()
    [subscription] = await subscriptions(cloud, found.topics["payment-events"].arn)
    answer = await cloud.plane.sns(
        "get_subscription_attributes", SubscriptionArn=subscription["SubscriptionArn"]
    )

    assert subscription["Endpoint"] == found.queues["orders-events"].arn
    assert answer["Attributes"]["RawMessageDelivery"] == "true"
    redrive = json.loads(answer["Attributes"]["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"].endswith("orders-events-dlq")
    assert "FilterPolicy" not in answer["Attributes"]


async def test_the_topic_may_send_to_the_event_queue_and_to_its_dead_letter_queue(cloud, provision):
    found = await provision()
    topic = found.topics["payment-events"].arn

    for name in ("orders-events", "orders-events-dlq"):
        attributes = await cloud.attributes(name)
        [statement] = json.loads(attributes["Policy"])["Statement"]
        assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
        assert statement["Action"] == "sqs:SendMessage"
        assert statement["Resource"] == attributes["QueueArn"]
        assert statement["Condition"]["ArnEquals"] == {"aws:SourceArn": [topic]}
        assert "aws:SourceAccount" in statement["Condition"]["StringEquals"]


async def test_a_message_of_the_topic_arrives(cloud, provision):
    found = await provision()
    await cloud.plane.sns(
        "publish", TopicArn=found.topics["payment-events"].arn, Message='{"hello":1}'
    )
    answer = await cloud.plane.sqs(
        "receive_message", QueueUrl=found.queues["orders-events"].url, WaitTimeSeconds=5
    )

    assert [message["Body"] for message in answer["Messages"]] == ['{"hello":1}']


async def test_fifo_topics_feed_a_fifo_event_queue(cloud, provision):
    def configure(bus):
        return (
            bus.raise_.event(Paid, topic="a-events")
            .event(Shipped, topic="b-events.fifo")
            .subscribe.to.topic("a-events")
            .topic("b-events.fifo")
        )

    found = await provision(configure)

    assert found.event_queues == ("orders-events", "orders-events.fifo")
    for topic, queue in (("a-events", "orders-events"), ("b-events.fifo", "orders-events.fifo")):
        [subscription] = await subscriptions(cloud, found.topics[topic].arn)
        assert subscription["Endpoint"] == found.queues[queue].arn


async def test_starting_again_changes_nothing(cloud, provision):
    first = await provision()
    before = [await cloud.attributes(name) for name in ("payments.fifo", "orders-events")]
    second = await provision()
    after = [await cloud.attributes(name) for name in ("payments.fifo", "orders-events")]

    assert second == first
    assert second.warnings == ()
    assert before == after
    assert len(await subscriptions(cloud, first.topics["payment-events"].arn)) == 1


async def test_many_instances_may_start_at_once(cloud, provision):
    found = await asyncio.gather(*(provision() for _ in range(5)))

    assert all(each.queues == found[0].queues for each in found)
    made = await subscriptions(cloud, found[0].topics["payment-events"].arn)
    # Subscribe gives the same endpoint the same subscription (SNS API reference); LocalStack may
    # make two of them when it is asked twice at once.
    assert len(made) == 1 or cloud.local is None
    [statement] = json.loads((await cloud.attributes("orders-events"))["Policy"])["Statement"]
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"] == [
        found[0].topics["payment-events"].arn
    ]


async def test_two_deployments_with_other_topics_do_not_take_each_others_away(cloud, provision):
    def more(bus):
        return bus.subscribe.to.topic("payment-events").topic("stock-events")

    await provision()
    found = await provision(more)
    await provision()

    [statement] = json.loads((await cloud.attributes("orders-events"))["Policy"])["Statement"]
    assert set(statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == {
        topic.arn for topic in found.topics.values()
    }
    assert len(await subscriptions(cloud, found.topics["stock-events"].arn)) == 1


async def test_statements_of_others_stay(cloud, provision):
    await cloud.make_queue("orders-events")
    arn = (await cloud.attributes("orders-events"))["QueueArn"]
    foreign = {
        "Sid": "auditors",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
        "Action": "sqs:ReceiveMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Id": "theirs", "Statement": [foreign]})
    await cloud.plane.sqs(
        "set_queue_attributes",
        QueueUrl=await cloud.url("orders-events"),
        Attributes={"Policy": policy},
    )

    await provision()
    found = json.loads((await cloud.attributes("orders-events"))["Policy"])
    assert found["Id"] == "theirs"
    assert foreign in found["Statement"]
    assert len(found["Statement"]) == 2


async def test_attributes_that_differ_are_a_warning_and_stay(cloud, provision, caplog):
    await cloud.make_queue(
        "payments.fifo",
        FifoQueue="true",
        ContentBasedDeduplication="false",
        VisibilityTimeout="77",
        MessageRetentionPeriod="345600",
    )
    found = await provision()

    assert (await cloud.attributes("payments.fifo"))["VisibilityTimeout"] == "77"
    text = "\n".join(found.warnings)
    assert "has VisibilityTimeout 77, not 30; it is left as it is" in text
    assert "MessageRetentionPeriod" not in text
    assert text.splitlines()[0] in caplog.text


async def test_a_queue_without_redrive_policy_gets_a_place_for_its_dead_letters(cloud, provision):
    """Its attributes stay; what the listener gives up goes to the dead letter queue directly."""
    await cloud.make_queue("payments.fifo", FifoQueue="true")
    found = await provision()

    assert "RedrivePolicy" not in await cloud.attributes("payments.fifo")
    assert found.queues["payments.fifo"].dead_letter_url == await cloud.url("payments-dlq.fifo")
    assert any("has no redrive policy" in warning for warning in found.warnings)


async def test_a_redrive_policy_to_another_queue_is_followed(cloud, provision):
    await cloud.make_queue("graveyard.fifo", FifoQueue="true")
    arn = (await cloud.attributes("graveyard.fifo"))["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "15"})
    await cloud.make_queue("payments.fifo", FifoQueue="true", RedrivePolicy=redrive)
    found = await provision()

    assert found.queues["payments.fifo"].dead_letter_url == await cloud.url("graveyard.fifo")
    with pytest.raises(AwsConfigurationError):
        await cloud.url("payments-dlq.fifo")


async def test_a_filter_lets_through_what_somebody_listens_to(cloud, provision):
    def configure(bus):
        return bus.subscribe.to.topic("payment-events", filter=True)

    found = await provision(configure, subscribed=("Shipped", "Paid"))
    [subscription] = await subscriptions(cloud, found.topics["payment-events"].arn)
    answer = await cloud.plane.sns(
        "get_subscription_attributes", SubscriptionArn=subscription["SubscriptionArn"]
    )
    assert json.loads(answer["Attributes"]["FilterPolicy"]) == {"type": ["Paid", "Shipped"]}

    for kind in ("Unheard", "Paid"):
        await cloud.plane.sns(
            "publish",
            TopicArn=found.topics["payment-events"].arn,
            Message=kind,
            MessageAttributes={"type": {"DataType": "String", "StringValue": kind}},
        )
    answer = await cloud.plane.sqs(
        "receive_message", QueueUrl=found.queues["orders-events"].url, WaitTimeSeconds=5
    )
    assert [message["Body"] for message in answer["Messages"]] == ["Paid"]


@pytest.mark.parametrize("mode", ["verify", "off"])
async def test_without_ensure_what_is_missing_is_named_and_nothing_is_made(cloud, provision, mode):
    with pytest.raises(AwsConfigurationError) as caught:
        await provision(provisioning=mode)

    for name in ("payments.fifo", "orders-events", "payment-events"):
        assert repr(cloud.prefix + name) in str(caught.value)
    assert "provisioning='ensure' makes them" in str(caught.value)
    with pytest.raises(AwsConfigurationError):
        await cloud.url("payments.fifo")


@pytest.mark.parametrize("mode", ["verify", "off"])
async def test_without_ensure_what_is_there_is_found(provision, mode):
    made = await provision()

    assert await provision(provisioning=mode) == made


async def test_verify_names_a_subscription_and_a_right_that_are_missing(cloud, provision):
    made = await provision()
    [subscription] = await subscriptions(cloud, made.topics["payment-events"].arn)
    await cloud.plane.sns("unsubscribe", SubscriptionArn=subscription["SubscriptionArn"])
    await cloud.plane.sqs(
        "set_queue_attributes",
        QueueUrl=made.queues["orders-events"].url,
        Attributes={"Policy": ""},
    )

    with pytest.raises(AwsConfigurationError) as caught:
        await provision(provisioning="verify")
    topic, queue = cloud.prefix + "payment-events", cloud.prefix + "orders-events"
    assert f"the subscription of {queue!r} to {topic!r}" in str(caught.value)
    assert f"the right of {topic!r} to send to {queue!r}" in str(caught.value)


async def test_verify_takes_a_right_however_it_is_granted(cloud, provision):
    made = await provision()
    topic, queue = made.topics["payment-events"], made.queues["orders-events"]

    async def grant(pattern):
        statement = {
            "Sid": "MadeByTheirInfrastructure",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": ["sqs:SendMessage"],
            "Resource": queue.arn,
            "Condition": {"ArnLike": {"aws:SourceArn": pattern}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        await cloud.plane.sqs(
            "set_queue_attributes", QueueUrl=queue.url, Attributes={"Policy": policy}
        )

    await grant(topic.arn.removesuffix("payment-events") + "*")
    assert await provision(provisioning="verify") == made

    await grant(topic.arn + "-of-others")
    with pytest.raises(AwsConfigurationError, match="the right of"):
        await provision(provisioning="verify")


async def test_verify_names_a_dead_letter_queue_that_is_missing(cloud, provision):
    await cloud.make_queue("payments.fifo", FifoQueue="true")

    with pytest.raises(AwsConfigurationError, match=r"a dead letter queue of '.*payments\.fifo'"):
        await provision(
            lambda bus: bus.listen.to.command_queue("payments.fifo"), provisioning="verify"
        )


async def test_who_only_sends_needs_no_event_queue(provision):
    found = await provision(lambda bus: bus.send.command(Pay, queue="payments.fifo"))

    assert set(found.queues) == {"payments.fifo"}
    assert found.event_queues == ()
    assert found.topics == {}


async def test_who_only_publishes_subscribes_to_nothing(cloud, provision):
    found = await provision(lambda bus: bus.raise_.event(Paid, topic="payment-events"))

    assert found.queues == {}
    assert await subscriptions(cloud, found.topics["payment-events"].arn) == []


async def test_a_topic_is_found_without_any_queue_of_ours(provision):
    configure = lambda bus: bus.raise_.event(Paid, topic="payment-events")  # noqa: E731
    made = await provision(configure)

    assert await provision(configure, provisioning="off") == made
