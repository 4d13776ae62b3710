"""Message move tasks: dead letters that go back to work."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest

API = "SQS API reference, StartMessageMoveTask"
GUIDE = "SQS developer guide, Configure a dead-letter queue redrive"
TROUBLES = "SQS developer guide, Troubleshoot DLQ redrive issues"
GONE = "AWS.SimpleQueueService.NonExistentQueue"
SECOND = timedelta(seconds=1)
#: Real seconds that a task may take to get where it is awaited.
DONE_WITHIN = 8.0
#: More dead letters than a task of one a second moves while a test looks at it.
MANY = ("a", "b", "c", "d", "e")


def dead_letter(queue, *bodies, **parameters):
    """Let messages become dead letters of a queue that gives each only once."""
    for body in bodies:
        fifo = {"MessageGroupId": "g", "MessageDeduplicationId": body}
        queue.send(body, **(fifo if queue.name.endswith(".fifo") else {}), **parameters)
        queue.hide(queue.take_one(), 0)
        assert queue.receive() == []


def start(dead, destination=None, rate=None):
    asked = {
        "SourceArn": dead.arn,
        "DestinationArn": destination and destination.arn,
        "MaxNumberOfMessagesPerSecond": rate,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return dead.backend.sqs.start_message_move_task(**given)["TaskHandle"]


def tasks_of(dead, limit=None):
    more = {} if limit is None else {"MaxResults": limit}
    return dead.backend.sqs.list_message_move_tasks(SourceArn=dead.arn, **more)["Results"]


def newest(dead, *statuses, moved=0):
    """Return the newest task as soon as it is in one of these states and has moved so much."""
    deadline = time.monotonic() + DONE_WITHIN
    while time.monotonic() < deadline:
        (task,) = tasks_of(dead)
        if task["Status"] in statuses and task["ApproximateNumberOfMessagesMoved"] >= moved:
            return task
        time.sleep(0.02)
    raise AssertionError(f"the task is {task}")


def deny(queue, *actions):
    """Forbid operations on a queue, to its own account too."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": [f"sqs:{action}" for action in actions],
        "Resource": queue.arn,
    }
    queue.set(Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


@pytest.fixture
def failing(backend):
    """A queue whose messages are dead letters after one receive, and where they go."""
    queue = backend.queue()
    return queue, backend.dead_letters_of(queue)


def test_dead_letters_move_to_the_queue_that_is_named(backend, failing):
    queue, dead = failing
    destination = backend.queue()
    dead_letter(queue, "a", "b")
    start(dead, destination)
    assert sorted(destination.bodies(2)) == ["a", "b"]
    assert dead.counts() == (0, 0, 0)
    assert queue.counts() == (0, 0, 0)
    task = newest(dead, "COMPLETED", moved=2)
    assert abs(task.pop("StartedTimestamp") / 1000 - backend.now().timestamp()) < 60
    assert task == {
        "Status": "COMPLETED",
        "SourceArn": dead.arn,
        "DestinationArn": destination.arn,
        "ApproximateNumberOfMessagesMoved": 2,
        "ApproximateNumberOfMessagesToMove": 2,
    }


def test_without_a_destination_each_goes_back_to_where_it_came_from(backend, failing):
    queue, dead = failing
    other = backend.queue()
    other.set(RedrivePolicy=json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1}))
    dead_letter(queue, "a")
    dead_letter(other, "b")
    start(dead)
    assert queue.bodies(1) == ["a"]
    assert other.bodies(1) == ["b"]
    assert "DestinationArn" not in newest(dead, "COMPLETED", moved=2)


def test_a_moved_message_keeps_its_attributes(backend, failing):
    queue, dead = failing
    attributes = {"a": {"DataType": "String", "StringValue": "x"}}
    dead_letter(queue, "a", MessageAttributes=attributes)
    start(dead)
    assert queue.take_one()["MessageAttributes"] == attributes


