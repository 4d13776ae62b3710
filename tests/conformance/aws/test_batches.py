"""Batches of SQS: limits of the request, failures of single entries."""

from __future__ import annotations

import hashlib

import pytest

PREFIX = "AWS.SimpleQueueService."
CALLS = ("send", "delete", "hide")


def batch(backend, queue, call, identities, handle="none"):
    """Make a batch of a kind with these ids; handles are the same for all."""
    match call:
        case "send":
            return queue.send_batch(*({"Id": i, "MessageBody": i or "x"} for i in identities))
        case "delete":
            entries = [{"Id": i, "ReceiptHandle": handle} for i in identities]
            return backend.sqs.delete_message_batch(QueueUrl=queue.url, Entries=entries)
        case _:
            entries = [
                {"Id": i, "ReceiptHandle": handle, "VisibilityTimeout": 0} for i in identities
            ]
            return backend.sqs.change_message_visibility_batch(QueueUrl=queue.url, Entries=entries)


@pytest.mark.parametrize("call", CALLS)
def test_an_empty_batch_is_refused(backend, call):
    with backend.refused(f"{PREFIX}EmptyBatchRequest", status=400):
        batch(backend, backend.queue(), call, [])


@pytest.mark.parametrize("call", CALLS)
def test_a_batch_has_ten_entries_at_most(backend, call):
    with backend.refused(f"{PREFIX}TooManyEntriesInBatchRequest", text="10"):
        batch(backend, backend.queue(), call, map(str, range(11)))


@pytest.mark.parametrize("call", CALLS)
def test_ids_of_a_batch_are_distinct(backend, call):
    with backend.refused(f"{PREFIX}BatchEntryIdsNotDistinct"):
        batch(backend, backend.queue(), call, ["a", "b", "a"])


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("identity", ["", "a b", "a:b", "i" * 81])
def test_ids_have_80_letters_digits_hyphens_and_underscores(backend, call, identity):
    with backend.refused(f"{PREFIX}InvalidBatchEntryId"):
        batch(backend, backend.queue(), call, [identity])


def test_ten_messages_are_sent_by_one_call(backend):
    queue = backend.queue()
    identities = [f"i_-{number}".ljust(80, "x") for number in range(10)]
    answer = batch(backend, queue, "send", identities)
    assert [entry["Id"] for entry in answer["Successful"]] == identities
    assert not answer.get("Failed")
    assert sorted(queue.bodies(10)) == identities


def test_every_entry_is_answered_as_a_single_send(backend):
    queue = backend.queue()
    attributes = {"Hello": {"DataType": "String", "StringValue": "There"}}
    answer = queue.send_batch(
        {"Id": "a", "MessageBody": "x"},
        {"Id": "b", "MessageBody": "y", "MessageAttributes": attributes},
    )
    first, second = answer["Successful"]
    assert first["MD5OfMessageBody"] == hashlib.md5(b"x").hexdigest()
    assert "MD5OfMessageAttributes" not in first
    assert second["MD5OfMessageAttributes"] == "a311262e065454b75da111d535b8dacd"
    assert {m["MessageId"] for m in queue.take(2)} == {first["MessageId"], second["MessageId"]}


def test_entries_may_be_delayed_one_by_one(backend):
    queue = backend.queue()
    queue.send_batch(
        {"Id": "a", "MessageBody": "late", "DelaySeconds": 600}, {"Id": "b", "MessageBody": "now"}
    )
    assert queue.bodies(1) == ["now"]
    assert queue.counts() == (0, 1, 1)


def test_all_entries_together_have_one_mebibyte_at_most(backend):
    queue = backend.queue()
    half = "x" * 524_288
    with backend.refused(f"{PREFIX}BatchRequestTooLong", text="1048576"):
        queue.send_batch({"Id": "a", "MessageBody": half}, {"Id": "b", "MessageBody": f"{half}x"})
    assert queue.counts() == (0, 0, 0)
    answer = queue.send_batch({"Id": "a", "MessageBody": half}, {"Id": "b", "MessageBody": half})
    assert len(answer["Successful"]) == 2


