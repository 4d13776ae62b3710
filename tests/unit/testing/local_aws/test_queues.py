"""Rules of queues that no conformance test reaches: limits of size, and what cannot be tried on AWS."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from sourceflow.errors import AwsConfigurationError
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.sqs import queue as queue_module


def in_flight(make_core, monkeypatch, **attributes):
    """Return a queue with as many messages in flight as there may be, and one more."""
    assert queue_module.MAX_IN_FLIGHT == 120_000
    monkeypatch.setattr(queue_module, "MAX_IN_FLIGHT", 20)
    core = make_core(**attributes)
    for at in range(21):
        core.queue.send("x", {}, now=0.0, group=str(at), deduplication_id=str(at))
    received = [core.receive(0.0), core.receive(0.0)]
    assert core.queue.in_flight == 20
    return core, received[0]


def test_a_standard_queue_refuses_to_have_more_in_flight(make_core, monkeypatch):
    core, received = in_flight(make_core, monkeypatch)
    with pytest.raises(AwsFault, match="OverLimit") as caught:
        core.receive(0.0)
    assert caught.value.status == 403
    core.delete(received, 0.0)
    assert len(core.receive(0.0)) == 1


def test_a_fifo_queue_gives_nothing_while_too_many_are_in_flight(make_core, monkeypatch):
    core, received = in_flight(make_core, monkeypatch, FifoQueue="true")
    assert core.receive(0.0) == []
    core.delete(received, 0.0)
    assert len(core.receive(0.0)) == 1


def test_a_queue_is_not_its_own_dead_letter_queue(make_core):
    core = make_core()
    policy = {"deadLetterTargetArn": core.queue.arn, "maxReceiveCount": 1}
    with pytest.raises(AwsFault, match="its own dead letter queue"):
        core.call(
            "SetQueueAttributes",
            0.0,
            QueueUrl=core.url,
            Attributes={"RedrivePolicy": json.dumps(policy)},
        )


def test_attributes_that_are_refused_leave_the_queue_as_it_was(make_core):
    core = make_core(DelaySeconds="3")
    with pytest.raises(AwsFault, match="VisibilityTimeout"):
        core.call(
            "SetQueueAttributes",
            0.0,
            QueueUrl=core.url,
            Attributes={"DelaySeconds": "4", "VisibilityTimeout": "-1"},
        )
    assert core.queue.settings.delay == 3


def test_a_group_goes_on_behind_its_dead_letters_in_the_same_receive(make_core):
    core = make_core(FifoQueue="true")
    core.call("CreateQueue", 0.0, QueueName="dead.fifo", Attributes={"FifoQueue": "true"})
    dead = core.sqs.queues.named("dead.fifo")
    policy = {"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1}
    core.call(
        "SetQueueAttributes",
        0.0,
        QueueUrl=core.url,
        Attributes={"RedrivePolicy": json.dumps(policy)},
    )
    for body in ("1", "2"):
        core.queue.send(body, {}, now=0.0, group="g", deduplication_id=body)
    assert [message["Body"] for message in core.receive(0.0)] == ["1", "2"]
    core.queue.send("3", {}, now=1.0, group="g", deduplication_id="3")
    assert [message["Body"] for message in core.receive(31.0)] == ["3"]
    assert dead.visible == 2
    assert core.receive(32.0) == []


def test_an_old_message_is_not_given_though_younger_ones_came_before_it(make_core):
    core = make_core(MessageRetentionPeriod="60")
    core.queue.send("young", {}, now=50.0)
    core.queue.send("old", {}, now=50.0, first_sent=0.0)
    assert [message["Body"] for message in core.receive(60.0)] == ["young"]
    assert (core.queue.visible, core.queue.in_flight) == (0, 1)


async def test_a_poll_of_a_queue_that_is_deleted_ends(aws, connect):
    sqs = connect(aws)
    queue = await sqs.create_queue("orders")
    poll = asyncio.create_task(sqs.receive_message(queue, wait_time=timedelta(seconds=20)))
    async with asyncio.timeout(5):
        while not aws.calls["ReceiveMessage"]:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)
        await sqs.delete_queue(queue)
        with pytest.raises(AwsConfigurationError):
            await poll
