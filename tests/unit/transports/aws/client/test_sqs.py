from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from sourceflow.errors import AwsRequestError, AwsTransientError
from sourceflow.transports.aws.client import (
    AttributeValue,
    BatchFailure,
    BatchResult,
    BatchSuccess,
    DeleteEntry,
    MessageMoveTask,
    SendEntry,
    VisibilityEntry,
)

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"


def operation_of(sent):
    return sent.headers["X-Amz-Target"]


async def test_a_request_is_marked_as_the_json_protocol_wants_it(sqs, http):
    http.then({"QueueUrl": URL})
    await sqs.get_queue_url("orders")
    headers = http.sent[0].headers
    assert headers["X-Amz-Target"] == "AmazonSQS.GetQueueUrl"
    assert headers["Content-Type"] == "application/x-amz-json-1.0"
    assert "/eu-west-1/sqs/aws4_request" in headers["Authorization"]


async def test_a_send_carries_all_that_an_entry_says(sqs, http):
    http.then(
        {
            "Successful": [
                {"Id": "1", "MessageId": "m", "MD5OfMessageBody": "x", "SequenceNumber": "7"}
            ]
        }
    )
    entry = SendEntry(
        id="1",
        body='{"a": "é"}',
        attributes={
            "type": "OrderCreated",
            "n": AttributeValue("Number", "1"),
            "b": AttributeValue("Binary.x", binary_value=b"\x00\xff"),
        },
        group_id="o-1",
        deduplication_id="d-1",
        delay=timedelta(seconds=1.2),
    )
    result = await sqs.send_message_batch(URL, [entry])
    assert http.sent[0].json == {
        "QueueUrl": URL,
        "Entries": [
            {
                "Id": "1",
                "MessageBody": '{"a": "é"}',
                "MessageAttributes": {
                    "type": {"DataType": "String", "StringValue": "OrderCreated"},
                    "n": {"DataType": "Number", "StringValue": "1"},
                    "b": {
                        "DataType": "Binary.x",
                        "BinaryValue": base64.b64encode(b"\x00\xff").decode(),
                    },
                },
                "MessageGroupId": "o-1",
                "MessageDeduplicationId": "d-1",
                "DelaySeconds": 2,
            }
        ],
    }
    assert result.successful == (BatchSuccess("1", "m", "7"),)
    assert result.failed == ()


async def test_a_send_leaves_out_what_an_entry_does_not_say(sqs, http):
    http.then({"Successful": [{"Id": "1", "MessageId": "m"}]})
    await sqs.send_message_batch(URL, [SendEntry(id="1", body="x")])
    assert http.sent[0].json["Entries"] == [{"Id": "1", "MessageBody": "x"}]


async def test_entries_fail_one_by_one(sqs, http):
    failed = {"Id": "2", "SenderFault": True, "Code": "InvalidMessageContents", "Message": "bad"}
    http.then({"Successful": [{"Id": "1", "MessageId": "m"}], "Failed": [failed]})
    result = await sqs.send_message_batch(
        URL, [SendEntry(id="1", body="x"), SendEntry(id="2", body="y")]
    )
    assert result.failed == (
        BatchFailure("2", "InvalidMessageContents", sender_fault=True, message="bad"),
    )
    error = result.failed[0].to_error("SendMessageBatch")
    assert type(error) is AwsRequestError
    assert str(error) == "SendMessageBatch: InvalidMessageContents: bad"


async def test_an_entry_that_the_answer_leaves_out_has_failed_for_now(sqs, http):
    http.then(
        {
            "Successful": [{"Id": "1"}],
            "Failed": [{"Id": "2", "SenderFault": False, "Code": "InternalError"}],
        }
    )
    entries = [DeleteEntry("1", "a"), DeleteEntry("2", "b"), DeleteEntry("3", "c")]
    result = await sqs.delete_message_batch(URL, entries)
    assert [entry.id for entry in result.failed] == ["2", "3"]
    assert type(result.failed[1].to_error("DeleteMessageBatch")) is AwsTransientError


def test_a_result_that_answers_every_id_is_complete_as_it_is():
    result = BatchResult((BatchSuccess("1"),))
    assert result.completed(["1"]) is result


async def test_a_receive_asks_for_all_attributes_and_waits(sqs, http):
    http.then({})
    messages = await sqs.receive_message(
        URL,
        max_messages=7,
        wait_time=timedelta(seconds=20),
        visibility_timeout=timedelta(minutes=2),
        attempt_id="a-1",
    )
    assert messages == []
    assert http.sent[0].json == {
        "QueueUrl": URL,
        "MaxNumberOfMessages": 7,
        "WaitTimeSeconds": 20,
        "VisibilityTimeout": 120,
        "ReceiveRequestAttemptId": "a-1",
        "MessageAttributeNames": ["All"],
        "MessageSystemAttributeNames": [
            "ApproximateReceiveCount",
            "SentTimestamp",
            "ApproximateFirstReceiveTimestamp",
            "MessageGroupId",
            "MessageDeduplicationId",
            "SequenceNumber",
            "DeadLetterQueueSourceArn",
        ],
    }


