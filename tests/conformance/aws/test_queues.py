"""Queues: their names, attributes, life and end."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

MISSING = "AWS.SimpleQueueService.NonExistentQueue"


def test_the_same_queue_can_be_created_again(backend):
    queue = backend.queue(VisibilityTimeout="31", DelaySeconds="1")
    again = backend.queue(name=queue.name, VisibilityTimeout="31", DelaySeconds="1")
    assert again.url == queue.url


def test_a_queue_can_be_created_again_without_its_attributes(backend):
    queue = backend.queue(VisibilityTimeout="31")
    assert backend.queue(name=queue.name).url == queue.url
    assert queue.attributes("VisibilityTimeout") == {"VisibilityTimeout": "31"}


def test_another_queue_of_the_same_name_is_refused(backend):
    queue = backend.queue(VisibilityTimeout="31")
    with backend.refused("QueueAlreadyExists", text="VisibilityTimeout", status=400) as caught:
        backend.queue(name=queue.name, VisibilityTimeout="32")
    assert isinstance(caught.value, backend.sqs.exceptions.QueueNameExists)


@pytest.mark.parametrize("name", ["two words", "a.b", "é", "a" * 81, "a$b"])
def test_names_have_letters_digits_hyphens_and_underscores_and_80_characters(backend, name):
    with backend.refused("InvalidParameterValue", text="alphanumeric"):
        backend.queue(name=name)


def test_the_suffix_fifo_counts_among_the_80_characters(backend):
    longest = backend.name("n" * 62) + ".fifo"
    assert len(longest) == 80
    assert backend.fifo(name=longest).name == longest
    with backend.refused("InvalidParameterValue"):
        backend.fifo(name=f"n{longest}")


def test_a_fifo_queue_needs_the_suffix_and_the_attribute(backend):
    with backend.refused("InvalidParameterValue"):
        backend.queue(name=backend.name() + ".fifo")
    with backend.refused("InvalidParameterValue", text=".fifo"):
        backend.queue(name=backend.name(), FifoQueue="true")


@pytest.mark.parametrize("attribute", ["Nope", "FifoQueue", "ContentBasedDeduplication"])
def test_a_standard_queue_refuses_attributes_that_it_cannot_have(backend, attribute):
    with backend.refused("InvalidAttributeName", text=attribute):
        backend.queue(name=backend.name(), **{attribute: "false"})


@pytest.mark.parametrize(
    ("attribute", "values"),
    [
        ("DelaySeconds", ("-1", "901")),
        ("MaximumMessageSize", ("1023", "1048577")),
        ("MessageRetentionPeriod", ("59", "1209601")),
        ("ReceiveMessageWaitTimeSeconds", ("-1", "21")),
        ("VisibilityTimeout", ("-1", "43201", "long")),
    ],
)
def test_values_out_of_range_are_refused(backend, attribute, values):
    backend.lax("it takes any value", rule="SQS API reference, CreateQueue")
    for value in values:
        with backend.refused("InvalidAttributeValue", text=attribute):
            backend.queue(name=backend.name(), **{attribute: value})


def test_a_new_queue_has_the_documented_defaults(backend):
    found = backend.queue().attributes()
    expected = {
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "ReceiveMessageWaitTimeSeconds": "0",
        "VisibilityTimeout": "30",
        "SqsManagedSseEnabled": "true",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert not {"FifoQueue", "Policy", "RedrivePolicy"} & found.keys()


def test_a_new_fifo_queue_has_the_documented_defaults(backend):
    found = backend.fifo().attributes()
    expected = {
        "FifoQueue": "true",
        "ContentBasedDeduplication": "false",
        "DeduplicationScope": "queue",
        "FifoThroughputLimit": "perQueue",
    }
    assert {name: found.get(name) for name in expected} == expected


def test_the_arn_names_region_account_and_queue(backend):
    queue = backend.queue()
    assert queue.arn == f"arn:aws:sqs:us-east-1:000000000000:{queue.name}"
    assert queue.url.endswith(f"/000000000000/{queue.name}")


def test_a_queue_is_found_by_its_name(backend):
    queue = backend.queue()
    assert backend.sqs.get_queue_url(QueueName=queue.name)["QueueUrl"] == queue.url


def test_a_missing_queue_is_refused_by_every_call(backend):
    queue = backend.queue()
    backend.sqs.delete_queue(QueueUrl=queue.url)
    for call in (
        lambda: backend.sqs.get_queue_url(QueueName=queue.name),
        lambda: backend.sqs.delete_queue(QueueUrl=queue.url),
        lambda: backend.sqs.purge_queue(QueueUrl=queue.url),
        queue.attributes,
        queue.send,
        queue.receive,
        lambda: queue.send_batch({"Id": "a", "MessageBody": "x"}),
        lambda: queue.set(DelaySeconds="1"),
    ):
        with backend.refused(MISSING, status=400) as caught:
            call()
        assert isinstance(caught.value, backend.sqs.exceptions.QueueDoesNotExist)


def test_queues_are_listed_by_prefix_and_page(backend):
    prefix = backend.name("list")
    urls = sorted(backend.queue(name=f"{prefix}-{number}").url for number in range(3))
    backend.queue()
    first = backend.sqs.list_queues(QueueNamePrefix=prefix, MaxResults=2)
    rest = backend.sqs.list_queues(
        QueueNamePrefix=prefix, MaxResults=2, NextToken=first["NextToken"]
    )
    assert len(first["QueueUrls"]) == 2
    assert sorted(first["QueueUrls"] + rest["QueueUrls"]) == urls
    assert "NextToken" not in rest


def test_a_deleted_queue_cannot_be_made_again_at_once(backend):
    backend.lax("it does not wait", rule="SQS API reference, DeleteQueue: 60 seconds")
    queue = backend.queue()
    backend.sqs.delete_queue(QueueUrl=queue.url)
    with backend.refused("AWS.SimpleQueueService.QueueDeletedRecently"):
        backend.queue(name=queue.name)


def test_a_deleted_queue_can_be_made_again_after_a_minute_and_is_empty(local_aws):
    queue = local_aws.queue()
    queue.send()
    local_aws.sqs.delete_queue(QueueUrl=queue.url)
    local_aws.advance(timedelta(seconds=60))
    assert local_aws.queue(name=queue.name).is_empty()


def test_a_purge_removes_what_is_visible_hidden_and_delayed(backend):
    queue = backend.queue()
    queue.send("in flight")
    queue.take_one()
    queue.send("visible")
    queue.send("delayed", DelaySeconds=900)
    assert queue.counts() == (1, 1, 1)
    backend.sqs.purge_queue(QueueUrl=queue.url)
    assert queue.counts() == (0, 0, 0)
    assert queue.is_empty()


def test_a_second_purge_within_a_minute_is_refused(backend):
    backend.lax("it purges as often as it is told", rule="SQS API reference, PurgeQueue")
    queue = backend.queue()
    backend.sqs.purge_queue(QueueUrl=queue.url)
    with backend.refused("AWS.SimpleQueueService.PurgeQueueInProgress", status=403):
        backend.sqs.purge_queue(QueueUrl=queue.url)


def test_a_queue_can_be_purged_once_a_minute(local_aws):
    queue = local_aws.queue()
    local_aws.sqs.purge_queue(QueueUrl=queue.url)
    queue.send()
    local_aws.advance(timedelta(seconds=60))
    local_aws.sqs.purge_queue(QueueUrl=queue.url)
    assert queue.is_empty()


def test_attributes_can_be_changed(backend):
    queue = backend.queue()
    queue.set(VisibilityTimeout="7", DelaySeconds="3")
    assert queue.attributes("VisibilityTimeout", "DelaySeconds") == {
        "VisibilityTimeout": "7",
        "DelaySeconds": "3",
    }


def test_unknown_attributes_can_neither_be_set_nor_asked_for(backend):
    queue = backend.queue()
    with backend.refused("InvalidAttributeName", text="Unknown Attribute Nope"):
        queue.set(Nope="1")
    with backend.refused("InvalidAttributeName", text="Unknown Attribute Nope"):
        queue.attributes("Nope")


def test_no_attribute_is_answered_where_none_is_asked_for(backend):
    queue = backend.queue()
    assert backend.sqs.get_queue_attributes(QueueUrl=queue.url).get("Attributes", {}) == {}


def test_a_queue_never_changes_its_type(backend):
    with backend.refused("InvalidAttributeName", text="Unknown Attribute FifoQueue"):
        backend.queue().set(FifoQueue="true")
    with backend.refused("InvalidAttributeValue", text="Modifying queue type"):
        backend.fifo().set(FifoQueue="false")


def test_throughput_by_group_needs_deduplication_by_group(backend):
    backend.lax("it takes one without the other", rule="SQS API reference, SetQueueAttributes")
    queue = backend.fifo()
    with backend.refused("InvalidAttributeValue", "InvalidParameterValue"):
        queue.set(FifoThroughputLimit="perMessageGroupId")


def test_high_throughput_is_both_scopes_together(backend):
    high = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    queue = backend.fifo(**high)
    assert queue.attributes(*high) == high


def test_an_empty_value_removes_a_policy(backend):
    queue = backend.queue()
    backend.dead_letters_of(queue)
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": queue.arn}
    queue.set(Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert queue.attributes("Policy", "RedrivePolicy").keys() == {"Policy", "RedrivePolicy"}
    queue.set(Policy="", RedrivePolicy="")
    assert queue.attributes("Policy", "RedrivePolicy") == {}


def test_tags_are_set_listed_and_removed(backend):
    queue = backend.queue(tags={"team": "orders"})
    backend.sqs.tag_queue(QueueUrl=queue.url, Tags={"stage": "test", "cost": ""})
    tags = backend.sqs.list_queue_tags(QueueUrl=queue.url)["Tags"]
    assert tags == {"team": "orders", "stage": "test", "cost": ""}
    backend.sqs.untag_queue(QueueUrl=queue.url, TagKeys=["team", "cost", "never"])
    assert backend.sqs.list_queue_tags(QueueUrl=queue.url)["Tags"] == {"stage": "test"}


def test_the_host_of_a_queue_url_means_nothing(backend):
    queue = backend.queue()
    url = f"https://sqs.us-east-1.amazonaws.com/000000000000/{queue.name}"
    backend.sqs.send_message(QueueUrl=url, MessageBody="x")
    assert queue.take_one()["Body"] == "x"
