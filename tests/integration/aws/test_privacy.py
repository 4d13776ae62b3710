"""Sensitive values travel and are stored as they are, and people read none of them."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Annotated

from rich.pretty import pretty_repr

from letter_watch import LetterWatch
from sourceflow import (
    CARD,
    NAME,
    App,
    Command,
    Entity,
    Key,
    Reject,
    Saga,
    Sensitive,
    handles,
    masked,
)
from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.errors import DependencyError
from sourceflow.transports.aws import AwsTransport
from sourceflow.transports.aws.wire import DEAD_LETTER_ATTRIBUTE

NUMBER = "4111-1111-1111-1234"
LONG = 60


class Pay(Command):
    account: Key[str]
    card: Annotated[str, Sensitive(CARD)]
    payers: list[Annotated[str, Sensitive(NAME)]]


class Account(Entity):
    account: Key[str]
    card: Annotated[str, Sensitive(CARD)]


class Outage:
    def __init__(self):
        self.is_on = True


class Accounts(Saga[Account]):
    def __init__(self, outage: Outage) -> None:
        self._outage = outage

    @handles
    def pay(self, command: Pay) -> Account:
        if self._outage.is_on:
            self._outage.is_on = False
            raise DependencyError(f"no answer about {command.card}")
        if command.account == "refused":
            raise Reject(f"{command.payers[0]} may not use {command.card}: {command}")
        return Account(account=command.account, card=command.card)


async def test_a_dead_letter_keeps_its_body_and_people_read_no_secret(cloud, caplog):
    caplog.set_level(logging.DEBUG, logger="sourceflow")
    watch = LetterWatch()
    transport = AwsTransport(
        cloud.options(wait_time=timedelta(seconds=1)),
        lambda bus: bus.send.command(Pay, queue="pay.fifo").listen.to.command_queue("pay.fifo"),
        credentials=cloud.credentials,
    )
    async with App([Accounts], name="bank", services=[Outage()], observer=watch).use(
        transport
    ) as app:
        await app.send(Pay(account="taken", card=NUMBER, payers=["Rosalind Quist"]))
        await app.send(Pay(account="refused", card=NUMBER, payers=["Rosalind Quist"]))
        told = await watch.letter()
        [letter] = await transport.dead_letters.peek("pay.fifo")
        [record] = await app.dead_letters.query(DeadLetterFilter())
        await app.drained(timeout=LONG)
        assert (await app.get(Account, "taken")).card == NUMBER

    assert letter.message == Pay(account="refused", card=NUMBER, payers=["Rosalind Quist"])
    assert json.loads(letter.body)["data"]["card"] == NUMBER
    assert json.loads(masked(letter))["message"] == {
        "account": "refused",
        "card": "************1234",
        "payers": ["R******* Q****"],
    }
    note = letter.attributes[DEAD_LETTER_ATTRIBUTE]
    assert "***REDACTED*** may not use ***REDACTED***" in json.loads(note)["error"]
    read = [note, caplog.text, repr(transport.describe()), repr(app.describe())]
    for each in (told, letter, record):
        read += [each.error, repr(each), pretty_repr(each), masked(each)]
    for text in read:
        assert "4111" not in text
        assert "Rosalind" not in text
    assert "message dead-lettered" in caplog.text
    assert "no answer about ***REDACTED***" in caplog.text
