"""Damaged documents of every kind: the receiver says how each ends, and handles the next message."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from run_size import sized
from sourceflow import App, Command, Entity, Event, Key, Saga, View, ViewModel, handles, projects
from sourceflow.bus.outcome import Done, Duplicate, Ignored, Rejected, RetryLater
from sourceflow.bus.ports import Delivery

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


async def received(arrived):
    """Return how each message ends, and what a good one behind them has done."""
    app = App([SumSaga, SumRows], name="sums")
    async with app:
        receive = app._engine.receiver.receive
        outcomes = [await receive(each) for each in arrived]
        good = document("command", id="good", source="/us", subject="good", data={"id": "good"})
        last = Delivery(json.dumps(good).encode(), "Add", "command", "sums.fifo", 1, None)
        return outcomes, await receive(last)


@pytest.mark.timeout(1800)  # for the full size
@given(st.lists(deliveries, min_size=1, max_size=5))
@settings(
    max_examples=sized(100, full=20_000),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_any_damaged_message_ends_and_the_next_one_is_handled(arrived):
    outcomes, last = asyncio.run(received(arrived))

    for outcome in outcomes:
        assert isinstance(outcome, Done | Duplicate | Ignored | Rejected | RetryLater)
        if isinstance(outcome, Rejected | RetryLater):
            assert outcome.reason in REASONS
    assert last == Done()