def test_a_moved_message_is_a_new_one(backend, failing):
    backend.lax("it moves the message as it is", rule=GUIDE)
    queue, dead = failing
    sent = queue.send("a")
    queue.hide(queue.take_one(), 0)
    assert queue.receive() == []
    backend.advance(SECOND)
    moved_at = backend.now().timestamp()
    start(dead)
    message = queue.take_one()
    assert message["MessageId"] != sent["MessageId"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "DeadLetterQueueSourceArn" not in message["Attributes"]
    assert int(message["Attributes"]["SentTimestamp"]) >= int(moved_at * 1000)


def test_where_a_message_came_from_is_unknown_if_it_was_sent_to_the_dead_letters(backend, failing):
    backend.lax("its task fails for a reason of its own", rule=TROUBLES)
    _, dead = failing
    dead.send("direct")
    start(dead)
    task = newest(dead, "FAILED")
    assert task["FailureReason"] == "CouldNotDetermineMessageSource"


def test_a_message_of_which_the_task_fails_stays(backend, failing):
    _, dead = failing
    dead.send("direct")
    start(dead)
    task = newest(dead, "FAILED")
    assert "TaskHandle" not in task
    assert task["ApproximateNumberOfMessagesMoved"] == 0
    assert dead.bodies(1) == ["direct"]


def test_messages_that_were_sent_to_the_dead_letters_move_where_they_are_told(backend, failing):
    queue, dead = failing
    dead.send("direct")
    start(dead, queue)
    assert queue.bodies(1) == ["direct"]


def test_the_source_is_the_dead_letter_queue_of_some_queue(backend):
    with backend.refused("InvalidParameterValue", text="configured as a Dead Letter Queue"):
        start(backend.queue(), backend.queue())


@pytest.mark.parametrize("which", ["SourceArn", "DestinationArn"])
def test_the_queues_exist(backend, failing, which):
    _, dead = failing
    arns = {"SourceArn": dead.arn, which: f"{dead.arn}-missing"}
    with backend.refused("ResourceNotFoundException", text=which, status=404):
        backend.sqs.start_message_move_task(**arns)


def test_a_queue_does_not_move_into_itself(backend, failing):
    backend.lax("it moves in a circle", rule=f"{API}: to another queue")
    _, dead = failing
    with backend.refused("InvalidParameterValue", text="cannot be the same"):
        start(dead, dead)


@pytest.mark.parametrize("rate", [0, 501])
def test_the_rate_is_from_1_to_500(backend, failing, rate):
    backend.lax("it takes any rate", rule=f"{API}: MaxNumberOfMessagesPerSecond")
    queue, dead = failing
    with backend.refused("InvalidParameterValue", text="MaxNumberOfMessagesPerSecond"):
        start(dead, queue, rate)


def test_a_running_task_has_a_handle_and_shows_its_rate(backend, failing):
    queue, dead = failing
    dead_letter(queue, *MANY)
    handle = start(dead, backend.queue(), rate=1)
    task = newest(dead, "RUNNING", moved=1)
    assert task["TaskHandle"] == handle
    assert task["MaxNumberOfMessagesPerSecond"] == 1
    assert task["ApproximateNumberOfMessagesToMove"] == len(MANY)


def test_a_queue_has_one_active_task(backend, failing):
    queue, dead = failing
    dead_letter(queue, *MANY)
    start(dead, backend.queue(), rate=1)
    with backend.refused("InvalidParameterValue", text="already a task running"):
        start(dead, backend.queue(), rate=1)


def test_what_a_cancelled_task_has_not_moved_stays(backend, failing):
    queue, dead = failing
    destination = backend.queue()
    dead_letter(queue, *MANY)
    handle = start(dead, destination, rate=1)
    newest(dead, "RUNNING", moved=1)
    answer = backend.sqs.cancel_message_move_task(TaskHandle=handle)
    backend.advance(SECOND)
    task = newest(dead, "CANCELLED")
    assert "TaskHandle" not in task
    moved = task["ApproximateNumberOfMessagesMoved"]
    assert 1 <= answer["ApproximateNumberOfMessagesMoved"] <= moved < len(MANY)
    backend.advance(SECOND)
    assert destination.counts() == (moved, 0, 0)
    assert sum(dead.counts()) == len(MANY) - moved


def test_a_task_that_is_over_cannot_be_cancelled(backend, failing):
    backend.lax("it cancels it all the same", rule="SQS API reference, CancelMessageMoveTask")
    queue, dead = failing
    handle = start(dead, queue)
    newest(dead, "COMPLETED")
    with backend.refused(
        "AWS.SimpleQueueService.UnsupportedOperation", "ResourceNotFoundException"
    ):
        backend.sqs.cancel_message_move_task(TaskHandle=handle)


def test_a_handle_is_one_that_a_start_returned(backend):
    with backend.refused("InvalidParameterValue", text="TaskHandle is invalid"):
        backend.sqs.cancel_message_move_task(TaskHandle="foobared")


def test_the_task_of_a_handle_is_known(backend, failing):
    queue, dead = failing
    handle = start(dead, queue)
    newest(dead, "COMPLETED")
    backend.sqs.delete_queue(QueueUrl=dead.url)
    with backend.refused("ResourceNotFoundException", status=404):
        backend.sqs.cancel_message_move_task(TaskHandle=handle)


def test_tasks_are_listed_newest_first(backend, failing):
    queue, dead = failing
    for rate in (1, 2, 3):
        start(dead, queue, rate)
        newest(dead, "COMPLETED")
        backend.advance(timedelta(milliseconds=10))
    rates = [task["MaxNumberOfMessagesPerSecond"] for task in tasks_of(dead, 2)]
    assert rates == [3, 2]
    assert [task["MaxNumberOfMessagesPerSecond"] for task in tasks_of(dead)] == [3]


def test_a_queue_without_tasks_lists_none(backend, failing):
    _, dead = failing
    assert tasks_of(dead) == []


def test_tasks_of_a_queue_that_is_missing_are_not_listed(backend):
    arn = f"{backend.queue().arn}-missing"
    with backend.refused("ResourceNotFoundException"):
        backend.sqs.list_message_move_tasks(SourceArn=arn)


@pytest.mark.parametrize("limit", [0, 11])
def test_at_most_ten_tasks_are_listed(backend, failing, limit):
    backend.lax("it takes any limit", rule="SQS API reference, ListMessageMoveTasks: MaxResults")
    _, dead = failing
    with backend.refused("InvalidParameterValue", text="MaxResults"):
        tasks_of(dead, limit)


def test_a_task_fails_when_its_destination_goes(backend, failing):
    queue, dead = failing
    destination = backend.queue()
    dead_letter(queue, *MANY)
    start(dead, destination, rate=1)
    newest(dead, "RUNNING", moved=1)
    backend.sqs.delete_queue(QueueUrl=destination.url)
    backend.advance(SECOND)
    task = newest(dead, "FAILED")
    assert task["FailureReason"] in {GONE, "QueueDoesNotExist"}
    assert sum(dead.counts()) == len(MANY) - task["ApproximateNumberOfMessagesMoved"] > 0


def test_fifo_messages_move_with_their_group_and_in_order(backend):
    queue, destination = backend.fifo(), backend.fifo()
    dead = backend.dead_letters_of(queue)
    dead_letter(queue, "a", "b")
    start(dead, destination)
    moved = destination.take(2)
    assert [message["Body"] for message in moved] == ["a", "b"]
    assert {message["Attributes"]["MessageGroupId"] for message in moved} == {"g"}


def test_fifo_messages_go_back_though_their_queue_has_seen_them(backend):
    backend.lax("a dead letter keeps its deduplication id: the queue swallows it", rule=GUIDE)
    queue = backend.fifo()
    dead = backend.dead_letters_of(queue)
    dead_letter(queue, "a")
    start(dead)
    assert queue.bodies(1) == ["a"]


def test_a_dead_letter_of_a_fifo_queue_is_deduplicated_by_its_message_id(backend):
    backend.lax("it keeps its deduplication id", rule=GUIDE)
    queue = backend.fifo()
    dead = backend.dead_letters_of(queue)
    dead_letter(queue, "a")
    letter = dead.take_one()
    assert letter["Attributes"]["MessageDeduplicationId"] == letter["MessageId"]


def test_both_queues_are_of_one_kind(backend):
    backend.lax("it does not look at the kind", rule=GUIDE)
    queue = backend.fifo()
    dead = backend.dead_letters_of(queue)
    with backend.refused("InvalidParameterValue"):
        start(dead, backend.queue())


NEEDED = ["StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes"]


@pytest.mark.parametrize("action", NEEDED)
def test_who_starts_a_task_may_do_what_it_does_to_the_source(backend, failing, action):
    backend.lax("it reads no policy", rule=TROUBLES)
    queue, dead = failing
    deny(dead, action)
    with backend.refused("AccessDenied", status=403):
        start(dead, queue)


def test_who_starts_a_task_may_send_to_the_destination(backend, failing):
    backend.lax("it reads no policy", rule=TROUBLES)
    queue, dead = failing
    deny(queue, "SendMessage")
    with backend.refused("AccessDenied", status=403):
        start(dead, queue)


def test_listing_and_cancelling_can_be_forbidden(backend, failing):
    backend.lax("it reads no policy", rule=TROUBLES)
    queue, dead = failing
    dead_letter(queue, "a", "b")
    handle = start(dead, queue, rate=1)
    deny(dead, "ListMessageMoveTasks", "CancelMessageMoveTask")
    with backend.refused("AccessDenied", status=403):
        tasks_of(dead)
    with backend.refused("AccessDenied", status=403):
        backend.sqs.cancel_message_move_task(TaskHandle=handle)


def test_a_poll_gets_what_is_moved_while_it_waits(local_aws):
    queue, destination = local_aws.queue(), local_aws.queue()
    dead = local_aws.dead_letters_of(queue)
    dead_letter(queue, "a", "b")
    start(dead, destination, rate=1)
    destination.delete(destination.take_one())
    poll = local_aws.begin_poll(destination, 5)
    local_aws.advance(SECOND)
    assert [message["Body"] for message in poll.result(timeout=5)] == ["b"]


def test_what_a_topic_delivers_comes_behind_what_moved_before(local_aws):
    queue, destination, topic = local_aws.queue(), local_aws.queue(), local_aws.topic()
    dead = local_aws.dead_letters_of(queue)
    topic.subscribe(destination, RawMessageDelivery="true")
    dead_letter(queue, "a", "b")
    start(dead, destination, rate=1)
    local_aws.advance(SECOND)
    topic.publish("c")
    assert destination.bodies(3) == ["a", "b", "c"]
