"""Which idempotency service an App works with."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import MagicMock

import pytest

from sourceflow import Aggregate, App, ClaimState, Command, Entity, Idempotency, Key, Saga, handles
from sourceflow.bus.ports import Delivery, IdempotencyStatistics, KeyClaim
from sourceflow.stores.memory import InMemoryIdempotency, MemoryStores
from sourceflow.stores.sql import SqlIdempotency
from sourceflow.testing.clock import ManualClock


class Account(Entity):
    id: Key[str]


class Open(Command):
    id: Key[str]


class Accounts(Aggregate[Account]):
    """Asks for the service by its protocol."""

    def __init__(self, idempotency: Idempotency) -> None:
        self.idempotency = idempotency


class OpenSaga(Saga[Account]):
    @handles
    def open(self, command: Open) -> Account:
        return Account(id=command.id)


class Own:
    """A service that somebody has written; it owes the library nothing but the methods."""

    def __init__(self):
        self.keys = {}
        self.steps = []

    async def __aenter__(self):
        self.steps.append("open")
        return self

    async def __aexit__(self, *_):
        self.steps.append("close")

    async def claim(self, key: str, lease: timedelta) -> KeyClaim:
        if key in self.keys:
            return KeyClaim(ClaimState.DONE)
        self.keys[key] = "mine"
        return KeyClaim(ClaimState.CLAIMED, "mine")

    async def extend(self, key: str, lease: timedelta, *, token: str) -> bool:
        return True

    async def complete(self, key: str, ttl: timedelta = timedelta(1), *, token: str) -> bool:
        return True

    async def release(self, key: str, *, token: str) -> bool:
        return self.keys.pop(key) == token

    async def has_processed(self, key: str) -> bool:
        return key in self.keys

    async def mark_as_processed(self, key: str, ttl: timedelta = timedelta(1)) -> None:
        self.keys[key] = ""

    async def remove(self, key: str) -> None:
        self.keys.pop(key, None)

    async def statistics(self) -> IdempotencyStatistics:
        return IdempotencyStatistics(0, 0, len(self.keys))


class Durable(MemoryStores):
    durable = True


def make(**options):
    return App([Accounts], name="bank", **options)


def test_every_app_has_a_service():
    first, second = make(), make()
    assert isinstance(first.idempotency, InMemoryIdempotency)
    assert first.idempotency is not second.idempotency


@pytest.mark.parametrize("way", ["argument", "service", "both"])
def test_one_that_is_registered_replaces_the_default_whatever_the_way(way):
    own = Own()
    options = {
        "argument": {"services": ["other"], "idempotency": own},
        "service": {"services": ["other", own]},
        "both": {"services": [own, "other"], "idempotency": own},
    }[way]
    app = make(**options)
    assert app.idempotency is own
    app.check()


def test_the_order_of_registration_does_not_matter(wire):
    url = "sqlite://"
    for app in (
        make(services=[SqlIdempotency(url), "other"]),
        make(idempotency=SqlIdempotency(url)),
    ):
        app.use(wire())
        assert isinstance(app.idempotency, SqlIdempotency)


def test_an_app_has_one_service():
    with pytest.raises(ValueError, match="an App has one idempotency service"):
        make(services=[Own()], idempotency=Own())
    with pytest.raises(ValueError, match="an App has one idempotency service"):
        make(services=[Own(), InMemoryIdempotency()])


def test_what_only_pretends_is_no_service():
    assert isinstance(make(services=[MagicMock()]).idempotency, InMemoryIdempotency)


async def test_components_get_the_service_by_type():
    own = Own()
    async with make(idempotency=own) as app:
        assert app.aggregate(Accounts).idempotency is own
    async with make() as app:
        assert app.aggregate(Accounts).idempotency is app.idempotency


async def test_a_service_is_open_while_the_app_runs():
    own = Own()
    async with make(idempotency=own):
        assert own.steps == ["open"]
    assert own.steps == ["open", "close"]


async def test_the_default_goes_by_the_clock_of_the_app():
    clock = ManualClock()
    app = make(clock=clock)
    await app.idempotency.mark_as_processed("k", timedelta(hours=1))
    await clock.advance(timedelta(hours=1))
    assert not await app.idempotency.has_processed("k")


@pytest.mark.parametrize(
    ("stores", "idempotency", "claims"),
    [
        (MemoryStores, None, False),
        (MemoryStores, Own, True),
        (MemoryStores, InMemoryIdempotency, True),
        (Durable, Own, False),
        (Durable, None, False),
    ],
)
async def test_messages_are_claimed_where_the_stores_cannot_know_them(
    wire, stores, idempotency, claims
):
    transport = wire(listens=("accounts",), commands={Open: "accounts"})
    service = idempotency() if idempotency else None
    app = App([OpenSaga], name="bank", stores=stores(), idempotency=service).use(transport)
    told = app.describe()["idempotency"]
    assert told == {"service": repr(app.idempotency), "claims messages": claims}
    async with app:
        await app.send(Open(id="a-1"), message_id="m-1")
        (outgoing,) = transport.sent
        await transport.receive(
            Delivery(outgoing.body, outgoing.envelope.type_name, "command", "accounts")
        )
    assert await app.idempotency.has_processed("bank /bank m-1") is claims