async def test_a_receive_leaves_to_the_queue_what_is_not_said(sqs, http):
    http.then({})
    await sqs.receive_message(URL)
    asked = http.sent[0].json
    assert asked["WaitTimeSeconds"] == 0
    assert asked.keys() & {"VisibilityTimeout", "ReceiveRequestAttemptId"} == set()


async def test_an_answer_is_awaited_for_longer_than_the_poll_lasts(make_sqs, http):
    http.then({})
    sqs = make_sqs(request_timeout=timedelta(seconds=4))
    await sqs.receive_message(URL, wait_time=timedelta(seconds=20))
    await sqs.receive_message(URL)
    assert [sent.timeout for sent in http.sent] == [24.0, 4.0]


async def test_a_received_message_is_read_with_all_that_is_known_of_it(sqs, http):
    http.then(
        {
            "Messages": [
                {
                    "MessageId": "m-1",
                    "ReceiptHandle": "r-1",
                    "MD5OfBody": "x",
                    "Body": "null",
                    "Attributes": {
                        "ApproximateReceiveCount": "3",
                        "SentTimestamp": "1700000000001",
                        "ApproximateFirstReceiveTimestamp": "1700000000002",
                        "MessageGroupId": "null",
                        "MessageDeduplicationId": "12",
                        "SequenceNumber": "18849496460467696128",
                        "DeadLetterQueueSourceArn": "arn:aws:sqs:eu-west-1:1:orders",
                        "SenderId": "AIDA",
                    },
                    "MessageAttributes": {
                        "type": {"DataType": "String", "StringValue": "null"},
                        "b": {"DataType": "Binary", "BinaryValue": "AP8="},
                    },
                }
            ]
        }
    )
    (message,) = await sqs.receive_message(URL)
    assert (message.message_id, message.receipt_handle, message.body) == ("m-1", "r-1", "null")
    assert message.system.approximate_receive_count == 3
    assert message.system.sent_timestamp == 1700000000001
    assert message.system.approximate_first_receive_timestamp == 1700000000002
    assert message.system.message_group_id == "null"
    assert message.system.message_deduplication_id == "12"
    assert message.system.sequence_number == "18849496460467696128"
    assert message.system.dead_letter_queue_source_arn == "arn:aws:sqs:eu-west-1:1:orders"
    assert message.attributes == {
        "type": AttributeValue("String", "null"),
        "b": AttributeValue("Binary", binary_value=b"\x00\xff"),
    }


async def test_a_received_message_may_have_no_attributes_at_all(sqs, http):
    http.then({"Messages": [{"MessageId": "m-1", "ReceiptHandle": "r-1", "Body": "x"}]})
    (message,) = await sqs.receive_message(URL)
    assert message.attributes == {}
    assert message.system.approximate_receive_count == 1
    assert message.system.message_group_id == ""


async def test_a_delete_names_handles(sqs, http):
    http.then({"Successful": [{"Id": "1"}]})
    await sqs.delete_message_batch(URL, [DeleteEntry("1", "r-1")])
    assert http.sent[0].json == {"QueueUrl": URL, "Entries": [{"Id": "1", "ReceiptHandle": "r-1"}]}
    assert operation_of(http.sent[0]) == "AmazonSQS.DeleteMessageBatch"


@pytest.mark.parametrize(("hidden", "seconds"), [(0, 0), (0.001, 1), (30, 30), (43199.5, 43200)])
async def test_a_visibility_is_rounded_up_so_that_a_short_one_is_not_none(
    sqs, http, hidden, seconds
):
    http.then({"Successful": [{"Id": "1"}]})
    entry = VisibilityEntry("1", "r-1", timedelta(seconds=hidden))
    await sqs.change_message_visibility_batch(URL, [entry])
    assert http.sent[0].json["Entries"] == [
        {"Id": "1", "ReceiptHandle": "r-1", "VisibilityTimeout": seconds}
    ]
    assert operation_of(http.sent[0]) == "AmazonSQS.ChangeMessageVisibilityBatch"


async def test_a_queue_of_another_account_can_be_found(sqs, http):
    http.then({"QueueUrl": URL})
    assert await sqs.get_queue_url("orders", account="123456789012") == URL
    assert http.sent[0].json == {"QueueName": "orders", "QueueOwnerAWSAccountId": "123456789012"}


