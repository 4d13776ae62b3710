"""Dead letter queues, and how long messages are kept."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

SAME_KIND = "SQS developer guide, Using dead-letter queues: the queue type must match"


def redrive(target, receives="3"):
    return json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": receives})


def fail(queue, times=1):
    """Receive and hand back."""
    for _ in range(times):
        queue.hide(queue.take_one(), 0)


def test_a_message_moves_after_so_many_receives(backend):
    queue = backend.queue()
    dead = backend.dead_letters_of(queue, receives=2)
    sent = queue.send("bad")
    fail(queue, 2)
    assert dead.is_empty()
    assert queue.receive() == []
    letter = dead.take_one()
    assert letter["Body"] == "bad"
    assert letter["MessageId"] == sent["MessageId"]
    assert queue.counts() == (0, 0, 0)


def test_a_dead_letter_says_where_it_comes_from_and_keeps_its_attributes(backend):
    queue = backend.queue()
    dead = backend.dead_letters_of(queue)
    attributes = {"a": {"DataType": "String", "StringValue": "x"}}
    queue.send(MessageAttributes=attributes)
    fail(queue)
    assert queue.receive() == []
    letter = dead.take_one()
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == queue.arn
    assert letter["MessageAttributes"] == attributes


def test_receives_are_counted_across_queues(backend):
    queue = backend.queue()
    dead = backend.dead_letters_of(queue)
    queue.send()
    fail(queue)
    assert queue.receive() == []
    assert dead.take_one()["Attributes"]["ApproximateReceiveCount"] == "2"


def test_a_message_that_is_deleted_in_time_does_not_move(backend):
    queue = backend.queue()
    dead = backend.dead_letters_of(queue)
    queue.send()
    queue.delete(queue.take_one())
    assert queue.receive() == []
    assert dead.is_empty()


def test_timeouts_count_as_receives_too(backend):
    queue = backend.queue(VisibilityTimeout="1")
    dead = backend.dead_letters_of(queue)
    queue.send()
    queue.take_one()
    backend.advance(timedelta(seconds=1))
    backend.settle()
    poll = backend.begin(queue.receive, WaitTimeSeconds=1)
    backend.await_poller()
    backend.advance(timedelta(seconds=1))
    assert poll.result(timeout=5) == []
    dead.take_one()


def test_a_dead_letter_of_a_fifo_queue_keeps_its_group_and_frees_it(backend):
    queue = backend.fifo()
    dead = backend.dead_letters_of(queue)
    for body in ("bad", "good"):
        queue.send(body, MessageGroupId="g", MessageDeduplicationId=body)
    (bad,) = queue.receive(1)
    queue.hide(bad, 0)
    assert queue.take_one()["Body"] == "good"
    letter = dead.take_one()
    assert (letter["Body"], letter["Attributes"]["MessageGroupId"]) == ("bad", "g")


def test_without_its_policy_a_queue_gives_a_message_for_ever(backend):
    queue = backend.queue()
    backend.dead_letters_of(queue)
    queue.set(RedrivePolicy="")
    queue.send()
    fail(queue, 3)
    assert queue.take_one()["Attributes"]["ApproximateReceiveCount"] == "4"


def test_the_dead_letter_queue_of_a_fifo_queue_must_be_fifo(backend):
    backend.lax("it does not look at the kind", rule=SAME_KIND)
    with backend.refused("InvalidParameterValue"):
        backend.fifo().set(RedrivePolicy=redrive(backend.queue().arn))


def test_the_dead_letter_queue_of_a_standard_queue_must_be_standard(backend):
    backend.lax("it does not look at the kind", rule=SAME_KIND)
    with backend.refused("InvalidParameterValue"):
        backend.queue().set(RedrivePolicy=redrive(backend.fifo().arn))


def test_the_dead_letter_queue_must_exist(backend):
    backend.lax("it does not look for it", rule="SQS developer guide, Using dead-letter queues")
    queue = backend.queue()
    with backend.refused("InvalidParameterValue", text="RedrivePolicy"):
        queue.set(RedrivePolicy=redrive(f"{queue.arn}-missing"))


@pytest.mark.parametrize("receives", ["0", "1001", "many"])
def test_receives_are_from_1_to_1000(backend, receives):
    queue, dead = backend.queue(), backend.queue()
    with backend.refused("InvalidParameterValue", text="maxReceiveCount"):
        queue.set(RedrivePolicy=redrive(dead.arn, receives))


@pytest.mark.parametrize("missing", ["deadLetterTargetArn", "maxReceiveCount"])
def test_a_redrive_policy_has_a_target_and_a_count(backend, missing):
    queue, dead = backend.queue(), backend.queue()
    whole = json.loads(redrive(dead.arn))
    del whole[missing]
    with backend.refused("InvalidParameterValue", text=missing):
        queue.set(RedrivePolicy=json.dumps(whole))


def test_a_redrive_policy_comes_back_as_it_was_set(backend):
    queue, dead = backend.queue(), backend.queue()
    queue.set(RedrivePolicy=redrive(dead.arn))
    found = json.loads(queue.attributes("RedrivePolicy")["RedrivePolicy"])
    assert (found["deadLetterTargetArn"], int(found["maxReceiveCount"])) == (dead.arn, 3)


@pytest.mark.parametrize("permission", ["denyAll", "byQueue"])
def test_a_dead_letter_queue_may_refuse_sources(backend, permission):
    backend.lax("it keeps the policy unread", rule="SQS API reference, RedriveAllowPolicy")
    queue, dead, other = backend.queue(), backend.queue(), backend.queue()
    allow = {"redrivePermission": permission}
    if permission == "byQueue":
        allow["sourceQueueArns"] = [other.arn]
    dead.set(RedriveAllowPolicy=json.dumps(allow))
    with backend.refused("InvalidParameterValue"):
        queue.set(RedrivePolicy=redrive(dead.arn))


def test_a_dead_letter_queue_may_name_its_sources(backend):
    queue, dead = backend.queue(), backend.queue()
    allow = {"redrivePermission": "byQueue", "sourceQueueArns": [queue.arn]}
    dead.set(RedriveAllowPolicy=json.dumps(allow))
    queue.set(RedrivePolicy=redrive(dead.arn))
    assert queue.attributes("RedrivePolicy")


def test_the_sources_of_a_dead_letter_queue_are_listed(backend):
    queue, dead = backend.queue(), backend.queue()
    queue.set(RedrivePolicy=redrive(dead.arn))
    answer = backend.sqs.list_dead_letter_source_queues(QueueUrl=dead.url)
    assert answer["queueUrls"] == [queue.url]


def test_messages_are_kept_for_the_retention_period(local_aws):
    queue = local_aws.queue(MessageRetentionPeriod="60")
    queue.send()
    local_aws.advance(timedelta(seconds=59))
    assert queue.counts() == (1, 0, 0)
    local_aws.advance(timedelta(seconds=1))
    assert queue.is_empty()
    assert queue.counts() == (0, 0, 0)


def move_after_40_seconds(local_aws, queue):
    """Return a dead letter queue that got a message 40 seconds old, and keeps it for 60."""
    dead = local_aws.dead_letters_of(queue)
    dead.set(MessageRetentionPeriod="60")
    fifo = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
    queue.send(**(fifo if queue.name.endswith(".fifo") else {}))
    fail(queue)
    local_aws.advance(timedelta(seconds=40))
    assert queue.receive() == []
    assert dead.counts() == (1, 0, 0)
    return dead


def test_dead_letters_of_standard_queues_are_as_old_as_the_message(local_aws):
    dead = move_after_40_seconds(local_aws, local_aws.queue())
    local_aws.advance(timedelta(seconds=20))
    assert dead.is_empty()


def test_dead_letters_of_fifo_queues_are_as_old_as_the_move(local_aws):
    dead = move_after_40_seconds(local_aws, local_aws.fifo())
    local_aws.advance(timedelta(seconds=59))
    assert dead.counts() == (1, 0, 0)
    local_aws.advance(timedelta(seconds=1))
    assert dead.is_empty()
