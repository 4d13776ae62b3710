"""Topics: their names, attributes, life and end."""

from __future__ import annotations

import pytest

API = "SNS API reference, "


def missing(backend):
    return f"arn:aws:sns:us-east-1:000000000000:{backend.name('missing')}"


def attributes_of(topic):
    return topic.backend.sns.get_topic_attributes(TopicArn=topic.arn)["Attributes"]


def test_the_arn_names_region_account_and_topic(backend):
    name = backend.name("t")
    assert backend.topic(name=name).arn == f"arn:aws:sns:us-east-1:000000000000:{name}"


def test_the_same_topic_can_be_created_again(backend):
    topic = backend.topic(DisplayName="Orders")
    assert backend.topic(name=topic.name, DisplayName="Orders").arn == topic.arn


def test_a_topic_can_be_created_again_without_its_attributes(backend):
    topic = backend.topic(DisplayName="Orders")
    assert backend.topic(name=topic.name).arn == topic.arn
    assert attributes_of(topic)["DisplayName"] == "Orders"


def test_another_topic_of_the_same_name_is_refused(backend):
    backend.lax("it gives the one that is there", rule=API + "CreateTopic: InvalidParameter")
    topic = backend.topic(DisplayName="Orders")
    with backend.refused("InvalidParameter", text="different attributes"):
        backend.topic(name=topic.name, DisplayName="Other")


def test_a_topic_of_the_same_name_with_other_tags_is_refused(backend):
    topic = backend.topic(tags={"team": "orders"})
    with backend.refused("InvalidParameter", text="different tags"):
        backend.topic(name=topic.name, tags={"team": "other"})


@pytest.mark.parametrize("name", ["two words", "a.b", "é", "n" * 257, "a$b"])
def test_names_have_letters_digits_hyphens_and_underscores_and_256_characters(backend, name):
    with backend.refused("InvalidParameter"):
        backend.topic(name=name)


def test_a_fifo_topic_needs_the_suffix_and_the_attribute(backend):
    with backend.refused("InvalidParameter"):
        backend.topic(name=backend.name("t") + ".fifo")
    with backend.refused("InvalidParameter"):
        backend.topic(name=backend.name("t"), FifoTopic="true")


def test_a_fifo_topic_says_what_it_is(backend):
    found = attributes_of(backend.fifo_topic())
    assert (found["FifoTopic"], found["ContentBasedDeduplication"]) == ("true", "false")


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("ContentBasedDeduplication", "true"), ("FifoThroughputScope", "Topic")],
)
def test_a_standard_topic_has_no_attributes_of_fifo_topics(backend, attribute, value):
    backend.lax("it takes them", rule=API + "CreateTopic: for FIFO topics")
    with backend.refused("InvalidParameter"):
        backend.topic(**{attribute: value})


def test_attributes_can_be_changed(backend):
    topic = backend.topic()
    assert attributes_of(topic).get("DisplayName", "") == ""
    topic.set("DisplayName", "Orders")
    assert attributes_of(topic)["DisplayName"] == "Orders"


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("Nope", "1"), ("MaximumMessageSize", "1023"), ("MaximumMessageSize", "1048577")],
)
def test_unknown_attributes_and_values_out_of_range_are_refused(backend, attribute, value):
    backend.lax("it takes anything", rule=API + "SetTopicAttributes")
    with backend.refused("InvalidParameter"):
        backend.topic().set(attribute, value)


def test_a_topic_counts_its_subscriptions(backend):
    backend.lax("it counts none", rule=API + "GetTopicAttributes: SubscriptionsConfirmed")
    topic = backend.topic()
    assert attributes_of(topic)["SubscriptionsConfirmed"] == "0"
    topic.subscribe(backend.queue())
    assert attributes_of(topic)["SubscriptionsConfirmed"] == "1"


def test_a_missing_topic_is_refused_by_every_call(backend):
    sns, arn, queue = backend.sns, missing(backend), backend.queue()
    for call in (
        lambda: sns.get_topic_attributes(TopicArn=arn),
        lambda: sns.set_topic_attributes(
            TopicArn=arn, AttributeName="DisplayName", AttributeValue="x"
        ),
        lambda: sns.publish(TopicArn=arn, Message="x"),
        lambda: sns.publish_batch(
            TopicArn=arn, PublishBatchRequestEntries=[{"Id": "a", "Message": "x"}]
        ),
        lambda: sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue.arn),
    ):
        with backend.refused("NotFound", status=404) as caught:
            call()
        assert isinstance(caught.value, sns.exceptions.NotFoundException)


def test_an_arn_that_is_none_is_refused(backend):
    with backend.refused("InvalidParameter", text="TopicArn"):
        backend.sns.publish(TopicArn="orders", Message="x")


def test_a_missing_topic_can_be_deleted(backend):
    backend.sns.delete_topic(TopicArn=missing(backend))


def test_a_deleted_topic_is_gone_with_its_subscriptions(backend):
    topic, queue = backend.topic(), backend.queue()
    subscription = topic.subscribe(queue)
    backend.sns.delete_topic(TopicArn=topic.arn)
    with backend.refused("NotFound"):
        topic.publish()
    with backend.refused("NotFound"):
        backend.sns.get_subscription_attributes(SubscriptionArn=subscription)


def test_every_topic_is_listed_page_by_page(backend):
    arns = {backend.topic().arn for _ in range(3)}
    pages = backend.sns.get_paginator("list_topics").paginate()
    assert arns <= {topic["TopicArn"] for page in pages for topic in page["Topics"]}


def test_tags_are_set_listed_and_removed(backend):
    topic = backend.topic(tags={"team": "orders"})
    backend.sns.tag_resource(ResourceArn=topic.arn, Tags=[{"Key": "stage", "Value": "test"}])
    assert topic.tags() == {"team": "orders", "stage": "test"}
    backend.sns.untag_resource(ResourceArn=topic.arn, TagKeys=["team"])
    assert topic.tags() == {"stage": "test"}
