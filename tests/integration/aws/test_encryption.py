"""Messages travel encrypted: over LocalAws and LocalStack, from end to end."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from base64 import b64decode
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from letter_watch import LetterWatch
from sourceflow import App, Command, Entity, Event, Key, Saga, View, ViewModel, handles
from sourceflow import projects as project
from sourceflow.errors import KeyUnavailableError
from sourceflow.testing import LocalAws, ManualClock
from sourceflow.transports.aws import AwsOptions, AwsTransport, ListenerState, LocalKeyProvider
from sourceflow.transports.aws.client.base import ServiceClient
from sourceflow.transports.aws.encryption import is_sealed

BANK = Path(__file__).parents[3] / "examples" / "bank" / "bank.py"
LONG = 60


def load_bank():
    spec = importlib.util.spec_from_file_location("bank", BANK)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bank"] = module
    spec.loader.exec_module(module)
    return module


bank = sys.modules.get("bank") or load_bank()


class Keys(LocalKeyProvider):
    """A key service whose calls are counted, and which can be switched off."""

    def __init__(self, key=b"k" * 32):
        super().__init__(key)
        self.is_away = False
        self.generated = []
        self.decrypted = []

    async def generate(self, context):
        self._check()
        self.generated.append(context["destination"].rpartition(":")[2])
        return await super().generate(context)

    async def decrypt(self, key_id, encrypted, context):
        self._check()
        self.decrypted.append(context["destination"].rpartition(":")[2])
        return await super().decrypt(key_id, encrypted, context)

    def _check(self):
        if self.is_away:
            raise KeyUnavailableError("the key is disabled")


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture
def watch():
    return LetterWatch()


@pytest.fixture
def captured(monkeypatch):
    """Every request to SQS and SNS that carries messages, as it leaves the client."""
    requests = []
    original = ServiceClient._call

    async def call(self, operation, body, **more):
        if operation in {"SendMessageBatch", "PublishBatch"}:
            requests.append((operation, body))
        return await original(self, operation, body, **more)

    monkeypatch.setattr(ServiceClient, "_call", call)
    return requests


def bodies_of(operation, request):
    if operation == "SendMessageBatch":
        return [entry["MessageBody"] for entry in json.loads(request)["Entries"]]
    form = parse_qs(request.decode())
    return [values[0] for name, values in form.items() if name.endswith(".Message")]


async def test_the_bank_runs_and_every_body_on_the_wire_is_ciphertext(cloud, keys, captured):
    def configure(bus):
        send = bus.send
        for command in (bank.OpenAccount, bank.Deposit, bank.Withdraw, bank.CloseAccount):
            send = send.command(command, queue="accounts.fifo")
        events = send.raise_
        for event in (bank.AccountOpened, bank.AccountUsed, bank.AccountClosed):
            events = events.event(event, topic="accounts.fifo")
        return events.listen.to.command_queue("accounts.fifo").subscribe.to.topic("accounts.fifo")

    transport = AwsTransport(
        cloud.options(
            wait_time=timedelta(seconds=1), enable_encryption=True, require_encryption=True
        ),
        configure,
        credentials=cloud.credentials,
        keys=keys,
    )
    async with App(bank.COMPONENTS, name="bank").use(transport) as app:
        accounts = app.aggregate(bank.Accounts)
        await accounts.open("acct-4711", "Johanna Doe", Decimal(1000))
        await accounts.deposit("acct-4711", Decimal(500))
        await accounts.withdraw("acct-4711", Decimal(200))
        await accounts.close("acct-4711", "moved to Ghent")
        await app.drained(timeout=LONG)
        row = await app.get(bank.AccountView, "acct-4711")

    assert (row.balance, row.closed_because) == (Decimal(1300), "moved to Ghent")
    bodies = [body for each in captured for body in bodies_of(*each)]
    assert len(bodies) == 8
    for body in bodies:
        assert is_sealed(body.encode())
    for secret in (b"acct-4711", b"Johanna", b"Ghent", b"1300"):
        assert not any(secret in request for _, request in captured)
        assert not any(secret in b64decode(body) for body in bodies)
    assert set(keys.generated) == {f"{cloud.prefix}accounts.fifo"}
    assert len(keys.generated) == len(keys.decrypted) == 2  # a queue and a topic of one name


class Tick(Command):
    id: Key[str]


class Tock(Command):
    id: Key[str]


class Ticked(Event):
    id: Key[str]


class Clockwork(Entity):
    id: Key[str]


class Ticks(ViewModel):
    id: Key[str]


class Ticking(Saga[Clockwork]):
    @handles
    def tick(self, entity: Clockwork | None, command: Tick) -> Clockwork:
        self.raise_event(Ticked(id=command.id))
        return Clockwork(id=command.id)


class Tocking(Saga[Clockwork]):
    @handles
    def tock(self, entity: Clockwork | None, command: Tock) -> Clockwork:
        return Clockwork(id=command.id)


class TickViews(View[Ticks]):
    @project
    def ticked(self, event: Ticked) -> Ticks:
        return Ticks(id=event.id)


def ticking(bus):
    return (
        bus.send.command(Tick, queue="ticks")
        .raise_.event(Ticked, topic="ticked")
        .listen.to.command_queue("ticks")
        .subscribe.to.topic("ticked")
    )


@asynccontextmanager
async def ticker(cloud, keys, *, configure=ticking, watch=None, components=None, **options):
    transport = AwsTransport(
        cloud.options(
            **{"wait_time": timedelta(seconds=1), "enable_encryption": keys is not None, **options}
        ),
        configure,
        credentials=cloud.credentials,
        keys=keys,
    )
    parts = [Ticking, TickViews] if components is None else components
    async with App(parts, name="ticker", observer=watch).use(transport) as app:
        yield app, transport


async def test_ten_thousand_messages_cost_two_keys_a_destination_at_most(cloud, keys):
    if cloud.local is None:
        pytest.skip("the count is the same on LocalStack, where it takes minutes")
    async with ticker(cloud, keys, max_concurrent_calls=50) as (app, _):
        await app.send_many([Tick(id=str(number)) for number in range(10_000)])
        await app.drained(timeout=LONG)
        assert await app.get(Ticks, "9999")

    places = {f"{cloud.prefix}{name}" for name in ("ticks", "ticked")}
    for calls in (keys.generated, keys.decrypted):
        assert set(calls) == places
        assert all(calls.count(place) <= 2 for place in places)


async def test_in_clear_is_refused_where_encryption_is_required(cloud, keys, watch):
    async with ticker(cloud, None, configure=lambda bus: bus.send.command(Tick, queue="ticks")) as (
        app,
        _,
    ):
        await app.send(Tick(id="1"))
    async with ticker(cloud, keys, watch=watch, require_encryption=True) as (app, transport):
        letter = await watch.letter()
        assert letter.reason == "PlaintextRefused"
        [queued] = await transport.dead_letters.peek("ticks")
        assert queued.message == Tick(id="1")  # as it was received: in clear
        assert await app.find(Clockwork, "1") is None


async def test_a_key_of_others_makes_a_dead_letter_at_once(cloud, keys, watch):
    strange = Keys(b"s" * 32)
    async with ticker(cloud, strange, components=[], configure=only_sending) as (app, _):
        await app.send(Tick(id="1"))
    async with ticker(cloud, keys, watch=watch) as (app, transport):
        letter = await watch.letter()
        assert (letter.reason, letter.attempts) == ("DecryptionFailed", 1)
        assert is_sealed(letter.body)
        await app.send(Tick(id="2"))
        await app.drained(timeout=LONG)
        assert await app.find(Clockwork, "1") is None
        assert await app.find(Clockwork, "2")
        [queued] = await transport.dead_letters.peek("ticks")
        assert queued.problem.startswith("DecryptionFailedError")


def only_sending(bus):
    return bus.send.command(Tick, queue="ticks")


async def test_an_app_without_a_key_loses_nothing_that_is_encrypted(cloud, keys, watch):
    async with ticker(cloud, keys, components=[], configure=only_sending) as (app, _):
        await app.send(Tick(id="1"))
    async with ticker(cloud, None, watch=watch):
        letter = await watch.letter()
        assert letter.reason == "Malformed"
        assert is_sealed(letter.body)


async def taken(cloud, queue):
    """Take a message out of a queue."""
    answer = await cloud.plane.sqs(
        "receive_message",
        QueueUrl=await cloud.url(queue),
        MessageAttributeNames=["All"],
        WaitTimeSeconds=5,
    )
    return answer["Messages"][0]


async def put(cloud, queue, message):
    """Put a copy of a message into a queue."""
    await cloud.plane.sqs(
        "send_message",
        QueueUrl=await cloud.url(queue),
        MessageBody=message["Body"],
        MessageAttributes=message["MessageAttributes"],
    )


async def test_who_listens_to_a_dead_letter_queue_reads_the_letters_of_its_sources(cloud, keys):
    async with ticker(cloud, keys, components=[], configure=only_sending) as (app, _):
        await app.send(Tick(id="1"))
    letter = await taken(cloud, "ticks")

    def configure(bus):
        sending = only_sending(bus).command(Tock, queue="ticks-dlq")
        return sending.listen.to.command_queue("ticks-dlq")

    parts = [Ticking, Tocking, TickViews]
    async with ticker(cloud, keys, components=parts, configure=configure) as (app, _):
        await put(cloud, "ticks-dlq", letter)
        async with asyncio.timeout(LONG):
            await app.drained()
        assert await app.find(Clockwork, "1")


async def test_a_copy_in_another_queue_is_refused(cloud, keys, watch):
    """A stranger with rights to both queues moves a message."""

    async with ticker(
        cloud, keys, components=[], configure=lambda bus: bus.send.command(Tick, queue="others")
    ) as (app, _):
        await app.send(Tick(id="1"))
    stolen = await taken(cloud, "others")
    async with ticker(cloud, keys, watch=watch):
        await put(cloud, "ticks", stolen)
        assert (await watch.letter()).reason == "DecryptionFailed"


def manual_app(aws, clock, keys, *, configure=ticking, components=(Ticking, TickViews), watch=None):
    transport = AwsTransport(
        AwsOptions(region="us-east-1", endpoint_url=aws.endpoint_url, enable_encryption=True),
        configure,
        credentials=aws.static_credentials(),
        keys=keys,
    )
    app = App(list(components), name="ticker", observer=watch, clock=clock).use(transport)
    return app, transport


async def test_a_key_that_is_disabled_for_ten_minutes_pauses_the_work_and_loses_nothing(
    keys, watch
):
    clock = ManualClock()
    async with LocalAws(clock=clock) as aws:
        sender, _ = manual_app(aws, clock, keys, configure=only_sending, components=())
        async with sender:
            await sender.send_many([Tick(id=str(number)) for number in range(50)])

        keys.is_away = True
        app, transport = manual_app(aws, clock, keys, watch=watch)
        async with app:
            with pytest.raises(KeyUnavailableError):
                await app.send(Tick(id="refused"))
            await leap(clock, timedelta(minutes=10))
            states = {each.queue: each.state for each in transport.listeners}
            assert states["ticks"] is ListenerState.PAUSED
            assert watch.has_none
            assert await app.find(Clockwork, "0") is None

            keys.is_away = False
            for number in range(50):
                await eventually(clock, lambda key=str(number): app.find(Ticks, key))
            await app.send(Tick(id="after"))
            await eventually(clock, lambda: app.find(Ticks, "after"))
            assert {each.state for each in transport.listeners} == {ListenerState.RECEIVING}
            assert watch.has_none


async def test_what_a_handler_sends_while_the_key_is_disabled_waits_in_the_outbox(keys, watch):
    clock = ManualClock()
    async with LocalAws(clock=clock) as aws:
        app, _ = manual_app(
            aws,
            clock,
            keys,
            configure=lambda bus: bus.raise_.event(Ticked, topic="ticked").subscribe.to.topic(
                "ticked"
            ),
            watch=watch,
        )
        async with app:
            keys.is_away = True
            await app.send(Tick(id="1"))
            await leap(clock, timedelta(minutes=10))
            assert await app.find(Clockwork, "1")
            assert await app.find(Ticks, "1") is None

            keys.is_away = False
            await eventually(clock, lambda: app.find(Ticks, "1"))
            assert watch.has_none


async def leap(clock, time):
    left = time
    while left > timedelta(0):
        await clock.advance(timedelta(seconds=1))
        await asyncio.sleep(0.001)
        left -= timedelta(seconds=1)


async def eventually(clock, look):
    async with asyncio.timeout(LONG):
        while not await look():
            await clock.advance(timedelta(milliseconds=500))
            await asyncio.sleep(0.001)
