"""Receiving: how many, how long, and long polls."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest


def test_one_message_comes_where_no_number_is_asked_for(backend):
    queue = backend.queue()
    for _ in range(3):
        queue.send()
    answer = backend.sqs.receive_message(QueueUrl=queue.url)
    assert len(answer["Messages"]) == 1


def test_never_more_come_than_asked_for(backend):
    queue = backend.queue()
    for _ in range(4):
        queue.send()
    assert len(queue.receive(3)) <= 3


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("MaxNumberOfMessages", 11), ("WaitTimeSeconds", 21), ("WaitTimeSeconds", -1)],
)
def test_numbers_out_of_range_are_refused(backend, parameter, value):
    queue = backend.queue()
    with backend.refused("InvalidParameterValue", text=parameter):
        backend.sqs.receive_message(QueueUrl=queue.url, **{parameter: value})


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("MaxNumberOfMessages", 0), ("VisibilityTimeout", 43_201), ("VisibilityTimeout", -1)],
)
def test_numbers_out_of_range_that_localstack_takes_are_refused(backend, parameter, value):
    backend.lax("it does not look", rule="SQS API reference, ReceiveMessage")
    queue = backend.queue()
    with backend.refused("InvalidParameterValue", text=parameter):
        backend.sqs.receive_message(QueueUrl=queue.url, **{parameter: value})


def test_every_receive_gives_another_receipt_handle(backend):
    queue = backend.queue()
    queue.send()
    handles = {queue.take_one(VisibilityTimeout=0)["ReceiptHandle"] for _ in range(3)}
    assert len(handles) == 3


def test_a_short_poll_answers_at_once(backend):
    queue = backend.queue()
    began = time.monotonic()
    assert queue.receive() == []
    assert time.monotonic() - began < 1


def test_a_long_poll_answers_when_a_message_is_sent(backend):
    queue = backend.queue()
    poll = backend.begin_poll(queue, 20)
    assert not poll.done()
    queue.send("here")
    assert [message["Body"] for message in poll.result(timeout=5)] == ["here"]


def test_a_long_poll_answers_at_once_where_there_is_a_message(backend):
    queue = backend.queue()
    queue.send("here")
    poll = backend.begin(queue.receive, WaitTimeSeconds=20)
    assert [message["Body"] for message in poll.result(timeout=5)] == ["here"]


def test_a_long_poll_ends_empty_when_its_time_is_over(backend):
    queue = backend.queue()
    poll = backend.begin_poll(queue, 1)
    assert not poll.done()
    backend.advance(timedelta(seconds=1))
    assert poll.result(timeout=5) == []


def test_a_long_poll_gets_a_message_whose_delay_ends(backend):
    queue = backend.queue()
    queue.send("late", DelaySeconds=1)
    poll = backend.begin_poll(queue, 20)
    assert not poll.done()
    backend.advance(timedelta(seconds=1))
    assert [message["Body"] for message in poll.result(timeout=5)] == ["late"]


def test_a_long_poll_gets_a_message_that_shows_again(backend):
    queue = backend.queue()
    queue.send("again")
    queue.take_one(VisibilityTimeout=1)
    poll = backend.begin_poll(queue, 20)
    assert not poll.done()
    backend.advance(timedelta(seconds=1))
    assert [message["Body"] for message in poll.result(timeout=5)] == ["again"]


def test_a_long_poll_gets_a_message_that_is_handed_back(backend):
    queue = backend.queue()
    queue.send("again")
    message = queue.take_one()
    poll = backend.begin_poll(queue, 20)
    assert not poll.done()
    queue.hide(message, 0)
    assert [message["Body"] for message in poll.result(timeout=5)] == ["again"]


def test_a_long_poll_of_a_fifo_queue_gets_the_next_of_a_group(backend):
    queue = backend.fifo()
    for number in "12":
        queue.send(number, MessageGroupId="g", MessageDeduplicationId=number)
    first = queue.take_one()
    poll = backend.begin_poll(queue, 20)
    assert not poll.done()
    queue.delete(first)
    assert [message["Body"] for message in poll.result(timeout=5)] == ["2"]


def test_a_queue_says_how_long_polls_are_that_say_nothing(backend):
    queue = backend.queue(ReceiveMessageWaitTimeSeconds="20")
    poll = backend.begin(backend.sqs.receive_message, QueueUrl=queue.url)
    backend.await_poller()
    assert not poll.done()
    queue.send("here")
    assert poll.result(timeout=5)["Messages"][0]["Body"] == "here"


def test_a_poll_may_be_shorter_than_its_queue_says(backend):
    queue = backend.queue(ReceiveMessageWaitTimeSeconds="20")
    assert backend.begin(queue.receive, WaitTimeSeconds=0).result(timeout=5) == []


def test_one_message_ends_one_long_poll_of_two(backend):
    queue = backend.queue()
    polls = [backend.begin_poll(queue, 20) for _ in range(2)]
    queue.send("one")
    deadline = time.monotonic() + 5
    while not any(poll.done() for poll in polls) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(poll.done() for poll in polls) == [False, True]
    queue.send("two")
    bodies = [message["Body"] for poll in polls for message in poll.result(timeout=5)]
    assert sorted(bodies) == ["one", "two"]