@pytest.mark.parametrize(
    ("answer", "attributes"), [({"Attributes": {"A": "1"}}, {"A": "1"}), ({}, {})]
)
async def test_attributes_of_a_queue_are_read_by_name(sqs, http, answer, attributes):
    http.then(answer)
    assert await sqs.get_queue_attributes(URL, ["A"]) == attributes
    assert http.sent[0].json == {"QueueUrl": URL, "AttributeNames": ["A"]}


async def test_attributes_of_a_queue_are_set(sqs, http):
    http.then(b"")
    await sqs.set_queue_attributes(URL, {"A": "1"})
    assert http.sent[0].json == {"QueueUrl": URL, "Attributes": {"A": "1"}}


async def test_a_queue_is_created_with_attributes_and_tags(sqs, http):
    http.then({"QueueUrl": URL})
    assert await sqs.create_queue("orders", attributes={"A": "1"}, tags={"t": "v"}) == URL
    assert http.sent[0].json == {
        "QueueName": "orders",
        "Attributes": {"A": "1"},
        "tags": {"t": "v"},
    }


async def test_a_queue_is_created_without_attributes_and_tags(sqs, http):
    http.then({"QueueUrl": URL})
    await sqs.create_queue("orders")
    assert http.sent[0].json == {"QueueName": "orders"}


async def test_a_queue_is_deleted(sqs, http):
    http.then(b"")
    await sqs.delete_queue(URL)
    assert http.sent[0].json == {"QueueUrl": URL}
    assert operation_of(http.sent[0]) == "AmazonSQS.DeleteQueue"


@pytest.mark.parametrize("answer", [b"", b"<html>", b'{"QueueUrl": 1}', b'{"QueueUrl": "\xff"}'])
async def test_a_successful_answer_that_cannot_be_read_is_a_passing_fault(sqs, http, answer):
    http.then(answer)
    with pytest.raises(AwsTransientError) as caught:
        await sqs.get_queue_url("orders")
    assert (caught.value.code, caught.value.operation) == ("UnreadableAnswer", "GetQueueUrl")


async def test_a_queue_is_purged(sqs, http):
    http.then(b"")
    await sqs.purge_queue(URL)
    assert http.sent[0].json == {"QueueUrl": URL}
    assert operation_of(http.sent[0]) == "AmazonSQS.PurgeQueue"


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {}),
        (
            {"destination_arn": "arn:to", "rate": 5},
            {"DestinationArn": "arn:to", "MaxNumberOfMessagesPerSecond": 5},
        ),
    ],
)
async def test_a_move_task_is_started_with_what_is_said(sqs, http, options, sent):
    http.then({"TaskHandle": "h"})
    assert await sqs.start_message_move_task("arn:from", **options) == "h"
    assert http.sent[0].json == {"SourceArn": "arn:from", **sent}
    assert operation_of(http.sent[0]) == "AmazonSQS.StartMessageMoveTask"


async def test_move_tasks_are_read(sqs, http):
    running = {
        "TaskHandle": "h",
        "Status": "RUNNING",
        "SourceArn": "arn:from",
        "DestinationArn": "arn:to",
        "MaxNumberOfMessagesPerSecond": 5,
        "ApproximateNumberOfMessagesMoved": 1,
        "ApproximateNumberOfMessagesToMove": 2,
        "StartedTimestamp": 1_700_000_000_000,
    }
    failed = {"Status": "FAILED", "SourceArn": "arn:from", "FailureReason": "Because"}
    http.then({"Results": [running, failed]})
    assert await sqs.list_message_move_tasks("arn:from", limit=3) == [
        MessageMoveTask(
            task_handle="h",
            status="RUNNING",
            source_arn="arn:from",
            destination_arn="arn:to",
            max_number_of_messages_per_second=5,
            approximate_number_of_messages_moved=1,
            approximate_number_of_messages_to_move=2,
            started_timestamp=1_700_000_000_000,
        ),
        MessageMoveTask(status="FAILED", source_arn="arn:from", failure_reason="Because"),
    ]
    assert http.sent[0].json == {"SourceArn": "arn:from", "MaxResults": 3}
    assert operation_of(http.sent[0]) == "AmazonSQS.ListMessageMoveTasks"


async def test_a_queue_may_have_no_move_tasks(sqs, http):
    http.then({})
    assert await sqs.list_message_move_tasks("arn:from") == []
    assert http.sent[0].json == {"SourceArn": "arn:from", "MaxResults": 10}


async def test_a_move_task_is_cancelled_and_says_how_far_it_came(sqs, http):
    http.then({"ApproximateNumberOfMessagesMoved": 7})
    assert await sqs.cancel_message_move_task("h") == 7
    assert http.sent[0].json == {"TaskHandle": "h"}
    assert operation_of(http.sent[0]) == "AmazonSQS.CancelMessageMoveTask"
