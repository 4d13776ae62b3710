"""The lines of the log follow messages through queues and topics, encrypted ones too."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from letter_watch import LONG, LetterWatch
from sourceflow import Reject, Saga, handles
from sourceflow.errors import DependencyError
from sourceflow.telemetry.lines import LINES, LOGGER
from sourceflow.transports.aws import LocalKeyProvider
from ticks import Clockwork, Tick, Ticked, TickViews, tick_app


class Script:
    def __init__(self, *errors):
        self.errors = list(errors)


class Ticking(Saga[Clockwork]):
    def __init__(self, script: Script) -> None:
        self._script = script

    @handles
    def tick(self, entity: Clockwork | None, command: Tick) -> Clockwork:
        if self._script.errors:
            raise self._script.errors.pop(0)
        self.raise_event(Ticked(id=command.id))
        return Clockwork(id=command.id)


def ticking(bus):
    return (
        bus.send.command(Tick, queue="ticks.fifo")
        .raise_.event(Ticked, topic="ticked")
        .listen.to.command_queue("ticks.fifo")
        .subscribe.to.topic("ticked")
    )


@pytest.mark.parametrize("keys", [None, LocalKeyProvider()], ids=["in clear", "encrypted"])
async def test_every_step_on_the_way_has_its_line(cloud, keys, caplog):
    caplog.set_level(logging.DEBUG, LOGGER)
    watch = LetterWatch()
    script = Script(ValueError("not now"), DependencyError("away"))
    app, _ = tick_app(
        cloud.options(wait_time=timedelta(seconds=1), enable_encryption=keys is not None),
        ticking,
        credentials=cloud.credentials,
        keys=keys,
        components=[Ticking, TickViews],
        services=[script],
        observer=watch,
    )
    async with app:
        done = await app.send(Tick(id="a"))
        await app.drained(timeout=LONG)
        script.errors = [Reject("never")]
        lost = await app.send(Tick(id="b"))
        await watch.letter()

    records = [record for record in caplog.records if record.name == LOGGER]
    of_command = [each for each in records if getattr(each, "message_id", "") == done]
    sent = [each for each in of_command if each.event == "command sent"]
    assert [each.destination for each in sent] == ["ticks.fifo"]  # told when its answer is there
    assert [
        (each.event, getattr(each, "attempt", None)) for each in of_command if each not in sent
    ] == [
        ("message received", 1),
        ("message retried", 1),
        ("message received", 2),
        ("message received", 2),
        ("command handled", None),
    ]
    steps = [each.event for each in records if getattr(each, "source", "") == "ticks.fifo"]
    assert steps[3:6] == ["work paused", "message received", "work resumed"]
    of_event = [each for each in records if getattr(each, "message_type", "") == "Ticked"]
    assert sorted(each.event for each in of_event) == [
        "event projected",
        "event published",
        "message received",
    ]
    assert {each.correlation_id for each in of_event} == {done}
    (letter,) = [each for each in records if each.event == "message dead-lettered"]
    assert (letter.message_id, letter.source, letter.reason) == (lost, "ticks.fifo", "Rejected")
    assert {each.event for each in records} == {each.name for each in LINES} - {
        "duplicate ignored",
        "send retried",
    }
