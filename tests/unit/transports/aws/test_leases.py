from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from sourceflow.errors import AwsTransientError
from sourceflow.transports.aws.client import SendEntry
from sourceflow.transports.aws.leases import Leases

VISIBILITY = timedelta(seconds=30)


@pytest.fixture
async def url(make_queue):
    return await make_queue("orders")


@pytest.fixture
def leases(sqs, url, clock):
    return Leases(sqs=sqs, queue_url=url, visibility=VISIBILITY, clock=clock, queue="orders")


@pytest.fixture
def take(sqs, leases, receive_all, url):
    async def take(count):
        for start in range(0, count, 10):
            entries = [SendEntry(id=str(at), body="x") for at in range(min(10, count - start))]
            await sqs.send_message_batch(url, entries)
        return [leases.take(message) for message in await receive_all(url, hidden=VISIBILITY)]

    return take


@pytest.fixture
async def renewing(leases):
    task = asyncio.create_task(leases.run())
    yield task
    task.cancel()
    await asyncio.wait((task,))


async def test_messages_stay_ours_as_long_as_we_work(take, renewing, clock, receive_all, url):
    await take(3)

    for _ in range(10):
        await clock.advance(timedelta(seconds=20))
        assert await receive_all(url) == []


async def test_leases_are_renewed_in_batches(take, renewing, clock, wire):
    await take(25)

    await clock.advance(VISIBILITY / 2)
    assert wire.count("ChangeMessageVisibilityBatch") == 3


async def test_a_short_handling_costs_no_renewal(take, renewing, clock, wire, leases):
    for lease in await take(3):
        leases.drop(lease)

    await clock.advance(VISIBILITY * 2)
    assert wire.count("ChangeMessageVisibilityBatch") == 0
    assert len(leases) == 0


async def test_a_lease_that_cannot_be_renewed_is_lost_before_others_see_the_message(
    take, renewing, clock, wire, url, receive_all, caplog
):
    [lease] = await take(1)
    wire.next("ChangeMessageVisibilityBatch", *[AwsTransientError("away", code="Gone")] * 1000)

    with caplog.at_level(logging.WARNING):
        for _ in range(29):
            await clock.advance(timedelta(seconds=1))
            assert not (await receive_all(url) and not lease.lost)
        await clock.advance(timedelta(seconds=10))
    assert lease.lost
    assert "the lease on message" in caplog.text


@pytest.mark.parametrize("after", [0.0, 1.0, 2.5, 3.7])
async def test_a_lease_is_lost_in_time_whenever_it_began(
    take, renewing, clock, wire, url, receive_all, after
):
    await clock.advance(timedelta(seconds=after))
    [lease] = await take(1)
    wire.next("ChangeMessageVisibilityBatch", *[AwsTransientError("away", code="Gone")] * 1000)

    while not lease.lost:
        assert await receive_all(url) == []
        await clock.advance(timedelta(seconds=0.1))


async def test_a_renewal_that_does_not_return_delays_no_loss(
    take, renewing, clock, sqs, monkeypatch
):
    [lease] = await take(1)

    async def hang(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(sqs, "change_message_visibility_batch", hang)
    await clock.advance(VISIBILITY)
    assert lease.lost


async def test_losing_a_lease_cancels_its_handler(take, leases, clock, wire):
    [lease] = await take(1)
    lease.handling = asyncio.create_task(asyncio.Event().wait())
    wire.next(
        "ChangeMessageVisibilityBatch",
        (
            200,
            {
                "Failed": [{"Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": True}],
                "Successful": [],
            },
        ),
    )
    await clock.advance(timedelta(seconds=20))
    await leases.renew()

    assert lease.lost
    await asyncio.wait((lease.handling,))
    assert lease.handling.cancelled()


async def test_a_message_that_is_acknowledged_meanwhile_is_not_lost(take, leases, clock, wire):
    [lease] = await take(1)
    await clock.advance(timedelta(seconds=20))
    renewing = asyncio.create_task(leases.renew())
    await asyncio.sleep(0)
    leases.drop(lease)
    await clock.advance(timedelta(seconds=20))
    await renewing

    assert not lease.lost


async def test_messages_handed_back_are_seen_at_once(take, leases, url, receive_all, wire):
    held = await take(12)

    await leases.hand_back(held)
    assert len(leases) == 0
    assert wire.count("ChangeMessageVisibilityBatch") == 2
    assert len(await receive_all(url)) == 12


async def test_messages_handed_back_for_later_are_seen_then(take, leases, url, receive_all, clock):
    await leases.hand_back(await take(2), timedelta(minutes=5))

    await clock.advance(timedelta(minutes=4))
    assert await receive_all(url) == []
    await clock.advance(timedelta(minutes=2))
    assert len(await receive_all(url)) == 2


async def test_what_is_lost_is_not_handed_back(take, leases, wire):
    [lease] = await take(1)
    lease.lost = True

    await leases.hand_back([lease])
    assert wire.count("ChangeMessageVisibilityBatch") == 0


async def test_a_hand_back_that_fails_leaves_the_message_to_its_timeout(
    take, leases, wire, clock, url, receive_all, caplog
):
    held = await take(1)
    wire.next("ChangeMessageVisibilityBatch", *[AwsTransientError("away", code="Gone")] * 100)
    with caplog.at_level(logging.WARNING):
        handing = asyncio.create_task(leases.hand_back(held))
        while not handing.done():
            await clock.advance(timedelta(seconds=20))
    await handing

    assert "1 message(s) of orders come back later" in caplog.text
    await clock.advance(timedelta(seconds=60))
    assert len(await receive_all(url)) == 1


async def test_a_handler_is_cancelled_once_however_often_its_loss_is_noticed(take):
    [lease] = await take(1)
    lease.handling = asyncio.create_task(asyncio.Event().wait())
    lease.lose()
    lease.lose()

    assert lease.handling.cancelling() == 1
    with pytest.raises(asyncio.CancelledError):
        await lease.handling
