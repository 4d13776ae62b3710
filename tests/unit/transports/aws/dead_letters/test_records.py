from __future__ import annotations

from datetime import timedelta

import pytest

from sourceflow.bus.ports import DeadLetter, DeadLetterFilter
from sourceflow.errors import DependencyError
from sourceflow.transports.aws.dead_letters import Records
from sourceflow.transports.aws.dead_letters import records as module

REPLAYED = DeadLetterFilter(replayed=True)


@pytest.fixture
def save(records, clock):
    async def save(message_id, *, source="mails", minutes=0):
        return await records.save(
            DeadLetter(
                source=source,
                message_id=message_id,
                type_name="Pay",
                reason="Rejected",
                error="ValueError: no",
                body=b"{}",
                time=clock.now() + timedelta(minutes=minutes),
                attempts=1,
            )
        )

    return save


async def replayed(records):
    return {letter.message_id for letter in await records.query(REPLAYED)}


async def test_all_of_a_queue_up_to_a_time_are_marked_page_by_page(
    records, clock, save, monkeypatch
):
    monkeypatch.setattr(module, "PAGE", 2)
    for number in range(5):
        await save(f"m-{number}", minutes=-1)
    await save("later")
    await save("m-0", source="orders.fifo", minutes=-1)

    await Records(records, clock).mark_all_replayed("mails", until=clock.now())
    assert await replayed(records) == {f"m-{number}" for number in range(5)}
    assert await records.count(DeadLetterFilter(source="orders.fifo", replayed=True)) == 0


async def test_records_that_others_remove_meanwhile_do_not_hold_it_up(
    records, clock, save, monkeypatch
):
    await save("m-1", minutes=-1)

    async def gone(*_):
        return False

    monkeypatch.setattr(type(records), "mark_replayed", gone)
    await Records(records, clock).mark_all_replayed("mails", until=clock.now())
    assert await replayed(records) == set()


async def test_a_store_that_is_away_is_logged(records, clock, save, monkeypatch, caplog):
    async def away(*_, **__):
        raise DependencyError("the database does not answer")

    monkeypatch.setattr(type(records), "query", away)
    await Records(records, clock).mark_all_replayed("mails", until=clock.now())
    assert "the dead letters of mails are not marked as replayed" in caplog.text