def test_an_entry_fails_alone(backend):
    queue = backend.queue()
    answer = queue.send_batch(
        {"Id": "a", "MessageBody": "x"},
        {"Id": "b", "MessageBody": "\x01"},
        {"Id": "c", "MessageBody": "y"},
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["a", "c"]
    assert [(e["Id"], e["Code"]) for e in answer["Failed"]] == [("b", "InvalidMessageContents")]
    assert sorted(queue.bodies(2)) == ["x", "y"]


def test_what_the_sender_did_wrong_is_his_fault(backend):
    backend.lax("it says False", rule="SQS API reference, BatchResultErrorEntry: SenderFault")
    answer = backend.queue().send_batch({"Id": "a", "MessageBody": "\x01"})
    assert answer["Failed"][0]["SenderFault"] is True


def test_a_batch_to_a_fifo_queue_keeps_its_order(backend):
    queue = backend.fifo()
    bodies = [str(number) for number in range(10)]
    answer = queue.send_batch(
        *(
            {"Id": i, "MessageBody": i, "MessageGroupId": "g", "MessageDeduplicationId": i}
            for i in bodies
        )
    )
    numbers = [int(entry["SequenceNumber"]) for entry in answer["Successful"]]
    assert numbers == sorted(set(numbers))
    assert queue.bodies(10) == bodies


@pytest.mark.parametrize(
    ("missing", "text"),
    [("MessageGroupId", "MessageGroupId"), ("MessageDeduplicationId", "ContentBasedDedup")],
)
def test_a_batch_to_a_fifo_queue_is_refused_whole_where_an_id_is_missing(backend, missing, text):
    queue = backend.fifo()
    good = {"Id": "a", "MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": "1"}
    bad = {**good, "Id": "b", "MessageDeduplicationId": "2"}
    del bad[missing]
    with backend.refused("InvalidParameterValue", text=text):
        queue.send_batch(good, bad)
    assert queue.counts() == (0, 0, 0)


def test_duplicates_in_one_batch_are_delivered_once(backend):
    queue = backend.fifo(ContentBasedDeduplication="true")
    answer = queue.send_batch(
        *({"Id": i, "MessageBody": "same", "MessageGroupId": "g"} for i in "ab")
    )
    first, second = answer["Successful"]
    assert first["MessageId"] == second["MessageId"]
    assert queue.counts() == (1, 0, 0)


@pytest.mark.parametrize("call", ["delete", "hide"])
def test_a_handle_that_is_none_fails_alone(backend, call):
    queue = backend.queue()
    queue.send()
    handle = queue.take_one()["ReceiptHandle"]
    entries = [{"Id": "bad", "ReceiptHandle": "none"}, {"Id": "good", "ReceiptHandle": handle}]
    if call == "delete":
        answer = backend.sqs.delete_message_batch(QueueUrl=queue.url, Entries=entries)
        expected = (0, 0, 0)
    else:
        entries = [{**entry, "VisibilityTimeout": 0} for entry in entries]
        answer = backend.sqs.change_message_visibility_batch(QueueUrl=queue.url, Entries=entries)
        expected = (1, 0, 0)
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    failed = [(entry["Id"], entry["Code"]) for entry in answer["Failed"]]
    assert failed == [("bad", "ReceiptHandleIsInvalid")]
    assert queue.counts() == expected


def test_ten_messages_are_deleted_by_one_call(backend):
    queue = backend.queue()
    batch(backend, queue, "send", map(str, range(10)))
    taken = queue.take(10)
    answer = backend.sqs.delete_message_batch(
        QueueUrl=queue.url,
        Entries=[
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(taken)
        ],
    )
    assert len(answer["Successful"]) == 10
    assert queue.counts() == (0, 0, 0)
