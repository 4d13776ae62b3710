"""Visibility timeouts, receipt handles, deletes and counts."""

from __future__ import annotations

from datetime import timedelta

GONE = ("InvalidParameterValue", "AWS.SimpleQueueService.MessageNotInflight")


def test_a_received_message_is_hidden_until_its_timeout(backend):
    queue = backend.queue(VisibilityTimeout="1")
    queue.send()
    first = queue.take_one()
    assert queue.receive() == []
    backend.advance(timedelta(seconds=1))
    again = queue.take_one()
    assert again["MessageId"] == first["MessageId"]
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"


def test_a_receive_may_have_a_timeout_of_its_own(backend):
    queue = backend.queue(VisibilityTimeout="600")
    queue.send()
    queue.take_one(VisibilityTimeout=1)
    assert queue.receive() == []
    backend.advance(timedelta(seconds=1))
    assert queue.take_one()["Attributes"]["ApproximateReceiveCount"] == "2"


def test_a_message_received_for_zero_seconds_is_not_hidden(backend):
    queue = backend.queue()
    queue.send()
    for count in "123":
        message = queue.take_one(VisibilityTimeout=0)
        assert message["Attributes"]["ApproximateReceiveCount"] == count


def test_a_message_is_hidden_for_half_a_minute_where_nothing_is_said(local_aws):
    queue = local_aws.queue()
    queue.send()
    queue.take_one()
    local_aws.advance(timedelta(seconds=29))
    assert queue.receive() == []
    local_aws.advance(timedelta(seconds=1))
    queue.take_one()


def test_a_timeout_can_be_ended_at_once(backend):
    queue = backend.queue()
    queue.send()
    queue.hide(queue.take_one(), 0)
    assert queue.take_one()["Attributes"]["ApproximateReceiveCount"] == "2"


def test_a_timeout_can_be_extended(backend):
    queue = backend.queue(VisibilityTimeout="1")
    queue.send()
    queue.hide(queue.take_one(), 600)
    backend.advance(timedelta(seconds=2))
    assert queue.is_empty()
    assert queue.counts() == (0, 1, 0)


def test_a_changed_timeout_counts_from_the_change(local_aws):
    queue = local_aws.queue(VisibilityTimeout="60")
    queue.send()
    message = queue.take_one()
    local_aws.advance(timedelta(seconds=15))
    queue.hide(message, 10)
    local_aws.advance(timedelta(seconds=9))
    assert queue.receive() == []
    local_aws.advance(timedelta(seconds=1))
    queue.take_one()


def test_a_timeout_over_twelve_hours_is_refused(backend):
    backend.lax("it takes any timeout", rule="SQS API reference, ChangeMessageVisibility")
    queue = backend.queue()
    queue.send()
    message = queue.take_one()
    with backend.refused("InvalidParameterValue", text="VisibilityTimeout"):
        queue.hide(message, 43_201)


def test_a_message_is_hidden_for_twelve_hours_at_most_in_all(local_aws):
    queue = local_aws.queue()
    queue.send()
    message = queue.take_one(VisibilityTimeout=43_200)
    local_aws.advance(timedelta(hours=1))
    with local_aws.refused("InvalidParameterValue", text="Total VisibilityTimeout"):
        queue.hide(message, 11 * 3600 + 1)
    queue.hide(message, 11 * 3600)
    local_aws.advance(timedelta(hours=11))
    queue.take_one()


def test_a_handle_that_is_none_is_refused(backend):
    queue = backend.queue()
    message = {"ReceiptHandle": "none"}
    with backend.refused("ReceiptHandleIsInvalid") as caught:
        queue.delete(message)
    assert isinstance(caught.value, backend.sqs.exceptions.ReceiptHandleIsInvalid)
    with backend.refused("ReceiptHandleIsInvalid"):
        queue.hide(message, 1)


def test_a_handle_is_good_for_its_queue_alone(backend):
    queue, other = backend.queue(), backend.queue()
    queue.send()
    message = queue.take_one(VisibilityTimeout=0)
    with backend.refused("ReceiptHandleIsInvalid", *GONE):
        other.delete(message)
    with backend.refused("ReceiptHandleIsInvalid", *GONE):
        other.hide(message, 1)
    queue.take_one()


def test_a_deleted_message_never_comes_back(backend):
    queue = backend.queue(VisibilityTimeout="1")
    queue.send()
    queue.delete(queue.take_one())
    assert queue.counts() == (0, 0, 0)
    backend.advance(timedelta(seconds=2))
    assert queue.is_empty()


def test_deleting_twice_succeeds(backend):
    queue = backend.queue()
    queue.send()
    message = queue.take_one()
    queue.delete(message)
    queue.delete(message)


def test_the_timeout_of_a_deleted_message_cannot_be_changed(backend):
    queue = backend.queue()
    queue.send()
    message = queue.take_one()
    queue.delete(message)
    with backend.refused(*GONE):
        queue.hide(message, 10)


def test_a_standard_queue_deletes_by_the_newest_handle_after_its_timeout(backend):
    queue = backend.queue()
    queue.send()
    message = queue.take_one()
    queue.hide(message, 0)
    queue.delete(message)
    assert queue.is_empty()


def test_a_standard_queue_says_yes_to_an_old_handle(backend):
    queue = backend.queue()
    queue.send()
    old = queue.take_one(VisibilityTimeout=0)
    newest = queue.take_one()
    queue.delete(old)
    queue.delete(newest)
    assert queue.counts() == (0, 0, 0)


def test_a_fifo_queue_refuses_a_handle_whose_timeout_is_over(backend):
    queue = backend.fifo(VisibilityTimeout="1")
    queue.send(MessageGroupId="g", MessageDeduplicationId="d")
    message = queue.take_one()
    backend.advance(timedelta(seconds=1.5))
    with backend.refused("InvalidParameterValue", text="expired"):
        queue.delete(message)
    assert queue.take_one()["MessageId"] == message["MessageId"]


def test_a_fifo_queue_refuses_to_hide_by_a_handle_whose_timeout_is_over(backend):
    backend.lax("it says yes and does nothing", rule="SQS API reference, ChangeMessageVisibility")
    queue = backend.fifo(VisibilityTimeout="1")
    queue.send(MessageGroupId="g", MessageDeduplicationId="d")
    message = queue.take_one()
    backend.advance(timedelta(seconds=1.5))
    with backend.refused(*GONE):
        queue.hide(message, 10)


def test_a_fifo_queue_refuses_to_delete_by_an_old_handle(backend):
    backend.lax("it deletes by any handle", rule="SQS API reference, DeleteMessage")
    queue = backend.fifo()
    queue.send(MessageGroupId="g", MessageDeduplicationId="d")
    old = queue.take_one(VisibilityTimeout=1)
    backend.advance(timedelta(seconds=1.5))
    queue.take_one()
    with backend.refused("InvalidParameterValue"):
        queue.delete(old)


def test_counts_tell_visible_hidden_and_delayed_apart(backend):
    queue = backend.queue()
    for body in "abc":
        queue.send(body)
    queue.send("later", DelaySeconds=600)
    assert queue.counts() == (3, 0, 1)
    taken = queue.take(2)
    assert queue.counts() == (1, 2, 1)
    queue.delete(taken[0])
    queue.hide(taken[1], 0)
    assert queue.counts() == (2, 0, 1)
