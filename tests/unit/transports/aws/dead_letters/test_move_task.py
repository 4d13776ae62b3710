from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.errors import AwsTransientError
from sourceflow.transports.aws.dead_letters import RedriveResult, move_task

ALL = DeadLetterFilter()


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Let a few letters be many."""
    monkeypatch.setattr(move_task, "LEAST", 20)


async def dead(post, queues, *amounts, **how):
    for amount in amounts:
        await post.send(queues, amount=amount)
    assert await post.give_up(queues, **how) == len(amounts)


def amounts(messages):
    return sorted(json.loads(message.body)["data"]["amount"] for message in messages)


async def test_many_letters_of_a_standard_queue_are_moved_by_sqs(
    make_queues, post, operate, run, wire, records, clock
):
    queues = await make_queues("mails")
    await dead(post, queues, *range(30))
    await clock.advance(timedelta(seconds=1))
    wire.calls.clear()

    assert await run(operate(queues).redrive("mails")) == RedriveResult(moved=30)
    [request] = wire.requests("StartMessageMoveTask")
    assert request["DestinationArn"] == queues.arn
    assert wire.count("SendMessageBatch") == 0
    assert amounts(await post.take(queues.url)) == list(range(30))
    assert await records.count(DeadLetterFilter(replayed=True)) == 30


async def test_a_whole_rate_is_passed_on(make_queues, post, operate, run, wire, clock):
    queues = await make_queues("mails")
    await dead(post, queues, *range(30))
    begin = clock.monotonic()

    assert (await run(operate(queues).redrive("mails", rate=5))).moved == 30
    assert wire.requests("StartMessageMoveTask")[0]["MaxNumberOfMessagesPerSecond"] == 5
    assert clock.monotonic() - begin >= 29 / 5


@pytest.mark.parametrize(
    ("name", "count", "how"),
    [
        ("mails", 19, {}),
        ("mails", 30, {"filter": ALL}),
        ("mails", 30, {"limit": 100}),
        ("mails", 30, {"rate": 501}),
        ("mails", 30, {"rate": 10.5}),
        ("mails.fifo", 30, {}),
    ],
)
async def test_what_sqs_cannot_do_as_promised_is_done_here(
    make_queues, post, operate, run, wire, name, count, how
):
    queues = await make_queues(name)
    await dead(post, queues, *range(count))

    assert (await run(operate(queues).redrive(name, **how))).moved == count
    assert wire.count("StartMessageMoveTask") == 0


async def test_a_dead_letter_queue_that_others_may_share_is_emptied_here(
    make_queues, make_queue, post, operate, run, wire
):
    queues = await make_queues("mails")
    queues.dead_url = await make_queue("shared-dlq")
    await dead(post, queues, *range(30))

    assert (await run(operate(queues).redrive("mails"))).moved == 30
    assert wire.count("StartMessageMoveTask") == 0


async def test_where_sqs_refuses_letters_are_moved_here(
    make_queues, post, operate, run, wire, sqs, records
):
    queues = await make_queues("mails")
    await dead(post, queues, *range(30))
    await sqs.set_queue_attributes(queues.url, {"RedrivePolicy": ""})

    assert await run(operate(queues).redrive("mails")) == RedriveResult(moved=30)
    assert wire.count("StartMessageMoveTask") == 1
    assert await records.count(DeadLetterFilter(replayed=True)) == 30


async def test_what_a_task_leaves_is_moved_here(make_queues, post, operate, run, sqs, clock):
    """Letters that somebody looks at while it runs, for example."""
    queues = await make_queues("mails")
    await dead(post, queues, *range(30))
    await sqs.receive_message(queues.dead_url, visibility_timeout=timedelta(seconds=3))

    assert await run(operate(queues).redrive("mails")) == RedriveResult(moved=30)
    assert amounts(await post.take(queues.url)) == list(range(30))


async def test_a_task_that_moves_what_comes_back_is_cancelled(
    make_queues, post, operate, run, sqs, clock
):
    queues = await make_queues("mails")
    await dead(post, queues, *range(30))

    async def fail_at_once():
        while True:
            await clock.sleep(0.5)
            await post.give_up(queues)

    failing = asyncio.ensure_future(fail_at_once())
    result = await run(operate(queues).redrive("mails", rate=10))
    failing.cancel()
    assert 30 <= result.moved <= 100
    dead_arn = (await sqs.get_queue_attributes(queues.dead_url))["QueueArn"]
    [task] = await sqs.list_message_move_tasks(dead_arn)
    assert task.status == "CANCELLED"


async def test_a_cancelled_redrive_cancels_its_task(make_queues, post, operate, sqs, clock):
    queues = await make_queues("mails")
    await dead(post, queues, *range(30))
    redrive = asyncio.ensure_future(operate(queues).redrive("mails", rate=1))
    await clock.advance(timedelta(seconds=5))
    redrive.cancel()
    with pytest.raises(asyncio.CancelledError):
        await redrive

    await clock.advance(timedelta(seconds=60))
    moved, left = await post.take(queues.url), await post.take(queues.dead_url)
    assert 5 <= len(moved) <= 7
    assert amounts([*moved, *left]) == list(range(30))


async def test_a_task_that_cannot_be_followed_is_cancelled(
    make_queues, post, operate, run, wire, clock
):
    queues = await make_queues("mails")
    await dead(post, queues, *range(30))
    gone = AwsTransientError("gone", code="ConnectionLost")
    wire.next("ListMessageMoveTasks", *[gone] * 30)

    with pytest.raises(AwsTransientError):
        await run(operate(queues).redrive("mails", rate=1))
    assert wire.count("CancelMessageMoveTask") == 1
