from __future__ import annotations

import base64
from urllib.parse import parse_qs

import pytest

from sourceflow.errors import AwsConfigurationError, AwsTransientError
from sourceflow.transports.aws.client import (
    AttributeValue,
    BatchFailure,
    BatchSuccess,
    PublishEntry,
)

TOPIC = "arn:aws:sns:eu-west-1:123456789012:order-events"


def published(successful="", failed=""):
    return (
        '<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult>'
        f"<Failed>{failed}</Failed><Successful>{successful}</Successful>"
        "</PublishBatchResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishBatchResponse>"
    )


def member(**fields):
    return (
        "<member>"
        + "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
        + "</member>"
    )


def form_of(sent):
    form = parse_qs(sent.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in form.values())
    return {name: values[0] for name, values in form.items()}


async def test_a_publish_carries_all_that_an_entry_says(sns, http):
    http.then(published(member(Id="1", MessageId="m", SequenceNumber="7")))
    entry = PublishEntry(
        id="1",
        body='{"a": "é & ü+1 = 100%"}',
        attributes={
            "type": "OrderCreated",
            "n": AttributeValue("Number", "1"),
            "b": AttributeValue("Binary", binary_value=b"\x00\xff"),
        },
        group_id="o-1",
        deduplication_id="d-1",
    )
    result = await sns.publish_batch(TOPIC, [entry])
    prefix = "PublishBatchRequestEntries.member.1."
    attribute = prefix + "MessageAttributes.entry."
    assert form_of(http.sent[0]) == {
        "Action": "PublishBatch",
        "Version": "2010-03-31",
        "TopicArn": TOPIC,
        prefix + "Id": "1",
        prefix + "Message": '{"a": "é & ü+1 = 100%"}',
        prefix + "MessageGroupId": "o-1",
        prefix + "MessageDeduplicationId": "d-1",
        attribute + "1.Name": "type",
        attribute + "1.Value.DataType": "String",
        attribute + "1.Value.StringValue": "OrderCreated",
        attribute + "2.Name": "n",
        attribute + "2.Value.DataType": "Number",
        attribute + "2.Value.StringValue": "1",
        attribute + "3.Name": "b",
        attribute + "3.Value.DataType": "Binary",
        attribute + "3.Value.BinaryValue": base64.b64encode(b"\x00\xff").decode(),
    }
    assert result.successful == (BatchSuccess("1", "m", "7"),)
    assert result.failed == ()


async def test_entries_are_numbered_in_order(sns, http):
    http.then(published("".join(member(Id=str(n), MessageId="m") for n in range(10))))
    result = await sns.publish_batch(TOPIC, [PublishEntry(id=str(n), body="x") for n in range(10)])
    form = form_of(http.sent[0])
    assert [form[f"PublishBatchRequestEntries.member.{n + 1}.Id"] for n in range(10)] == list(
        "0123456789"
    )
    assert len(result.successful) == 10


async def test_a_request_is_marked_as_the_query_protocol_wants_it(sns, http):
    http.then(published(member(Id="1", MessageId="m")))
    await sns.publish_batch(TOPIC, [PublishEntry(id="1", body="x")])
    headers = http.sent[0].headers
    assert headers["Content-Type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert "/eu-west-1/sns/aws4_request" in headers["Authorization"]


async def test_entries_fail_one_by_one(sns, http):
    failed = member(
        Id="2", Code="InternalError", Message="a &amp; b", SenderFault="false"
    ) + member(Id="3", Code="InvalidParameter", SenderFault="true")
    http.then(published(member(Id="1", MessageId="m"), failed))
    result = await sns.publish_batch(TOPIC, [PublishEntry(id=str(n), body="x") for n in (1, 2, 3)])
    assert result.failed == (
        BatchFailure("2", "InternalError", sender_fault=False, message="a & b"),
        BatchFailure("3", "InvalidParameter", sender_fault=True),
    )


async def test_an_entry_that_the_answer_leaves_out_has_failed_for_now(sns, http):
    http.then(published(member(Id="1", MessageId="m")))
    result = await sns.publish_batch(TOPIC, [PublishEntry(id=str(n), body="x") for n in (1, 2)])
    assert [entry.id for entry in result.failed] == ["2"]


async def test_attributes_of_a_topic_are_read_by_name(sns, http):
    http.then(
        '<GetTopicAttributesResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><GetTopicAttributesResult>'
        "<Attributes><entry><key>TopicArn</key><value>arn</value></entry>"
        "<entry><key>Policy</key><value>{&quot;a&quot;: 1}</value></entry>"
        "<entry><key>DisplayName</key><value/></entry></Attributes>"
        "</GetTopicAttributesResult></GetTopicAttributesResponse>"
    )
    assert await sns.get_topic_attributes(TOPIC) == {
        "TopicArn": "arn",
        "Policy": '{"a": 1}',
        "DisplayName": "",
    }
    assert form_of(http.sent[0]) == {
        "Action": "GetTopicAttributes",
        "Version": "2010-03-31",
        "TopicArn": TOPIC,
    }


async def test_a_missing_topic_is_a_matter_of_configuration(sns, http):
    http.then(
        "<ErrorResponse><Error><Code>NotFound</Code><Message>no</Message></Error></ErrorResponse>",
        status=404,
    )
    with pytest.raises(AwsConfigurationError, match="GetTopicAttributes: NotFound: no"):
        await sns.get_topic_attributes(TOPIC)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "<html>",
        "<html></html>",
        "<GetTopicAttributesResponse><GetTopicAttributesResult/></GetTopicAttributesResponse>",
    ],
)
async def test_a_successful_answer_that_cannot_be_read_is_a_passing_fault(sns, http, answer):
    http.then(answer)
    with pytest.raises(AwsTransientError) as caught:
        await sns.get_topic_attributes(TOPIC)
    assert caught.value.code == "UnreadableAnswer"
