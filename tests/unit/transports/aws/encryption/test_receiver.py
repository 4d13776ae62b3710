from __future__ import annotations

import pytest

from sourceflow import Observer
from sourceflow.bus.outcome import Done, Paused, Rejected
from sourceflow.bus.ports import Delivery
from sourceflow.errors import DecryptionFailedError, KeyUnavailableError, PlaintextRefusedError
from sourceflow.transports.aws.encryption import DecryptingReceiver

QUEUE = "arn:aws:sqs:us-east-1:000000000000:orders.fifo"
PLAIN = b'{"id":"m-1","source":"/shop","type":"Pay","data":{}}'


class Witness(Observer):
    def __init__(self):
        self.saw = []

    def received(self, delivery):
        self.saw.append("received")

    def settled(self, delivery, outcome, seconds):
        self.saw.append(type(outcome).__name__)


@pytest.fixture
def arrived():
    return []


@pytest.fixture
def witness():
    return Witness()


@pytest.fixture
def make_receiver(cipher, arrived, witness):
    def make(*, requires=False, subscribed=("Pay",)):
        async def receive(delivery):
            arrived.append(delivery)
            return Done()

        return DecryptingReceiver(
            receive,
            cipher=cipher,
            destinations={QUEUE},
            subscribed=subscribed,
            requires=requires,
            observer=witness,
        )

    return make


def delivery(body, *, kind="command", hint="Pay"):
    return Delivery(body, hint, kind, "orders.fifo", 3, ("Views.paid",))


async def test_a_message_is_handled_in_clear(make_receiver, seal, arrived, witness):
    assert await make_receiver()(delivery(await seal(PLAIN))) == Done()
    assert arrived == [delivery(PLAIN)]
    assert witness.saw == []  # whoever handles it tells


async def test_a_message_in_clear_passes_where_that_is_allowed(make_receiver, arrived):
    assert await make_receiver()(delivery(PLAIN)) == Done()
    assert arrived == [delivery(PLAIN)]


@pytest.mark.parametrize("kind", ["command", "event"])
@pytest.mark.parametrize("hint", ["Pay", "Unknown", None])
async def test_a_message_in_clear_is_refused_where_encryption_is_required(
    make_receiver, arrived, witness, kind, hint
):
    outcome = await make_receiver(requires=True)(delivery(PLAIN, kind=kind, hint=hint))
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "PlaintextRefused"
    assert isinstance(outcome.error, PlaintextRefusedError)
    assert arrived == []
    assert witness.saw == ["received", "Rejected"]


async def test_what_cannot_be_decrypted_is_a_dead_letter_at_once(make_receiver, seal, arrived):
    body = (await seal(PLAIN))[:-8]
    outcome = await make_receiver()(delivery(body))
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "DecryptionFailed"
    assert isinstance(outcome.error, DecryptionFailedError)
    assert arrived == []


async def test_a_key_that_is_away_is_no_fault_of_the_message(
    make_receiver, seal, arrived, keys, witness
):
    body = await seal(PLAIN)
    keys.switch_off()
    outcome = await make_receiver()(delivery(body))
    assert isinstance(outcome, Paused)
    assert isinstance(outcome.error, KeyUnavailableError)
    assert witness.saw == ["received", "Paused"]

    keys.fault = None
    assert await make_receiver()(delivery(body)) == Done()
    assert len(arrived) == 1


async def test_an_event_that_nobody_listens_to_passes_as_it_is(make_receiver, seal, arrived, keys):
    body = await seal(PLAIN)
    sent = delivery(body, kind="event")
    assert await make_receiver(subscribed=())(sent) == Done()
    assert arrived == [sent]
    assert keys.decrypted == []


async def test_an_event_whose_type_is_only_inside_is_decrypted(make_receiver, seal, arrived):
    await make_receiver(subscribed=())(delivery(await seal(PLAIN), kind="event", hint=None))
    assert arrived[0].body == PLAIN
