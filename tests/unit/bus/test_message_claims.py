"""Arrived messages are claimed with the idempotency service."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import timedelta

import pytest
from msgspec import structs
from msgspec.structs import replace

from sourceflow import (
    Aggregate,
    ClaimState,
    Command,
    Discard,
    Entity,
    Event,
    Key,
    Reject,
    Retry,
    Saga,
    handles,
    subscribes,
)
from sourceflow.bus.message_claims import CLAIMS_LIVE, LEASE
from sourceflow.bus.outcome import (
    Discarded,
    Done,
    Duplicate,
    Ignored,
    InProgress,
    Paused,
    Rejected,
    RetryLater,
)
from sourceflow.bus.ports import KeyClaim
from sourceflow.errors import DependencyError
from sourceflow.stores.memory import InMemoryIdempotency
from sourceflow.testing.clock import ManualClock

COMMAND = "shop /shop m-1"
FIRST = f"{COMMAND} Mails.paid"
SECOND = f"{COMMAND} Sales.paid"


class Pay(Command):
    id: Key[str]


class Paid(Event):
    id: Key[str]


class Order(Entity):
    id: Key[str]


class Script:
    """What handlers do."""

    def __init__(self):
        self.runs = Counter()
        self.errors = {}
        self.gates = {}

    async def run(self, name):
        self.runs[name] += 1
        gate = self.gates.get(name)
        if gate is not None:
            await gate.wait()
        if name in self.errors:
            raise self.errors[name]


class Payments(Saga[Order]):
    def __init__(self, script: Script) -> None:
        self.script = script

    @handles
    async def pay(self, command: Pay) -> Order:
        await self.script.run("pay")
        return Order(id=command.id)


class Mails(Aggregate[Order]):
    def __init__(self, script: Script) -> None:
        self.script = script

    @subscribes
    async def paid(self, event: Paid) -> None:
        await self.script.run("mail")


class Sales(Aggregate[Order]):
    def __init__(self, script: Script) -> None:
        self.script = script

    @subscribes
    async def paid(self, event: Paid) -> None:
        await self.script.run("sale")


class Kept(InMemoryIdempotency):
    """In memory, with the faults that a database may have."""

    def __init__(self, **options):
        super().__init__(**options)
        self.faults = {}
        self.lives = []
        self.extended = Counter()

    def _fail(self, name):
        error = self.faults.get(name)
        if error is not None:
            raise error

    async def claim(self, key, lease):
        self._fail("claim")
        return await super().claim(key, lease)

    async def complete(self, key, ttl, *, token):
        self._fail("complete")
        self.lives.append(ttl)
        return await super().complete(key, ttl, token=token)

    async def release(self, key, *, token):
        self._fail("release")
        return await super().release(key, token=token)

    async def extend(self, key, lease, *, token):
        self.extended[key] += 1
        self._fail("extend")
        return await super().extend(key, lease, token=token)

    async def state(self, key=COMMAND):
        if await self.has_processed(key):
            return "done"
        return "claimed" if key in self._claimed else "free"


class Shop:
    """Two instances of an App, each with stores of its own, that share a service."""

    def __init__(self, start, script, service, clock):
        self._start = start
        self.script = script
        self.service = service
        self.clock = clock

    async def instance(self, **options):
        return await self._start(
            Payments,
            Mails,
            Sales,
            services=[self.script],
            idempotency=self.service,
            clock=self.clock,
            **options,
        )

    def command(self, bench):
        return bench.envelope(Pay(id="o-1"), message_id="m-1")

    def event(self, bench):
        event = bench.engine.router.event(Paid(id="o-1"), cause=None, sequence=1)
        return replace(event, id="m-1")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def shop(start, script, clock):
    return Shop(start, script, Kept(clock=clock), clock)


async def test_a_command_is_handled_by_one_of_two_instances(shop, script):
    one, other = await shop.instance(), await shop.instance()
    assert await one.receive(shop.command(one)) == Done()
    assert await other.receive(shop.command(other)) == Duplicate()
    assert script.runs == {"pay": 1}
    assert other.ears.of("duplicate") == [("Pay",)]
    assert shop.service.lives == [CLAIMS_LIVE]


async def test_what_another_instance_works_on_is_looked_at_again_when_its_lease_ends(shop, script):
    one, other = await shop.instance(), await shop.instance()
    gate = script.gates["pay"] = asyncio.Event()
    working = asyncio.create_task(one.receive(shop.command(one)))
    await one.settle()
    assert await other.receive(shop.command(other)) == InProgress(delay=LEASE)
    assert other.ears.of("duplicate") == []
    gate.set()
    assert await working == Done()
    assert await other.receive(shop.command(other)) == Duplicate()


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("as told"), RetryLater),
        (Retry(timedelta(seconds=1)), RetryLater),
        (Reject("never"), Rejected),
        (Discard("not wanted"), Discarded),
        (DependencyError("away"), Paused),
    ],
    ids=repr,
)
async def test_what_has_no_effect_is_released(shop, script, error, outcome):
    one, other = await shop.instance(), await shop.instance()
    script.errors["pay"] = error
    assert isinstance(await one.receive(shop.command(one)), outcome)
    assert await shop.service.state() == "free"
    script.errors.clear()
    assert await other.receive(shop.command(other)) == Done()


async def test_a_handler_that_is_cancelled_releases_its_claim(shop, script):
    bench = await shop.instance()
    script.gates["pay"] = asyncio.Event()
    working = asyncio.create_task(bench.receive(shop.command(bench)))
    await bench.settle()
    assert await shop.service.state() == "claimed"
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await shop.service.state() == "free"


async def test_a_claim_that_is_granted_to_who_was_cancelled_is_released(shop, script, monkeypatch):
    bench = await shop.instance()
    claim, asked, answer = shop.service.claim, asyncio.Event(), asyncio.Event()

    async def slow(key, lease):
        granted = await claim(key, lease)
        asked.set()
        await answer.wait()
        return granted

    monkeypatch.setattr(shop.service, "claim", slow)
    working = asyncio.create_task(bench.receive(shop.command(bench)))
    await asked.wait()
    working.cancel()
    answer.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await shop.service.state() == "free"
    assert script.runs == {}


async def test_a_message_is_done_only_when_what_it_caused_is_done(start, script, clock, nowhere):
    class Again(Saga[Order]):
        @handles
        async def pay(self, command: Pay) -> Order:
            self.raise_event(Paid(id=command.id))
            return Order(id=command.id)

    service = Kept(clock=clock)
    bench = await start(Again, Mails, services=[script], idempotency=service)
    gate = script.gates["mail"] = asyncio.Event()
    command = bench.envelope(Pay(id="o-1"), message_id="m-1")
    working = asyncio.create_task(bench.receive(command))
    await bench.settle()
    assert script.runs == {"mail": 1}
    assert await service.state() == "claimed"
    gate.set()
    assert await working == Done()
    assert await service.state() == "done"


async def test_two_apps_that_share_a_service_each_handle_a_message(start, script, shop):
    other = await start(Mails, services=[script], idempotency=shop.service, name="bank")
    event = shop.event(other)
    assert await (await shop.instance()).receive(event) == Done()
    assert await other.receive(event) == Done()
    assert script.runs == {"mail": 2, "sale": 1}


# Events


async def test_a_foreign_source_that_looks_like_our_claim_suppresses_nothing(shop, script):
    one = await shop.instance()
    # "shop /shop m-1 Mails.paid" must not be what this command claims, too
    forged = replace(shop.command(one), source="/shop m-1", id="Mails.paid")
    assert await one.receive(forged) == Done()
    assert await one.receive(shop.event(one)) == Done()
    assert script.runs == {"pay": 1, "mail": 1, "sale": 1}


async def test_each_subscriber_has_a_claim_of_its_own(shop, script):
    one, other = await shop.instance(), await shop.instance()
    script.errors["sale"] = ValueError("as told")
    outcome = await one.receive(shop.event(one))
    assert outcome.subscribers == ("Sales.paid",)
    assert await shop.service.state(FIRST) == "done"
    assert await shop.service.state(SECOND) == "free"
    script.errors.clear()
    assert await other.receive(shop.event(other)) == Done()
    assert script.runs == {"mail": 1, "sale": 2}
    assert await one.receive(shop.event(one)) == Duplicate()
    assert one.ears.of("duplicate") == [("Paid",)]


async def test_an_event_waits_for_the_subscribers_that_are_busy_elsewhere(shop, script):
    bench = await shop.instance()
    claim = await shop.service.claim(SECOND, LEASE)
    assert await bench.receive(shop.event(bench)) == InProgress(delay=LEASE)
    assert script.runs == {"mail": 1}
    assert await bench.receive(shop.event(bench)) == InProgress(delay=LEASE)
    await shop.service.complete(SECOND, CLAIMS_LIVE, token=claim.token)
    assert await bench.receive(shop.event(bench)) == Duplicate()
    assert script.runs == {"mail": 1}


async def test_a_failed_event_names_the_subscribers_that_are_busy_elsewhere(shop, script):
    """Theirs may be the same message: if they crash, the dead letter is all that is left of it."""
    bench = await shop.instance()
    await shop.service.claim(FIRST, LEASE)
    script.errors["sale"] = Reject("never")
    outcome = await bench.receive(shop.event(bench))
    assert isinstance(outcome, Rejected)
    assert outcome.subscribers == ("Sales.paid", "Mails.paid")


async def test_a_redriven_event_claims_for_the_subscribers_it_names(shop, script):
    bench = await shop.instance()
    outcome = await bench.receive(shop.event(bench), subscribers=("Sales.paid",))
    assert outcome == Done()
    assert script.runs == {"sale": 1}
    assert await shop.service.state(FIRST) == "free"


async def test_an_own_event_that_another_instance_has_handled_is_awaited_no_longer(shop, nowhere):
    one = await shop.instance(transport=nowhere(events={Paid: "paid"}, subscribes=("paid",)))
    other = await shop.instance()
    one.relay.expected.add("m-1")
    assert await other.receive(shop.event(other)) == Done()
    assert len(one.relay.expected) == 1
    assert await one.receive(shop.event(one)) == Duplicate()
    assert len(one.relay.expected) == 0


async def test_an_event_that_nobody_listens_to_claims_nothing(start, script, clock):
    service = Kept(clock=clock)
    bench = await start(Payments, Paid, services=[script], idempotency=service)
    event = bench.engine.router.event(Paid(id="o-1"), cause=None, sequence=None)
    delivery = structs.replace(bench.delivery(event), type_hint=None)
    assert await bench.engine.receiver.receive(delivery) == Ignored()
    assert (await service.statistics()).total_checks == 0


# A service that fails


@pytest.mark.parametrize("error", [DependencyError("away"), OSError("no route")], ids=repr)
async def test_a_service_that_is_away_pauses_the_listener(shop, script, error):
    bench = await shop.instance()
    shop.service.faults["claim"] = error
    outcome = await bench.receive(shop.command(bench))
    assert isinstance(outcome, Paused)
    assert isinstance(outcome.error, DependencyError)
    assert script.runs == {}


async def test_a_service_that_goes_away_between_two_claims_keeps_none(shop, script, monkeypatch):
    bench = await shop.instance()
    claim = shop.service.claim

    async def second_fails(key, lease):
        if key == SECOND:
            raise OSError("no route")
        return await claim(key, lease)

    monkeypatch.setattr(shop.service, "claim", second_fails)
    assert isinstance(await bench.receive(shop.event(bench)), Paused)
    assert await shop.service.state(FIRST) == "free"
    assert script.runs == {}


async def test_what_is_done_is_acknowledged_also_where_that_cannot_be_noted(shop, script, caplog):
    bench = await shop.instance()
    shop.service.faults["complete"] = OSError("no route")
    assert await bench.receive(shop.command(bench)) == Done()
    assert await shop.service.state() == "claimed"
    assert f"the claim of {COMMAND} is left to end with its lease" in caplog.text


async def test_a_claim_that_cannot_be_released_ends_with_its_lease(shop, script, caplog):
    bench = await shop.instance()
    script.errors["pay"] = ValueError("as told")
    shop.service.faults["release"] = OSError("no route")
    assert isinstance(await bench.receive(shop.command(bench)), RetryLater)
    assert await bench.receive(shop.command(bench)) == InProgress(delay=LEASE)
    await shop.clock.advance(LEASE)
    script.errors.clear()
    assert await bench.receive(shop.command(bench)) == Done()


# Leases


async def test_a_slow_handler_keeps_its_claim(shop, script):
    one, other = await shop.instance(), await shop.instance()
    gate = script.gates["pay"] = asyncio.Event()
    working = asyncio.create_task(one.receive(shop.command(one)))
    await one.settle()
    for _ in range(20):
        await shop.clock.advance(timedelta(seconds=7))
        assert isinstance(await other.receive(shop.command(other)), InProgress)
    gate.set()
    assert await working == Done()
    assert await other.receive(shop.command(other)) == Duplicate()


async def test_only_claims_of_some_age_are_renewed(shop, script):
    bench = await shop.instance()
    gate = script.gates["pay"] = asyncio.Event()
    await shop.clock.advance(timedelta(seconds=8))
    working = asyncio.create_task(bench.receive(shop.command(bench)))
    await shop.clock.advance(timedelta(seconds=8))
    assert shop.service.extended == {}
    await shop.clock.advance(timedelta(seconds=8))
    assert shop.service.extended == {COMMAND: 1}
    gate.set()
    await working


async def test_a_renewal_that_fails_is_tried_again(shop, script, caplog):
    bench = await shop.instance()
    gate = script.gates["pay"] = asyncio.Event()
    working = asyncio.create_task(bench.receive(shop.command(bench)))
    shop.service.faults["extend"] = OSError("no route")
    await shop.clock.advance(timedelta(seconds=15))
    assert f"the claim of {COMMAND} was not renewed" in caplog.text
    shop.service.faults.clear()
    await shop.clock.advance(timedelta(seconds=20))
    assert (await shop.service.claim(COMMAND, LEASE)).state is ClaimState.IN_PROGRESS
    gate.set()
    assert await working == Done()


async def test_who_is_late_does_not_end_the_claim_of_the_next_owner(shop, script, caplog):
    bench = await shop.instance()
    gate = script.gates["pay"] = asyncio.Event()
    working = asyncio.create_task(bench.receive(shop.command(bench)))
    shop.service.faults["extend"] = OSError("no route")
    await shop.clock.advance(LEASE)
    next_one = await shop.service.claim(COMMAND, LEASE)
    assert next_one.state is ClaimState.CLAIMED
    gate.set()
    assert await working == Done()
    assert await shop.service.claim(COMMAND, LEASE) == KeyClaim(
        ClaimState.IN_PROGRESS, remaining=LEASE
    )
    assert f"{COMMAND} was claimed by others before it was done here" in caplog.text


@pytest.fixture(autouse=True)
def loud(caplog):
    caplog.set_level(logging.WARNING)
