from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from sourceflow.errors import AwsTransientError
from sourceflow.transports.aws.acknowledger import TRIES, Acknowledger
from sourceflow.transports.aws.client import SendEntry
from sourceflow.transports.aws.leases import Lease


@pytest.fixture
async def url(make_queue):
    return await make_queue("orders")


@pytest.fixture
def settled():
    """The bodies of the messages that need nothing more."""
    return []


@pytest.fixture
def settle(settled):
    return lambda leases: settled.extend(lease.message.body for lease in leases)


@pytest.fixture
def acknowledger(settle, sqs, url, tasks, clock):
    return Acknowledger(settle, sqs=sqs, queue="orders", url=url, tasks=tasks, clock=clock)


@pytest.fixture
def take(sqs, receive_all):
    """Send and receive so many messages; return their leases."""

    async def take(url, count, **ids):
        for start in range(0, count, 10):
            entries = [
                SendEntry(id=str(at), body=str(at), **{name: str(at) for name in ids})
                for at in range(start, min(start + 10, count))
            ]
            await sqs.send_message_batch(url, entries)
        return [Lease(message, expires=30.0) for message in await receive_all(url)]

    return take


async def depth(sqs, url):
    found = await sqs.get_queue_attributes(url)
    return int(found["ApproximateNumberOfMessages"]) + int(
        found["ApproximateNumberOfMessagesNotVisible"]
    )


async def test_messages_are_deleted_ten_at_a_time(acknowledger, take, url, sqs, wire, settled):
    leases = await take(url, 30)

    await asyncio.gather(*(acknowledger.acknowledge(lease) for lease in leases))
    assert await depth(sqs, url) == 0
    assert wire.count("DeleteMessageBatch") == 3
    assert sorted(settled) == sorted(lease.message.body for lease in leases)


async def test_who_adds_a_message_need_not_wait(sqs, url, tasks, clock, take):
    settled = asyncio.get_running_loop().create_future()
    acknowledger = Acknowledger(
        settled.set_result, sqs=sqs, queue="orders", url=url, tasks=tasks, clock=clock
    )
    [lease] = await take(url, 1)

    acknowledger.add(lease)
    assert (lease.done, settled.done()) == (True, False)
    assert list(await settled) == [lease]
    assert await depth(sqs, url) == 0


async def test_a_lost_lease_is_never_acknowledged(
    acknowledger, take, url, sqs, wire, settled, caplog
):
    [lease] = await take(url, 1)
    lease.lost = True

    with caplog.at_level(logging.WARNING):
        await acknowledger.acknowledge(lease)
    assert wire.count("DeleteMessageBatch") == 0
    assert await depth(sqs, url) == 1
    assert "is not acknowledged: its lease is lost" in caplog.text
    assert settled == ["0"]


async def test_only_what_failed_for_a_passing_reason_is_tried_again(
    acknowledger, take, url, wire, clock
):
    leases = await take(url, 3)
    wire.next(
        "DeleteMessageBatch",
        (
            200,
            {
                "Successful": [{"Id": "0"}, {"Id": "2"}],
                "Failed": [{"Id": "1", "Code": "InternalError", "SenderFault": False}],
            },
        ),
    )
    async with asyncio.TaskGroup() as group:
        done = [group.create_task(acknowledger.acknowledge(lease)) for lease in leases]
        while not all(task.done() for task in done):
            await clock.advance(timedelta(seconds=1))
            await asyncio.sleep(0.001)

    sizes = [len(request["Entries"]) for request in wire.requests("DeleteMessageBatch")]
    assert sizes == [3, 1]


async def test_a_delete_that_keeps_failing_is_given_up_with_a_warning(
    acknowledger, take, url, wire, clock, settled, caplog
):
    [lease] = await take(url, 1)
    error = AwsTransientError("reset", code="ConnectionFailed")
    wire.next("DeleteMessageBatch", *[error] * 200)
    with caplog.at_level(logging.WARNING):
        done = asyncio.create_task(acknowledger.acknowledge(lease))
        while not done.done():
            await clock.advance(timedelta(seconds=30))
            await asyncio.sleep(0.001)
    await done

    assert wire.count("DeleteMessageBatch") >= TRIES
    assert "was not deleted and may come again" in caplog.text
    assert settled == ["0"]


async def test_a_handle_that_no_longer_counts_is_a_lost_lease(
    settle, sqs, tasks, clock, make_queue, take, receive_all
):
    url = await make_queue("orders.fifo", VisibilityTimeout="1")
    acknowledger = Acknowledger(
        settle, sqs=sqs, queue="orders.fifo", url=url, tasks=tasks, clock=clock
    )
    [lease] = await take(url, 1, group_id=True, deduplication_id=True)
    await clock.advance(timedelta(seconds=31))

    await acknowledger.acknowledge(lease)
    assert lease.lost
    assert len(await receive_all(url)) == 1
