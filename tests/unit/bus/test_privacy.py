"""What people read of handling never shows a sensitive value of the message, whatever fails."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Annotated

import pytest
from rich.pretty import pretty_repr

from sourceflow import (
    CARD,
    EMAIL,
    Aggregate,
    Command,
    Entity,
    Envelope,
    Event,
    Key,
    Reject,
    Saga,
    Sensitive,
    View,
    ViewModel,
    handles,
    masked,
    projects,
    subscribes,
)
from sourceflow.bus.changes import OutboxRow
from sourceflow.bus.dead_letter import DeadLetter, DeadLetterFilter, describe_error
from sourceflow.bus.outcome import Paused, Rejected, RetryLater
from sourceflow.bus.ports import Delivery, Outgoing
from sourceflow.errors import DependencyError, ReplayError
from sourceflow.transports.aws.client import PublishEntry, ReceivedMessage, SendEntry

NUMBER = "4111-1111-1111-1234"
MAIL = "jo.secret@example.com"


class Pay(Command):
    id: Key[str]
    card: Annotated[str, Sensitive(CARD)]


class Paid(Event):
    id: Key[str]
    card: Annotated[str, Sensitive(CARD)]
    mail: Annotated[str, Sensitive(EMAIL)] = MAIL


class Account(Entity):
    id: Key[str]
    card: Annotated[str, Sensitive(CARD)]


class Row(ViewModel):
    id: Key[str]
    mail: Annotated[str, Sensitive(EMAIL)]


class Script:
    def __init__(self):
        self.fails = {}

    def check(self, step, message):
        kind = self.fails.get(step)
        if kind is not None:
            raise kind(f"{message!r}: {message.card} ({getattr(message, 'mail', '')})")


class Accounts(Saga[Account]):
    def __init__(self, script: Script) -> None:
        self._script = script

    @handles
    def pay(self, command: Pay) -> Account:
        self._script.check("saga", command)
        self.raise_event(Paid(id=command.id, card=command.card))
        return Account(id=command.id, card=command.card)


class Mails(Aggregate[Account]):
    def __init__(self, script: Script) -> None:
        self._script = script

    @subscribes
    def paid(self, event: Paid) -> None:
        self._script.check("subscriber", event)


class Rows(View[Row]):
    def __init__(self, script: Script) -> None:
        self._script = script

    @projects
    def paid(self, event: Paid) -> Row:
        self._script.check("view", event)
        return Row(id=event.id, mail=event.mail)


@pytest.fixture
def script():
    return Script()


@pytest.fixture
async def bench(start, script):
    return await start(Accounts, Mails, Rows, services=[script])


def assert_private(*texts):
    for text in texts:
        assert "4111" not in text
        assert "jo.secret" not in text


@pytest.mark.parametrize("error", [ValueError, Reject, DependencyError])
async def test_a_failing_subscriber_tells_no_secret_to_the_log_and_the_records(
    bench, script, error, caplog
):
    caplog.set_level(logging.DEBUG)
    script.fails = {"subscriber": error}
    await bench.app.send(Pay(id="a", card=NUMBER))
    await bench.wait(minutes=10)

    records = await bench.stores.dead_letters.query(DeadLetterFilter())
    assert len(records) == (error is not DependencyError)
    for record in records:
        assert record.error.startswith(f"{error.__name__}: Paid(id='a', card='************1234'")
        assert_private(record.error, repr(record), masked(record), pretty_repr(record))
        assert json.loads(masked(record))["source"] == "local:subscriber:Mails.paid"
        assert NUMBER.encode() in record.body
    assert "1234" in caplog.text
    assert_private(re.sub(r"delay=[\d.]+", "", caplog.text))  # chance may write any digits

    script.fails = {}  # or the App waits for what fails, in real time, before it stops
    await bench.wait(minutes=2)
    assert bench.relay.left() == {}


async def test_the_state_and_the_handlers_have_the_value(bench):
    await bench.app.send(Pay(id="a", card=NUMBER))
    await bench.relay.idle()

    assert (await bench.app.get(Account, "a")).card == NUMBER
    assert (await bench.app.get(Row, "a")).mail == MAIL


@pytest.mark.parametrize(
    ("error", "outcome"), [(ValueError, RetryLater), (Reject, Rejected), (DependencyError, Paused)]
)
async def test_an_outcome_knows_what_its_error_must_not_show(bench, script, error, outcome):
    script.fails = {"saga": error}
    ended = await bench.receive(bench.envelope(Pay(id="a", card=NUMBER)))

    assert type(ended) is outcome
    assert_private(describe_error(ended.error, ended.message))


async def test_an_outcome_of_an_event_knows_it_too(bench, script):
    script.fails = {"subscriber": ValueError}
    paid = Envelope(
        message=Paid(id="a", card=NUMBER),
        id="e-1",
        source="/elsewhere",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        correlation_id="e-1",
    )
    ended = await bench.receive(paid)

    assert type(ended) is RetryLater
    assert_private(describe_error(ended.error, ended.message))


@pytest.mark.parametrize("step", ["saga", "view"])
async def test_a_replay_that_fails_tells_no_secret(bench, script, step):
    await bench.app.send(Pay(id="a", card=NUMBER))
    await bench.relay.idle()
    script.fails = {step: ValueError}

    with pytest.raises(ReplayError) as raised:
        await bench.app.replay(Account, "a")
    assert "raised ValueError: " in str(raised.value)
    assert_private(str(raised.value))


def test_an_error_is_redacted_before_it_is_cut():
    pay = Pay(id="a", card="x" * 50)

    assert "xx" not in describe_error(ValueError("-" * 4060 + "x" * 50), pay)


def test_messages_in_their_wire_form_show_no_body():
    body = f'{{"card":"{NUMBER}"}}'
    made = [
        Delivery(body.encode(), "Pay", "command", "pay.fifo"),
        Outgoing(None, None, body.encode()),
        OutboxRow(None, None, None, body.encode()),
        SendEntry(id="0", body=body),
        PublishEntry(id="0", body=body),
        ReceivedMessage(message_id="m", receipt_handle="r", body=body),
        DeadLetter(
            source="s",
            message_id="m",
            type_name="Pay",
            reason="Rejected",
            error="",
            body=body.encode(),
            time=datetime(2026, 1, 1, tzinfo=UTC),
            attempts=1,
        ),
    ]

    for each in made:
        assert_private(repr(each), pretty_repr(each))
    assert repr(OutboxRow(None, None, None)).endswith("body=None)")
    assert "body=<30 bytes>" in repr(made[0])
    assert "body=<30 characters>" in pretty_repr(made[3])
