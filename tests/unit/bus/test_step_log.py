"""Each step writes one line, which says what it is about and costs nothing where nobody reads it."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import pytest

from sourceflow import (
    CARD,
    Aggregate,
    Command,
    Entity,
    Event,
    Key,
    Reject,
    Saga,
    Sensitive,
    View,
    ViewModel,
    handles,
    projects,
    subscribes,
)
from sourceflow.bus import step_log
from sourceflow.bus.changes import Destination
from sourceflow.bus.dead_letter import DeadLetter
from sourceflow.bus.ports import Delivery
from sourceflow.bus.step_log import Described, StepLog, tell
from sourceflow.errors import DependencyError
from sourceflow.messages import TraceContext
from sourceflow.telemetry.lines import FIELDS, LINES, LOGGER, MESSAGE_RETRIED, TRACE, WORK_RESUMED

NUMBER = "4111-1111-1111-1234"


class Pay(Command):
    id: Key[str]
    card: Annotated[str, Sensitive(CARD)] = NUMBER


class Notify(Command):
    id: Key[str]


class Paid(Event):
    id: Key[str]
    card: Annotated[str, Sensitive(CARD)] = NUMBER


class Account(Entity):
    id: Key[str]


class Row(ViewModel):
    id: Key[str]


class Script:
    def __init__(self):
        self.errors = []

    def run(self, message):
        if self.errors:
            raise self.errors.pop(0)(f"no answer about {message.card}")


class Accounts(Saga[Account]):
    @handles
    def pay(self, command: Pay) -> Account:
        self.raise_event(Paid(id=command.id))
        return Account(id=command.id)

    @handles
    def notify(self, command: Notify) -> None:
        pass


class Rows(View[Row]):
    @projects
    def paid(self, event: Paid) -> Row:
        return Row(id=event.id)


class Mails(Aggregate[Account]):
    def __init__(self, script: Script) -> None:
        self._script = script

    @subscribes
    async def paid(self, event: Paid) -> None:
        self._script.run(event)
        await self.send(Notify(id=event.id))


@pytest.fixture
def script():
    return Script()


@pytest.fixture
async def bench(start, nowhere, script):
    transport = nowhere(commands={Notify: "mails.fifo"}, events={Paid: "paid"})
    return await start(Accounts, Rows, Mails, transport=transport, services=[script])


@pytest.fixture
def lines(caplog):
    """Return the lines so far, as dicts of what their records hold; checks that each is whole."""
    caplog.set_level(logging.DEBUG, LOGGER)

    def read():
        found = []
        for record in caplog.records:
            if record.name == LOGGER:
                (line,) = [each for each in LINES if each.name == record.event]
                assert record.levelno == line.level
                told = {name: getattr(record, name, None) for name in map(str, FIELDS)}
                fields = [*line.fields, *(TRACE if told["trace_id"] else ())]
                said = {name for name, value in told.items() if value is not None}
                assert said <= {str(each) for each in fields}
                assert parsed(record.getMessage(), line) == {
                    str(each): shown(told[str(each)]) for each in fields
                }
                found.append({"event": line.name, **told})
        return found

    return read


def shown(value):
    return "-" if value is None else str(value)


def parsed(text, line):
    """Read a line, as programs do that know no more than how its values are quoted."""
    assert text.splitlines() == [text]
    assert text.startswith(line.name + " ")
    found = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', text.removeprefix(line.name))
    return {name: json.loads(each) if each[:1] == '"' else each for name, each in found}


def without_key(values):
    return {name: value for name, value in values.items() if value is not None}


async def test_each_step_of_a_journey_writes_one_line(bench, lines):
    command = bench.envelope(Pay(id="acct-4711"))
    delivery = bench.delivery(command, origin="pay.fifo")
    for _ in range(2):
        await bench.engine.receiver.receive(delivery)
        await bench.relay.idle()

    found = lines()
    of_command = {"correlation_id": command.id, "message_id": command.id, "message_type": "Pay"}
    received = {"event": "message received", **of_command, "source": "pay.fifo", "attempt": 1}
    assert [each["event"] for each in found] == [
        "message received",
        "event projected",
        "command handled",
        "event published",
        "event projected",
        "command sent",
        "message received",
        "duplicate ignored",
    ]
    assert without_key(found[0]) == received
    handled = next(each for each in found if each["event"] == "command handled")
    assert without_key(handled) == {
        "event": "command handled",
        **of_command,
        "sequence": 1,
        "seconds": handled["seconds"],
    }
    projected = [each for each in found if each["event"] == "event projected"]
    assert {each["subscriber"] for each in projected} == {"Rows.paid", "Mails.paid"}
    assert {each["correlation_id"] for each in projected} == {command.id}
    (published,) = [each for each in found if each["event"] == "event published"]
    assert (published["message_type"], published["destination"]) == ("Paid", "paid")
    (sent,) = [each for each in found if each["event"] == "command sent"]
    assert (sent["message_type"], sent["destination"]) == ("Notify", "mails.fifo")
    assert [without_key(each) for each in found[-2:]] == [
        received,
        {"event": "duplicate ignored", **of_command},
    ]


async def test_no_line_tells_a_key_or_a_sensitive_value(bench, script, lines, caplog):
    script.errors = [ValueError, DependencyError, Reject]
    await bench.app.send(Pay(id="acct-4711"))
    await bench.wait(minutes=5)

    assert {"message retried", "work paused", "message dead-lettered"} <= {
        each["event"] for each in lines()
    }
    assert "acct-4711" not in caplog.text
    assert "4111" not in caplog.text
    assert not any("4111" in str(vars(record)) for record in caplog.records)


async def test_work_in_the_process_that_fails_is_retried_paused_resumed_and_given_up(
    bench, script, lines
):
    source = "local:subscriber:Mails.paid"
    script.errors = [DependencyError, ValueError]
    await bench.app.send(Pay(id="a"))
    await bench.wait(minutes=5)
    script.errors = [Reject]
    await bench.app.send(Pay(id="b"))
    await bench.wait(minutes=5)

    paused, retried, resumed, lost = [
        without_key(each) for each in lines() if each["source"] is not None
    ]
    assert (paused["event"], paused["source"], paused["delay"] > 0) == ("work paused", source, True)
    assert paused["error"].startswith("DependencyError: no answer about ***REDACTED*** (tests/")
    assert (retried["event"], retried["attempt"]) == ("message retried", 1)
    assert resumed == {"event": "work resumed", "source": source}
    assert (lost["event"], lost["reason"], lost["attempt"]) == (
        "message dead-lettered",
        "Rejected",
        1,
    )


async def test_what_could_not_be_sent_is_told_by_who_sends_it_again(bench, lines):
    bench.transport.faults = [OSError("no route"), OSError("no route")]
    await bench.app.send(Pay(id="a"))
    await bench.wait(minutes=1)

    retried = [each for each in lines() if each["event"] == "send retried"]
    assert [each["error"] for each in retried] == ["OSError: no route"] * 2
    sent = [each["event"] for each in lines() if each["destination"] is not None]
    assert sorted(sent) == ["command sent", "event published", "send retried", "send retried"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id":7}', b"[" * 10_000, b"\xff"])
async def test_of_what_cannot_be_read_a_line_says_what_stands_beside_it(bench, lines, body):
    hint = 'two words="x"\r\n\u2028message_id=forged'
    await bench.engine.receiver.receive(Delivery(body, hint, "command", "pay.fifo", 3))

    (received,) = lines()
    assert without_key(received) == {
        "event": "message received",
        "message_type": hint,
        "source": "pay.fifo",
        "attempt": 3,
    }


TRACED = TraceContext(f"00-{'a' * 32}-{'b' * 16}-01")
NOW = TraceContext(f"00-{'a' * 32}-{'c' * 16}-01")
LOST = {"traceparent": TRACED.traceparent}


@pytest.mark.parametrize("current", [None, lambda: None, lambda: NOW])
async def test_a_line_of_a_message_in_a_trace_says_where_it_is(bench, lines, current):
    command = msgspec.structs.replace(bench.envelope(Pay(id="a")), trace=TRACED)
    log = StepLog(current)
    log.sent(command, Destination("queue", "pay.fifo"), None)
    log.received(msgspec.structs.replace(bench.delivery(command), trace=TRACED))
    log.handled(command, 1, 0.5)
    log.projected(command, "Rows.paid")
    log.duplicate(command)

    span = NOW.span_id if current is not None and current() else TRACED.span_id
    assert [(each["trace_id"], each["span_id"]) for each in lines()] == [("a" * 32, span)] * 5


@pytest.mark.parametrize(("attributes", "told"), [(LOST, "a" * 32), ({}, None)])
async def test_a_line_of_a_dead_letter_names_the_trace_it_was_sent_in(lines, attributes, told):
    letter = DeadLetter(
        source="pay.fifo",
        message_id="m-1",
        type_name="",
        reason="Rejected",
        error="",
        body=b"",
        attributes=attributes,
        time=datetime(2026, 1, 1, tzinfo=UTC),
        attempts=1,
    )
    StepLog().dead_lettered(letter)

    assert [each["trace_id"] for each in lines()] == [told]


def test_every_field_has_a_value_of_its_own_in_the_record():
    reserved = vars(logging.makeLogRecord({})).keys() | {"message", "asctime", "event"}

    assert len({*map(str, FIELDS)}) == len(FIELDS)
    assert not reserved & {*map(str, FIELDS)}
    assert len({line.name for line in LINES}) == len(LINES)
    assert {field for line in LINES for field in line.fields} | {*TRACE} == set(FIELDS)


class CostlyError(Exception):
    """An error that counts how often it is put into words."""

    told = 0

    def __str__(self):
        type(self).told += 1
        return "costly"


async def test_nothing_is_paid_for_lines_that_nobody_reads(bench, script, caplog, monkeypatch):
    caplog.set_level(logging.CRITICAL, LOGGER)
    written = []
    for name in ("_write", "_head_of", "_identity", "describe_failure"):
        monkeypatch.setattr(step_log, name, lambda *_, name=name: written.append(name))
    await bench.receive(bench.envelope(Pay(id="a")))
    script.errors = [ValueError, DependencyError, Reject]
    await bench.app.send(Pay(id="b"))
    await bench.wait(minutes=5)
    tell(MESSAGE_RETRIED, error=Described(CostlyError(), None))

    assert bench.ears.of("projected")
    assert bench.ears.of("dead_lettered")
    assert written == []
    assert CostlyError.told == 0


def test_an_error_is_put_into_words_once(caplog):
    caplog.set_level(logging.DEBUG, LOGGER)
    values = {"message_id": "m", "message_type": None, "source": "q", "attempt": 1, "delay": 0.5}
    CostlyError.told = 0
    tell(MESSAGE_RETRIED, **values, error=Described(CostlyError(), None))

    assert CostlyError.told == 1
    (text,) = caplog.messages
    assert text.startswith("message retried message_id=m message_type=- source=q attempt=1 delay=")
    assert text.endswith('=0.5 error="CostlyError: costly"')


def test_a_level_counts_at_once(caplog):
    caplog.set_level(logging.WARNING, LOGGER)
    tell(WORK_RESUMED, source="q")
    assert caplog.messages == []
    caplog.set_level(logging.INFO, LOGGER)
    tell(WORK_RESUMED, source="q")
    assert caplog.messages == ["work resumed source=q"]
