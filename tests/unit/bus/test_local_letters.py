"""Dead letters of work in this process are tried again."""

from __future__ import annotations

import pytest

from sourceflow import Aggregate, Command, Entity, Event, Key, Saga, handles, subscribes
from sourceflow.bus.dead_letter import DeadLetter, DeadLetterFilter
from sourceflow.errors import AwsRequestError, MalformedError

NEVER = AwsRequestError("no", code="InvalidParameterValue", status=400)


class Go(Command):
    id: Key[str]


class Ship(Command):
    id: Key[str]


class Went(Event):
    id: Key[str]


class Trip(Entity):
    id: Key[str]


class Trips(Saga[Trip]):
    @handles
    async def go(self, command: Go) -> Trip:
        self.raise_event(Went(id=command.id))
        await self.send(Ship(id=command.id))
        return Trip(id=command.id)


class Diary:
    def __init__(self):
        self.entries = []
        self.broken = True


class Careful(Aggregate[Trip]):
    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    @subscribes
    async def went(self, event: Went) -> None:
        self.diary.entries.append(("careful", event.id))


class Broken(Aggregate[Trip]):
    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    @subscribes
    async def went(self, event: Went) -> None:
        if self.diary.broken:
            raise OSError("broken")
        self.diary.entries.append(("mended", event.id))


@pytest.fixture
def diary():
    return Diary()


@pytest.fixture
async def bench(start, diary, nowhere):
    transport = nowhere(commands={Ship: "ship.fifo"})
    return await start(Trips, Careful, Broken, services=[diary], transport=transport)


async def letter_of(bench):
    (letter,) = await bench.stores.dead_letters.query(DeadLetterFilter(replayed=False))
    return letter


async def test_only_the_subscriber_that_failed_runs_again(bench, diary):
    await bench.app.send(Go(id="a"))
    await bench.wait(seconds=100)
    letter = await letter_of(bench)
    assert letter.source == "local:subscriber:Broken.went"
    diary.broken = False
    await bench.app.redrive(letter.id)
    await bench.relay.idle()
    assert diary.entries == [("careful", "a"), ("mended", "a")]
    kept = await bench.stores.dead_letters.get(letter.id)
    assert kept.replayed_at == bench.clock.now()
    await bench.app.redrive(letter.id)
    await bench.relay.idle()
    assert diary.entries == [("careful", "a"), ("mended", "a")]


async def test_one_that_fails_again_is_a_letter_again(bench):
    await bench.app.send(Go(id="a"))
    await bench.wait(seconds=100)
    await bench.app.redrive((await letter_of(bench)).id)
    await bench.wait(seconds=100)
    assert (await letter_of(bench)).source == "local:subscriber:Broken.went"


async def test_what_could_not_be_sent_is_sent(bench, diary):
    diary.broken = False
    bench.transport.faults = [NEVER]
    await bench.app.send(Go(id="a"))
    await bench.relay.idle()
    letter = await letter_of(bench)
    assert letter.source == "local:queue:ship.fifo"
    await bench.app.redrive(letter.id)
    await bench.relay.idle()
    (sent,) = bench.transport.sent
    assert (sent.destination.name, sent.body) == ("ship.fifo", letter.body)


def stranger(bench, **fields):
    return DeadLetter(
        **{
            "source": "local:subscriber:Broken.went",
            "message_id": "m-1",
            "type_name": "Went",
            "reason": "RetriesExhausted",
            "error": "OSError",
            "body": b"{}",
            "time": bench.clock.now(),
            "attempts": 5,
            **fields,
        }
    )


async def test_what_cannot_be_redriven_is_refused(bench):
    with pytest.raises(LookupError, match="no dead letter 'x'"):
        await bench.app.redrive("x")
    taken = await bench.stores.dead_letters.save(stranger(bench, source="pay.fifo"))
    with pytest.raises(ValueError, match=r"taken from the queue pay\.fifo"):
        await bench.app.redrive(taken.id)
    unreadable = await bench.stores.dead_letters.save(stranger(bench))
    with pytest.raises(MalformedError):
        await bench.app.redrive(unreadable.id)
    assert (await bench.stores.dead_letters.get(unreadable.id)).replayed_at is None
