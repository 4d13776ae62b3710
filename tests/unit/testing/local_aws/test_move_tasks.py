"""When move tasks move what, by a clock of the test's own."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from sourceflow.errors import AwsConfigurationError, AwsRequestError, AwsThrottledError
from sourceflow.testing import LocalAws, ManualClock
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.transports.aws.client import SendEntry


class Moving:
    """A queue, its dead letter queue, and a third one as the destination."""

    def __init__(self, core):
        self.core = core
        kind = ".fifo" if core.queue.settings.is_fifo else ""
        self.queue = core.queue
        self.dead = self._create(f"dead{kind}")
        self.destination = self._create(f"destination{kind}")
        redrive = {"deadLetterTargetArn": self.dead.arn, "maxReceiveCount": 1}
        self.set(self.queue, RedrivePolicy=json.dumps(redrive))

    def _create(self, name):
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        self.core.call("CreateQueue", 0.0, QueueName=name, Attributes=fifo)
        return self.core.sqs.queues.named(name)

    def set(self, queue, **attributes):
        url = self.core.sqs.queues.url_of(queue.name)
        self.core.call("SetQueueAttributes", 0.0, QueueUrl=url, Attributes=attributes)

    def bury(self, *bodies, now=0.0, group=None):
        """Put dead letters that came from the queue into its dead letter queue."""
        for body in bodies:
            self.dead.send(
                body,
                {},
                now=now,
                group=group,
                deduplication_id=group and body,
                source_arn=self.queue.arn,
            )

    def start(self, now, *, rate=None, to_source=False):
        asked = {} if to_source else {"DestinationArn": self.destination.arn}
        if rate is not None:
            asked["MaxNumberOfMessagesPerSecond"] = rate
        answer = self.core.call("StartMessageMoveTask", now, SourceArn=self.dead.arn, **asked)
        return answer["TaskHandle"]

    def tasks(self, now):
        answer = self.core.call("ListMessageMoveTasks", now, SourceArn=self.dead.arn, MaxResults=10)
        return answer["Results"]

    def state(self, now):
        task = self.tasks(now)[0]
        return task["Status"], task["ApproximateNumberOfMessagesMoved"]

    def cancel(self, handle, now):
        answer = self.core.call("CancelMessageMoveTask", now, TaskHandle=handle)
        return answer["ApproximateNumberOfMessagesMoved"]

    def moved(self, now):
        return [message.body for message in self.destination.receive(10, now=now)]


@pytest.fixture
def moving(make_core):
    return Moving(make_core())


@pytest.fixture
def fifo(make_core):
    return Moving(make_core(FifoQueue="true"))


def test_messages_move_at_the_rate_and_the_first_at_once(moving):
    moving.bury("a", "b", "c")
    moving.start(10.0, rate=2)
    states = {now: moving.state(now) for now in (10.0, 10.49, 10.5, 10.99, 11.0, 11.49, 11.5)}
    assert states == {
        10.0: ("RUNNING", 1),
        10.49: ("RUNNING", 1),
        10.5: ("RUNNING", 2),
        10.99: ("RUNNING", 2),
        11.0: ("RUNNING", 3),
        11.49: ("RUNNING", 3),
        11.5: ("COMPLETED", 3),
    }


def test_without_a_rate_all_move_at_once(moving):
    moving.bury("a", "b", "c")
    moving.start(10.0)
    assert moving.state(10.0) == ("COMPLETED", 3)


def test_each_message_is_sent_when_its_turn_was_though_nobody_looked(moving):
    moving.bury("a", "b", "c")
    moving.start(10.0, rate=1)
    moving.core.call("ListQueues", 60.0)
    assert [message.sent for message in moving.destination.receive(10, now=60.0)] == [10, 11, 12]


def test_a_moved_message_is_kept_for_the_whole_retention_period(moving):
    moving.set(moving.destination, MessageRetentionPeriod="60")
    moving.bury("a")
    moving.start(1_000.0)
    assert moving.destination.visible == 1
    moving.destination.advance(1_059.0)
    assert moving.destination.visible == 1
    moving.destination.advance(1_060.0)
    assert moving.destination.visible == 0


def test_a_message_that_gets_too_old_before_its_turn_does_not_move(moving):
    moving.set(moving.dead, MessageRetentionPeriod="60")
    moving.bury("young", now=60.0)
    moving.dead.receive(1, now=60.0)
    moving.dead.send("old", {}, now=60.0, first_sent=1.0)
    moving.bury("new", now=60.0)
    moving.start(61.0)
    assert moving.state(61.0) == ("COMPLETED", 1)
    assert moving.moved(61.0) == ["new"]
    assert (moving.dead.visible, moving.dead.in_flight) == (0, 1)


def test_what_is_hidden_neither_moves_nor_counts(moving):
    moving.bury("in flight")
    moving.dead.receive(1, now=0.0)
    moving.dead.send("delayed", {}, now=0.0, delay=900)
    moving.bury("visible")
    moving.start(1.0)
    (task,) = moving.tasks(1.0)
    assert task["ApproximateNumberOfMessagesToMove"] == 1
    assert moving.moved(1.0) == ["visible"]
    assert (moving.dead.in_flight, moving.dead.delayed) == (1, 1)


def test_what_is_hidden_no_longer_counts(moving):
    moving.dead.send("delayed", {}, now=0.0, delay=5)
    moving.start(10.0)
    assert moving.tasks(10.0)[0]["ApproximateNumberOfMessagesToMove"] == 1


def test_what_shows_meanwhile_moves_too(moving):
    moving.bury("a")
    moving.dead.send("delayed", {}, now=10.0, delay=1)
    moving.start(10.0, rate=1)
    assert moving.state(11.0) == ("RUNNING", 2)


def test_what_becomes_a_dead_letter_meanwhile_moves_too(moving):
    moving.bury("a")
    moving.start(10.0, rate=1)
    moving.bury("b", now=10.5)
    assert moving.state(12.0) == ("COMPLETED", 2)
    assert moving.moved(12.0) == ["a", "b"]


def test_a_purge_of_the_source_ends_the_task(moving):
    moving.bury("a", "b")
    moving.start(10.0, rate=1)
    moving.core.call("PurgeQueue", 10.5, QueueUrl=moving.core.sqs.queues.url_of("dead"))
    assert moving.state(11.0) == ("COMPLETED", 1)


def test_a_cancelled_task_is_cancelling_until_its_next_turn(moving):
    moving.bury("a", "b")
    handle = moving.start(10.0, rate=1)
    assert moving.cancel(handle, 10.5) == 1
    assert moving.state(10.9) == ("CANCELLING", 1)
    with pytest.raises(AwsFault, match="already a task running"):
        moving.start(10.9)
    with pytest.raises(AwsFault, match="UnsupportedOperation"):
        moving.cancel(handle, 10.9)
    assert moving.state(11.0) == ("CANCELLED", 1)
    assert moving.dead.visible == 1
    moving.start(11.0)
    assert moving.state(11.0) == ("COMPLETED", 1)


def test_only_a_running_task_shows_its_handle(moving):
    moving.bury("a", "b")
    handle = moving.start(10.0, rate=1)
    assert moving.tasks(10.0)[0]["TaskHandle"] == handle
    moving.cancel(handle, 10.5)
    assert "TaskHandle" not in moving.tasks(10.9)[0]


def test_a_task_moves_what_it_can_and_fails_at_a_message_that_came_from_nowhere(moving):
    moving.bury("a")
    moving.dead.send("direct", {}, now=0.0)
    moving.bury("b")
    moving.start(1.0, to_source=True)
    (task,) = moving.tasks(1.0)
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert [message.body for message in moving.queue.receive(10, now=1.0)] == ["a"]
    assert {message.body for message in moving.dead.receive(10, now=1.0)} == {"direct", "b"}


def test_a_task_fails_when_the_original_source_is_gone(moving):
    moving.bury("a", "b")
    moving.start(10.0, rate=1, to_source=True)
    keeper = {"deadLetterTargetArn": moving.dead.arn, "maxReceiveCount": 1}
    moving.set(moving.destination, RedrivePolicy=json.dumps(keeper))
    moving.core.call("DeleteQueue", 10.5, QueueUrl=moving.core.url)
    (task,) = moving.tasks(11.0)
    assert task["FailureReason"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert moving.dead.visible == 1


def test_a_task_fails_when_its_destination_begins_to_refuse(moving):
    moving.bury("a", "b")
    moving.start(10.0, rate=1)
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Resource": moving.destination.arn,
    }
    moving.set(moving.destination, Policy=json.dumps({"Statement": [deny]}))
    (task,) = moving.tasks(11.0)
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "AccessDenied")
    assert moving.dead.visible == 1


def test_after_a_failure_a_new_task_may_start(moving):
    moving.dead.send("direct", {}, now=0.0)
    moving.start(1.0, to_source=True)
    moving.start(2.0)
    assert [task["Status"] for task in moving.tasks(2.0)] == ["COMPLETED", "FAILED"]
    assert moving.moved(2.0) == ["direct"]


def test_ten_tasks_are_remembered(moving):
    handles = [moving.start(float(at), rate=at) for at in range(1, 12)]
    rates = [task["MaxNumberOfMessagesPerSecond"] for task in moving.tasks(20.0)]
    assert rates == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]
    with pytest.raises(AwsFault, match="Task does not exist"):
        moving.cancel(handles[0], 20.0)


def test_a_queue_that_is_made_anew_has_no_tasks(moving):
    moving.start(1.0)
    moving.core.call("DeleteQueue", 2.0, QueueUrl=moving.core.sqs.queues.url_of("dead"))
    moving.core.call("CreateQueue", 100.0, QueueName="dead")
    assert moving.tasks(100.0) == []


def test_a_group_moves_in_order_and_waits_behind_what_is_in_flight(fifo):
    fifo.bury("a1", group="a")
    fifo.dead.receive(1, now=0.0)
    fifo.bury("a2", group="a")
    fifo.bury("b1", "b2", group="b")
    fifo.start(1.0)
    assert fifo.state(1.0) == ("COMPLETED", 2)
    assert fifo.moved(1.0) == ["b1", "b2"]
    assert [message.body for message in fifo.dead.receive(10, now=40.0)] == ["a1", "a2"]


def test_groups_move_in_turn(fifo):
    fifo.bury("a1", "a2", group="a")
    fifo.bury("b1", group="b")
    fifo.start(1.0, rate=1)
    assert fifo.state(2.0) == ("RUNNING", 2)
    assert fifo.moved(2.0) == ["a1", "b1"]


def test_a_fifo_message_of_which_the_task_fails_keeps_its_place(fifo):
    for body in ("1", "2"):
        fifo.dead.send(body, {}, now=0.0, group="g", deduplication_id=body)
    fifo.start(1.0, to_source=True)
    assert fifo.state(1.0) == ("FAILED", 0)
    assert [message.body for message in fifo.dead.receive(10, now=1.0)] == ["1", "2"]


def test_the_destination_deduplicates_what_is_moved(fifo):
    fifo.destination.send("sent", {}, now=0.0, group="g", deduplication_id="d")
    fifo.dead.send("moved", {}, now=1.0, group="g", deduplication_id="d")
    fifo.start(2.0)
    assert fifo.state(2.0) == ("COMPLETED", 1)
    assert fifo.moved(2.0) == ["sent"]


async def test_the_client_moves_and_purges(connect):
    clock = ManualClock()
    aws = LocalAws(clock=clock)
    sqs = connect(aws, http=aws)
    dead = await sqs.create_queue("dead")
    arn = (await sqs.get_queue_attributes(dead))["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    queue = await sqs.create_queue("orders", attributes={"RedrivePolicy": redrive})
    destination = (await sqs.get_queue_attributes(queue))["QueueArn"]
    await sqs.send_message_batch(dead, [SendEntry(id=str(at), body="x") for at in range(3)])

    handle = await sqs.start_message_move_task(arn, destination_arn=destination, rate=1)
    await clock.advance(timedelta(seconds=1))
    (task,) = await sqs.list_message_move_tasks(arn)
    assert (task.status, task.task_handle, task.source_arn) == ("RUNNING", handle, arn)
    assert (task.destination_arn, task.max_number_of_messages_per_second) == (destination, 1)
    assert task.approximate_number_of_messages_to_move == 3
    assert task.started_timestamp == (clock.now() - timedelta(seconds=1)).timestamp() * 1000
    assert await sqs.cancel_message_move_task(handle) == 2
    with pytest.raises(AwsRequestError):
        await sqs.cancel_message_move_task(handle)
    with pytest.raises(AwsRequestError):
        await sqs.start_message_move_task(destination)
    with pytest.raises(AwsConfigurationError):
        await sqs.list_message_move_tasks(f"{arn}-missing")

    await sqs.purge_queue(dead)
    assert await sqs.receive_message(dead) == []
    with pytest.raises(AwsThrottledError):
        await sqs.purge_queue(dead)
