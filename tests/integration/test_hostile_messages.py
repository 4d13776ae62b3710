"""Damaged documents of every kind: the receiver says how each ends, and handles the next message."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from sourceflow import (
    App,
    Command,
    Entity,
    Event,
    Key,
    Observer,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
)
from sourceflow.bus.outcome import Done, Duplicate, Ignored, Rejected, RetryLater
from sourceflow.bus.ports import Delivery
from sourceflow.clock import SystemClock
from sourceflow.resilience.task_scope import TaskScope
from sourceflow.transports.aws import LocalKeyProvider
from sourceflow.transports.aws.encryption import Cipher, DecryptingReceiver

REASONS = {"Malformed", "WrongKind", "Rejected", "UnknownType"}


class Add(Command):
    id: Key[str]
    amount: int = 1
    parts: tuple[dict[str, list[float]], ...] = ()


class Added(Event):
    id: Key[str]
    amount: int


class Sum(Entity):
    id: Key[str]
    amount: int = 0


class SumRow(ViewModel):
    id: Key[str]
    amount: int = 0


class SumSaga(Saga[Sum]):
    @handles
    def add(self, found: Sum | None, command: Add) -> Sum:
        return Sum(id=command.id, amount=command.amount)


class SumRows(View[SumRow]):
    @projects
    def added(self, event: Added) -> SumRow:
        return SumRow(id=event.id, amount=event.amount)


def document(kind, /, **changes):
    return {
        "specversion": "1.0",
        "id": "m-1",
        "source": "/elsewhere",
        "type": {"command": "Add", "event": "Added"}[kind],
        "subject": "1",
        "time": "2026-01-01T00:00:00Z",
        "data": {"id": "1", "amount": 5},
        "kind": kind,
        "dataversion": 1,
        "depth": 0,
        **changes,
    }


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["Add", "Added", "os.system", "command", "event", "\0", "\ufffe", 2**63]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
names = st.sampled_from([*document("command"), "tenant", "correlationid", "entitysequence"])
kinds = st.sampled_from(["command", "event"])


@st.composite
def bodies(draw):
    """Draw a document with other values, and with bytes cut out and put in."""
    whole = document(draw(kinds), **draw(st.dictionaries(names, values, max_size=2)))
    if draw(st.booleans()):
        whole["data"] = {**document("command")["data"], draw(st.text(max_size=3)): draw(values)}
    body = json.dumps(whole, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(body)))
        cut = draw(st.integers(0, 4))
        more = draw(
            st.binary(max_size=4) | st.sampled_from([b"[" * 3000, b"9" * 5000, b"1e999999"])
        )
        body = body[:at] + more + body[at + cut :]
    return body


hints = st.sampled_from([None, "Add", "Added", "os.system", ""])
deliveries = st.builds(
    Delivery, bodies(), hints, kinds, st.just("sums.fifo"), st.just(1), st.none()
)


@asynccontextmanager
async def receiving():
    """Serve an App that messages can be handed to."""
    app = App([SumSaga, SumRows], name="sums")
    async with app:
        yield app._engine.receiver.receive


def good():
    whole = document("command", id="good", source="/us", subject="good", data={"id": "good"})
    return Delivery(json.dumps(whole).encode(), "Add", "command", "sums.fifo", 1, None)


def check(outcomes, reasons):
    for outcome in outcomes:
        assert isinstance(outcome, Done | Duplicate | Ignored | Rejected | RetryLater)
        if isinstance(outcome, Rejected | RetryLater):
            assert outcome.reason in reasons


@fuzzed(20_000)
@given(st.lists(deliveries, min_size=1, max_size=5))
def test_any_damaged_message_ends_and_the_next_one_is_handled(arrived):
    async def received():
        async with receiving() as receive:
            return [await receive(each) for each in arrived], await receive(good())

    outcomes, last = asyncio.run(received())

    check(outcomes, REASONS)
    assert last == Done()


QUEUE = "arn:aws:sqs:us-east-1:000000000000:sums.fifo"
headers = st.fixed_dictionaries(
    {
        "message_id": st.just("m-1") | st.text(st.characters(codec="utf-8"), max_size=5),
        "type_name": st.sampled_from(["Add", "Added", "os.system", ""]),
        "source": st.sampled_from(["/elsewhere", "/us", ""]),
        "destination": st.sampled_from([QUEUE, QUEUE, QUEUE, QUEUE + "-of-others"]),
    }
)
damages = st.none() | st.tuples(st.integers(0), st.integers(0, 4), st.binary(max_size=4))


@fuzzed(20_000)
@given(st.lists(st.tuples(deliveries, headers, damages), min_size=1, max_size=5))
def test_any_damaged_encrypted_message_ends_and_the_next_one_is_handled(arrived):
    """What was encrypted may be anything: whoever has the key may have written it."""

    async def received():
        async with receiving() as receive, TaskScope() as tasks:
            cipher = Cipher.of(
                LocalKeyProvider(), tasks=tasks, clock=SystemClock(), lifetime=timedelta(minutes=5)
            )
            decrypting = DecryptingReceiver(
                receive,
                cipher=cipher,
                destinations={QUEUE},
                subscribed={"Added"},
                requires=False,
                observer=Observer(),
            )
            outcomes = []
            for delivery, header, damage in arrived:
                body = (await cipher.encrypt(delivery.body, **header)).encode()
                if damage is not None:
                    at, cut, more = damage
                    at %= len(body)
                    body = body[:at] + more + body[at + cut :]
                outcomes.append(await decrypting(msgspec.structs.replace(delivery, body=body)))
            fields = {"message_id": "good", "type_name": "Add", "source": "/us"}
            body = await cipher.encrypt(good().body, destination=QUEUE, **fields)
            last = await decrypting(msgspec.structs.replace(good(), body=body.encode()))
            return outcomes, last

    outcomes, last = asyncio.run(received())

    check(outcomes, {*REASONS, "DecryptionFailed"})
    assert last == Done()
