"""Messages travel encrypted: over LocalAws and LocalStack, from end to end."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from base64 import b64decode
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from letter_watch import LetterWatch
from sourceflow import App, Command, Key, Saga, handles
from sourceflow.transports.aws import AwsTransport, LocalKeyProvider
from sourceflow.transports.aws.client.base import ServiceClient
from sourceflow.transports.aws.encryption import is_sealed
from ticks import Clockwork, Tick, Ticking, Ticks, TickViews, only_sending, tick_app, ticking

BANK = Path(__file__).parents[3] / "examples" / "bank" / "bank.py"
LONG = 60


def load_bank():
    spec = importlib.util.spec_from_file_location("bank", BANK)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bank"] = module
    spec.loader.exec_module(module)
    return module


bank = sys.modules.get("bank") or load_bank()


@pytest.fixture
def keys():
    return LocalKeyProvider()


@pytest.fixture
def watch():
    return LetterWatch()


@pytest.fixture
def captured(monkeypatch):
    """Every request to SQS, SNS and KMS, as it leaves the client: its operation and its body."""
    requests = []
    original = ServiceClient._call

    async def call(self, operation, body, **more):
        requests.append((operation, body))
        return await original(self, operation, body, **more)

    monkeypatch.setattr(ServiceClient, "_call", call)
    return requests


def bodies_of(requests):
    """Return the body of every message in requests."""
    bodies = []
    for operation, request in requests:
        if operation == "SendMessageBatch":
            bodies += [entry["MessageBody"] for entry in json.loads(request)["Entries"]]
        elif operation == "PublishBatch":
            form = parse_qs(request.decode())
            bodies += [values[0] for name, values in form.items() if name.endswith(".Message")]
    return bodies


def destinations_of(requests, operation):
    """Return how often KMS was called for each destination."""
    contexts = [
        json.loads(request)["EncryptionContext"] for name, request in requests if name == operation
    ]
    return Counter(context["destination"].rpartition(":")[2] for context in contexts)


async def test_the_bank_runs_and_every_body_on_the_wire_is_ciphertext(cloud, kms, captured):
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
            wait_time=timedelta(seconds=1),
            enable_encryption=True,
            require_encryption=True,
            kms_key_id=await kms.key(),
        ),
        configure,
        credentials=cloud.credentials,
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
    bodies = bodies_of(captured)
    assert len(bodies) == 8
    assert {name for name, _ in captured if "Send" in name or "Publish" in name} == {
        "SendMessageBatch",
        "PublishBatch",
    }
    for body in bodies:
        assert is_sealed(body.encode())
    for secret in (b"acct-4711", b"Johanna", b"Ghent", b"1300"):
        assert not any(secret in request for _, request in captured)
        assert not any(secret in b64decode(body) for body in bodies)
    for operation in ("GenerateDataKey", "Decrypt"):  # a queue and a topic of one name
        assert destinations_of(captured, operation) == {f"{cloud.prefix}accounts.fifo": 2}


class Tock(Command):
    id: Key[str]


class Tocking(Saga[Clockwork]):
    @handles
    def tock(self, entity: Clockwork | None, command: Tock) -> Clockwork:
        return Clockwork(id=command.id)


@asynccontextmanager
async def ticker(cloud, keys, *, configure=ticking, watch=None, components=None, **options):
    encrypts = keys is not None or "kms_key_id" in options
    app, transport = tick_app(
        cloud.options(
            **{"wait_time": timedelta(seconds=1), "enable_encryption": encrypts, **options}
        ),
        configure,
        credentials=cloud.credentials,
        keys=keys,
        components=components,
        observer=watch,
    )
    async with app:
        yield app, transport


async def test_ten_thousand_messages_cost_two_keys_a_destination_at_most(cloud, kms, captured):
    if cloud.local is None:
        pytest.skip("the count is the same on LocalStack, where it takes minutes")
    async with ticker(cloud, None, kms_key_id=await kms.key(), max_concurrent_calls=50) as (app, _):
        await app.send_many([Tick(id=str(number)) for number in range(10_000)])
        await app.drained(timeout=LONG)
        assert await app.get(Ticks, "9999")

    assert len(bodies_of(captured)) == 20_000
    for operation in ("GenerateDataKey", "Decrypt"):
        asked = destinations_of(captured, operation)
        assert set(asked) == {f"{cloud.prefix}{name}" for name in ("ticks", "ticked")}
        assert max(asked.values()) <= 2
        assert asked.total() == cloud.local.calls[operation]


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
    strange = LocalKeyProvider()
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
