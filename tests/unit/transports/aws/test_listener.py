from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from functools import partial

import pytest

from sourceflow.bus.observer import Observer
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
from sourceflow.errors import AwsTransientError, DependencyError, NoHandlerError
from sourceflow.stores.memory import MemoryStores
from sourceflow.testing.clock import settle
from sourceflow.transports.aws import ListenerState, ListenerStatus, acknowledger, listener
from sourceflow.transports.aws.acknowledger import Acknowledger
from sourceflow.transports.aws.client import SendEntry, VisibilityEntry
from sourceflow.transports.aws.dead_letters import DeadLetterSender
from sourceflow.transports.aws.leases import Leases
from sourceflow.transports.aws.listener import Listener
from sourceflow.transports.aws.listener_options import ListenerOptions
from sourceflow.transports.aws.processor import ASKED_ATTEMPTS
from sourceflow.transports.aws.slots import Slots

VISIBILITY = timedelta(seconds=30)
SOON = timedelta(seconds=5)


class Handler:
    """Stands for the bus: says what the test says, in turn for each body; ``Done`` when nothing is left."""

    def __init__(self):
        self.began = []
        self.ended = []
        self.deliveries = []
        self.running = 0
        self.most = 0
        self.gates = {}
        self.outcomes = {}
        self.shielded = set()

    def note(self, body):
        """Is called in each handling; tests put their own here."""

    def hold(self, body):
        """Do not end the handling of this body before ``let_go``."""
        self.gates[body] = asyncio.Event()

    def shield(self, body):
        """As ``hold``, and let no cancellation end it."""
        self.hold(body)
        self.shielded.add(body)

    def let_go(self, body):
        self.gates.pop(body).set()

    def then(self, body, *outcomes):
        self.outcomes.setdefault(body, []).extend(outcomes)

    async def __call__(self, delivery):
        body = delivery.body.decode()
        self.note(body)
        self.deliveries.append(delivery)
        self.began.append(body)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            gate = self.gates.get(body)
            if gate is not None:
                await self._pass(gate, shielded=body in self.shielded)
        finally:
            self.running -= 1
        self.ended.append(body)
        left = self.outcomes.get(body)
        return left.pop(0) if left else Done()

    async def _pass(self, gate, *, shielded):
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                if not shielded:
                    raise


@pytest.fixture
def handler():
    return Handler()


class Bench:
    """One listener on one queue, the clock that drives it, and what is left where."""

    def __init__(self, listener, leases, url, dead, sqs, clock):
        self.listener = listener
        self.leases = leases
        self.url = url
        self.dead = dead
        self.sqs = sqs
        self.clock = clock
        self.task = None

    def run(self):
        self.task = asyncio.create_task(self.listener.run())

    async def send(self, *bodies, group=None):
        for at, body in enumerate(bodies):
            result = await self.sqs.send_message_batch(
                self.url,
                [
                    SendEntry(
                        id="0",
                        body=body,
                        group_id=group(body) if group else None,
                        deduplication_id=f"{body}-{at}" if group else None,
                    )
                ],
            )
            assert not result.failed
        await self.rest()

    async def rest(self):
        """Let everything happen that needs no passing of time."""
        await settle(60)

    async def pass_time(self, by):
        step = timedelta(seconds=1)
        while by > timedelta(0):
            await self.clock.advance(min(step, by))
            await self.rest()
            by -= step

    async def count(self, url=None):
        found = await self.sqs.get_queue_attributes(url or self.url)
        return tuple(
            int(found[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible")
        )

    async def dead_letters(self):
        return [each.body for each in await self.sqs.receive_message(self.dead)]


@pytest.fixture
async def make_bench(sqs, make_queue, clock, tasks, handler):
    benches = []

    async def make(
        name="orders.fifo",
        *,
        slots=None,
        capacity=None,
        concurrency=10,
        max_attempts=3,
        dead=True,
        limit=None,
        overlaps=False,
        running=True,
    ):
        url = await make_queue(name)
        fifo = name.endswith(".fifo")
        dead_url = await make_queue(f"{name.removesuffix('.fifo')}-dlq{'.fifo' if fifo else ''}")
        leases = Leases(sqs=sqs, queue_url=url, visibility=VISIBILITY, clock=clock, queue=name)
        listener = Listener(
            ListenerOptions(
                name=name,
                url=url,
                kind="command",
                is_fifo=fifo,
                wait_time=timedelta(seconds=20),
                visibility=VISIBILITY,
                max_attempts=max_attempts,
                timeout=limit,
                overlaps=overlaps,
                concurrency=concurrency,
                capacity=capacity or concurrency + max(10, concurrency),
            ),
            sqs=sqs,
            receive=handler,
            slots=(slots or Slots(10)).of_queue(),
            leases=leases,
            acknowledger=partial(
                Acknowledger, sqs=sqs, queue=name, url=url, tasks=tasks, clock=clock
            ),
            dead_letters=DeadLetterSender(
                sqs=sqs,
                queue=name,
                dead_letter_url=dead_url if dead else None,
                is_fifo=fifo,
                records=MemoryStores().dead_letters,
                observer=Observer(),
                clock=clock,
            ),
            clock=clock,
        )
        bench = Bench(listener, leases, url, dead_url, sqs, clock)
        if running:
            bench.run()
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.task.cancel()
        with suppress(asyncio.CancelledError):
            await bench.task


def by_letter(body):
    """The group of 'a1' is 'a'."""
    return body[0]


def failed(**how):
    return RetryLater(error=ValueError("not yet"), **how)


@pytest.mark.parametrize(
    "outcome", [Done(), Duplicate(), Ignored(), Discarded(reason="too old")], ids=repr
)
async def test_what_is_settled_is_deleted(make_bench, handler, outcome):
    bench = await make_bench()
    handler.then("a1", outcome)
    await bench.send("a1", group=by_letter)

    assert handler.ended == ["a1"]
    assert await bench.count() == (0, 0)
    assert len(bench.leases) == 0


async def test_nothing_is_deleted_before_it_is_handled(make_bench, handler, wire):
    bench = await make_bench()
    handler.hold("a1")
    await bench.send("a1", group=by_letter)

    assert (handler.began, wire.count("DeleteMessageBatch")) == (["a1"], 0)
    assert await bench.count() == (0, 1)
    handler.let_go("a1")
    await bench.rest()
    assert await bench.count() == (0, 0)


async def test_a_delivery_says_where_it_comes_from_and_which_try_it_is(make_bench, handler):
    bench = await make_bench()
    handler.then("a1", failed())
    await bench.send("a1", group=by_letter)
    await bench.pass_time(SOON)

    assert [(each.origin, each.kind, each.attempt) for each in handler.deliveries] == [
        ("orders.fifo", "command", 1),
        ("orders.fifo", "command", 2),
    ]


async def test_a_group_is_handled_in_order_one_at_a_time(make_bench, handler):
    bench = await make_bench()
    for body in ("a1", "a2"):
        handler.hold(body)
    await bench.send("a1", "a2", "a3", group=by_letter)

    assert handler.began == ["a1"]
    handler.let_go("a1")
    await bench.rest()
    assert handler.began == ["a1", "a2"]
    handler.let_go("a2")
    await bench.rest()
    assert handler.ended == ["a1", "a2", "a3"]
    assert handler.most == 1


async def test_the_next_of_a_group_starts_after_the_delete_of_the_one_before(
    make_bench, handler, wire
):
    bench = await make_bench()
    handler.hold("a1")
    await bench.send("a1", "a2", group=by_letter)
    wire.next("DeleteMessageBatch", AwsTransientError("away", code="Gone"))
    handler.let_go("a1")
    await bench.rest()
    assert handler.began == ["a1"]  # the delete waits for its second try
    await bench.pass_time(timedelta(seconds=3))
    assert handler.began == ["a1", "a2"]


async def test_where_the_stores_remember_the_next_of_a_group_does_not_wait_for_the_delete(
    make_bench, handler, wire
):
    bench = await make_bench(overlaps=True)
    handler.hold("a1")
    await bench.send("a1", "a2", group=by_letter)
    wire.next("DeleteMessageBatch", AwsTransientError("away", code="Gone"))
    handler.let_go("a1")
    await bench.rest()

    assert handler.began == ["a1", "a2"]
    assert handler.most == 1
    await bench.pass_time(timedelta(seconds=3))
    assert await bench.count() == (0, 0)


async def test_one_group_does_not_hold_up_another(make_bench, handler):
    bench = await make_bench()
    handler.hold("a1")
    await bench.send("a1", "b1", "a2", "c1", "b2", group=by_letter)

    assert handler.ended == ["b1", "c1", "b2"]


async def test_messages_of_a_standard_queue_are_handled_side_by_side(make_bench, handler):
    bench = await make_bench("orders")
    for body in ("1", "2", "3"):
        handler.hold(body)
    await bench.send("1", "2", "3")

    assert sorted(handler.began) == ["1", "2", "3"]


async def test_no_more_are_handled_at_a_time_than_may_over_all_queues(make_bench, handler):
    slots = Slots(3)
    first = await make_bench("orders", slots=slots)
    second = await make_bench("payments", slots=slots)
    bodies = [str(at) for at in range(8)]
    for body in bodies:
        handler.hold(body)
    await first.send(*bodies[:4])
    await second.send(*bodies[4:])

    assert handler.running == 3
    while len(handler.ended) < 8:
        handler.let_go(next(body for body in handler.began if body in handler.gates))
        await first.rest()
    assert handler.most == 3


async def test_no_more_messages_are_held_than_may(make_bench, handler):
    bench = await make_bench("orders", slots=Slots(1), capacity=4)
    bodies = [str(at) for at in range(9)]
    for body in bodies:
        handler.hold(body)
    await bench.send(*bodies)

    assert await bench.count() == (5, 4)


async def test_a_failure_is_tried_again_in_place_and_in_order(make_bench, handler):
    bench = await make_bench()
    handler.then("a1", failed())
    await bench.send("a1", "a2", "b1", group=by_letter)
    assert handler.began == ["a1", "b1"]

    await bench.pass_time(SOON)
    assert handler.began == ["a1", "b1", "a1", "a2"]
    assert await bench.count() == (0, 0)


async def test_groups_that_fail_leave_room_for_all_others(make_bench, handler):
    bench = await make_bench(concurrency=1, slots=Slots(1), max_attempts=1000)
    for group in "abcdef":  # each fills the places of a receive
        handler.then(f"{group}0", *[failed()] * 1000)
        await bench.send(*[f"{group}{at}" for at in range(10)], group=by_letter)
    await bench.send("x1", "y1", "x2", group=by_letter)
    await bench.pass_time(timedelta(seconds=5))

    assert handler.ended.count("x1") == 1
    assert [body for body in handler.ended if body[0] in "xy"] == ["x1", "y1", "x2"]
    assert set(handler.ended) == {f"{group}0" for group in "abcdef"} | {"x1", "y1", "x2"}
    status = bench.listener.status
    assert status.held == 0
    assert status.waiting > 20  # more than may be held


async def test_what_fails_beyond_the_parking_places_is_handed_back_for_its_wait(
    make_bench, handler, monkeypatch
):
    monkeypatch.setattr(listener, "PARKED_PER_PLACE", 1)
    bench = await make_bench("orders", capacity=10, max_attempts=1000)
    bodies = [str(at) for at in range(14)]
    for body in bodies:
        handler.then(body, failed(delay=timedelta(seconds=30), asked=True))
    await bench.send(*bodies)
    await bench.pass_time(timedelta(seconds=5))

    assert bench.listener.status.waiting == 10
    assert len(bench.leases) == 10
    assert await bench.count() == (0, 14)  # nobody sees the others before their time
    await bench.pass_time(timedelta(seconds=40))
    assert sorted(handler.ended) == sorted(bodies * 2)
    assert max(each.attempt for each in handler.deliveries) == 2


async def test_a_handler_says_how_long_to_wait(make_bench, handler):
    bench = await make_bench()
    handler.then("a1", failed(delay=timedelta(seconds=40), asked=True))
    await bench.send("a1", group=by_letter)

    await bench.pass_time(timedelta(seconds=39))
    assert handler.began == ["a1"]
    await bench.pass_time(timedelta(seconds=3))
    assert handler.began == ["a1", "a1"]


async def test_for_a_long_wait_a_message_and_its_followers_are_handed_back(
    make_bench, handler, wire
):
    bench = await make_bench()
    handler.hold("a1")
    handler.then("a1", failed(delay=timedelta(minutes=10), asked=True))
    await bench.send("a1", "a2", "b1", group=by_letter)
    handler.let_go("a1")
    await bench.rest()

    assert len(bench.leases) == 0
    assert wire.count("ChangeMessageVisibilityBatch") == 1
    assert handler.ended == ["b1", "a1"]
    await bench.pass_time(timedelta(minutes=9))
    assert handler.ended == ["b1", "a1"]
    await bench.pass_time(timedelta(minutes=1, seconds=30))
    assert handler.ended == ["b1", "a1", "a1", "a2"]
    assert [each.attempt for each in handler.deliveries] == [1, 1, 2, 1]


async def test_a_message_that_keeps_failing_is_a_dead_letter_and_its_group_goes_on(
    make_bench, handler
):
    bench = await make_bench(max_attempts=3)
    handler.then("a1", failed(), failed(), failed())
    await bench.send("a1", "a2", group=by_letter)
    await bench.pass_time(timedelta(seconds=20))

    assert handler.began == ["a1", "a1", "a1", "a2"]
    assert await bench.count() == (0, 0)
    assert await bench.dead_letters() == ["a1"]


def unknown():
    return RetryLater(error=NoHandlerError("not here"), reason="UnknownType")


async def test_what_a_newer_instance_may_know_is_handed_back(make_bench, handler):
    bench = await make_bench("orders")
    handler.then("a", unknown(), unknown())
    await bench.send("a", "b")

    assert len(bench.leases) == 0  # whoever receives it next has it
    assert await bench.count() == (0, 1)  # but nobody does at once
    await bench.pass_time(timedelta(seconds=40))
    assert handler.ended == ["a", "b", "a", "a"]
    assert [each.attempt for each in handler.deliveries] == [1, 1, 2, 3]


async def test_on_a_fifo_queue_it_is_kept_until_the_listener_stops(make_bench, handler):
    """Its followers would be received with it each time, and SQS gives up what was too often."""
    bench = await make_bench(max_attempts=6)
    handler.then("a1", *(unknown() for _ in range(5)))
    await bench.send("a1", "a2", group=by_letter)
    await bench.pass_time(timedelta(seconds=1))
    assert len(bench.leases) == 2
    bench.listener.stop()
    await bench.rest()

    assert len(bench.leases) == 0
    assert "a2" not in handler.ended


async def test_what_nobody_knows_is_a_dead_letter_after_max_attempts(make_bench, handler):
    bench = await make_bench("orders", max_attempts=3)
    handler.then("a", *(unknown() for _ in range(3)))
    await bench.send("a")
    await bench.pass_time(timedelta(seconds=40))

    assert handler.began == ["a"] * 3
    assert await bench.dead_letters() == ["a"]


async def test_what_others_do_not_know_either_is_given_up_at_the_last_receive(make_bench, handler):
    bench = await make_bench("orders", max_attempts=3, running=False)
    await bench.send("a")
    for _ in range(8):  # as other instances do, of which each counts for itself
        (message,) = await bench.sqs.receive_message(bench.url)
        await bench.sqs.change_message_visibility_batch(
            bench.url, [VisibilityEntry("0", message.receipt_handle, timedelta(0))]
        )
    handler.then("a", unknown())
    bench.run()
    await bench.rest()

    assert handler.began == ["a"]
    assert await bench.dead_letters() == ["a"]


async def test_a_rejected_message_is_a_dead_letter_at_once(make_bench, handler):
    bench = await make_bench()
    handler.then("a1", Rejected(error=ValueError("never"), reason="Rejected"))
    await bench.send("a1", "a2", group=by_letter)

    assert handler.began == ["a1", "a2"]
    assert await bench.dead_letters() == ["a1"]


async def test_a_handling_that_takes_too_long_has_failed_and_holds_nobody_up(make_bench, handler):
    bench = await make_bench(max_attempts=2, limit=timedelta(milliseconds=20))
    handler.hold("a1")
    await bench.send("a1", "a2", "b1", group=by_letter)
    assert handler.ended == ["b1"]
    async with asyncio.timeout(5):
        while len(handler.ended) < 2:
            await asyncio.sleep(0.005)
            await bench.pass_time(timedelta(seconds=2))

    assert handler.began == ["a1", "b1", "a1", "a2"]
    assert handler.ended == ["b1", "a2"]
    assert await bench.dead_letters() == ["a1"]


async def test_asking_for_a_later_try_is_no_failure(make_bench, handler):
    bench = await make_bench(max_attempts=2)
    asked = failed(delay=timedelta(seconds=1), asked=True)
    handler.then("a1", *[asked] * 10, failed())
    await bench.send("a1", group=by_letter)
    await bench.pass_time(timedelta(seconds=20))

    assert len(handler.began) == 12
    assert await bench.count(bench.dead) == (0, 0)


async def test_asking_has_a_limit_of_its_own(make_bench, handler):
    bench = await make_bench(max_attempts=2)
    handler.then("a1", *[failed(delay=timedelta(seconds=1), asked=True)] * (ASKED_ATTEMPTS + 5))
    await bench.send("a1", group=by_letter)
    await bench.pass_time(timedelta(seconds=ASKED_ATTEMPTS + 5))

    assert len(handler.began) == ASKED_ATTEMPTS
    assert await bench.dead_letters() == ["a1"]


async def test_a_message_that_cannot_be_given_up_is_kept(make_bench, handler, caplog):
    bench = await make_bench(dead=False)
    handler.then("a1", *[Rejected(error=ValueError("never"), reason="Rejected")] * 50)
    await bench.send("a1", group=by_letter)
    await bench.pass_time(timedelta(minutes=2))

    assert sum(await bench.count()) == 1
    assert "the dead letter queue of orders.fifo does not take a message" in caplog.text


async def test_a_message_that_is_given_up_is_not_handled_again_while_its_queue_of_dead_letters_is_away(
    make_bench, handler, wire
):
    bench = await make_bench()
    handler.then("a1", Rejected(error=ValueError("never"), reason="Rejected"))
    wire.next("SendMessageBatch", None, *[AwsTransientError("away", code="Gone")] * 6)
    await bench.send("a1", group=by_letter)
    await bench.pass_time(timedelta(minutes=3))

    assert handler.began == ["a1"]
    assert await bench.dead_letters() == ["a1"]
    assert await bench.count() == (0, 0)


async def test_a_slow_handler_keeps_its_message(make_bench, handler):
    bench = await make_bench()
    handler.hold("a1")
    await bench.send("a1", group=by_letter)
    await bench.pass_time(timedelta(minutes=5))

    assert handler.began == ["a1"]
    handler.let_go("a1")
    await bench.rest()
    assert await bench.count() == (0, 0)


async def test_a_lost_lease_cancels_its_handler_alone_and_is_not_acknowledged(
    make_bench, handler, wire
):
    bench = await make_bench("orders")
    handler.hold("1")
    handler.hold("2")
    await bench.send("1", "2")
    lost = {"Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": True, "Message": ""}
    wire.next(
        "ChangeMessageVisibilityBatch", (200, {"Failed": [lost], "Successful": [{"Id": "1"}]})
    )
    await bench.pass_time(timedelta(seconds=16))

    assert handler.running == 1
    assert wire.count("DeleteMessageBatch") == 0
    handler.let_go("2")
    await bench.rest()
    assert handler.ended == ["2"]
    assert wire.count("DeleteMessageBatch") == 1
    handler.let_go("1")
    await bench.pass_time(VISIBILITY)  # it shows again, and is handled
    assert handler.ended == ["2", "1"]
    assert await bench.count() == (0, 0)


async def test_when_the_first_of_a_group_is_lost_those_behind_it_do_not_take_effect_before_it(
    make_bench, handler, wire
):
    bench = await make_bench()
    handler.hold("a1")
    await bench.send("a1", "a2", "a3", group=by_letter)
    lost = {"Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": True, "Message": ""}
    wire.next(
        "ChangeMessageVisibilityBatch",
        (200, {"Failed": [lost], "Successful": [{"Id": "1"}, {"Id": "2"}]}),
    )
    await bench.pass_time(timedelta(seconds=16))
    assert handler.ended == []
    handler.let_go("a1")
    await bench.pass_time(VISIBILITY)

    assert handler.ended == ["a1", "a2", "a3"]
    assert await bench.count() == (0, 0)


async def test_a_handler_that_does_not_notice_that_its_lease_is_lost_is_not_acknowledged(
    make_bench, handler, wire
):
    bench = await make_bench("orders")
    handler.shield("1")
    await bench.send("1")
    lost = {"Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": True, "Message": ""}
    wire.next("ChangeMessageVisibilityBatch", (200, {"Failed": [lost], "Successful": []}))
    await bench.pass_time(timedelta(seconds=16))
    handler.let_go("1")
    await bench.rest()

    assert handler.ended == ["1"]
    assert wire.count("DeleteMessageBatch") == 0


async def test_ten_minutes_without_a_dependency_leave_no_dead_letter(make_bench, handler, caplog):
    bench = await make_bench(max_attempts=2)
    away = Paused(error=DependencyError("the store does not answer"))
    handler.then("a1", *[away] * 30)
    await bench.send("a1", "a2", group=by_letter)
    await bench.pass_time(timedelta(minutes=10))

    assert await bench.count(bench.dead) == (0, 0)
    handler.outcomes.clear()
    await bench.pass_time(timedelta(minutes=1))
    assert handler.ended[-2:] == ["a1", "a2"]
    assert "work paused source=orders.fifo" in caplog.text


async def test_while_a_dependency_is_away_one_message_probes_it_and_all_others_are_handed_back(
    make_bench, handler, wire
):
    bench = await make_bench("orders")
    away = Paused(error=DependencyError("the store does not answer"))
    bodies = [str(at) for at in range(5)]
    for body in bodies:
        handler.hold(body)
        handler.then(body, *[away] * 40)
    await bench.send(*bodies)
    for body in bodies:
        handler.let_go(body)
    await bench.rest()

    assert await bench.count() == (4, 1)
    receives = wire.count("ReceiveMessage")
    await bench.pass_time(timedelta(minutes=5))
    assert await bench.count() == (4, 1)
    assert wire.count("ReceiveMessage") == receives
    assert len(set(handler.began[5:])) == 1  # the probe alone was tried
    handler.outcomes.clear()
    await bench.pass_time(timedelta(minutes=1))
    assert sorted(set(handler.ended[-5:])) == bodies
    assert await bench.count() == (0, 0)


async def test_a_message_that_arrives_during_an_outage_is_handed_back(make_bench, handler):
    bench = await make_bench("orders")
    handler.then("probe", *[Paused(error=DependencyError("away"))] * 40)
    await bench.send("probe")
    await bench.send("late")  # a poll was under way

    assert handler.began == ["probe"]
    assert await bench.count() == (1, 1)


async def test_a_poll_that_waited_for_room_does_not_start_during_an_outage(
    make_bench, handler, wire
):
    bench = await make_bench("orders", concurrency=1, slots=Slots(1))
    bodies = [str(at) for at in range(20)]
    for body in bodies:
        handler.hold(body)
        handler.then(body, *[Paused(error=DependencyError("away"))] * 40)
    await bench.send(*bodies)
    receives = wire.count("ReceiveMessage")
    for body in bodies:
        handler.let_go(body)
    await bench.rest()  # all but the probe are handed back: there is room again

    assert (await bench.count())[1] == 1
    assert wire.count("ReceiveMessage") == receives


async def test_a_probe_that_is_lost_lets_the_next_message_probe(make_bench, handler, wire):
    bench = await make_bench("orders")
    handler.then("first", *[Paused(error=DependencyError("away"))] * 40)
    await bench.send("first")
    await bench.send("second")  # handed back
    lost = {"Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": True, "Message": ""}
    wire.next("ChangeMessageVisibilityBatch", (200, {"Failed": [lost], "Successful": []}))
    await bench.pass_time(timedelta(minutes=2))

    assert "second" in handler.ended


async def test_an_idle_queue_has_one_long_poll(make_bench, wire, clock):
    bench = await make_bench("orders", concurrency=50)
    await bench.pass_time(timedelta(seconds=19))
    assert wire.count("ReceiveMessage") == 1


async def test_a_busy_queue_has_a_poll_for_each_ten_that_may_run(make_bench, handler, wire):
    bench = await make_bench("orders", concurrency=30, slots=Slots(30))
    bodies = [str(at) for at in range(100)]
    for body in bodies:
        handler.hold(body)
    await bench.send(*bodies)
    for body in bodies:
        handler.let_go(body)
    await bench.rest()

    assert len(handler.ended) == 100
    assert 1 < wire.most_at_once <= 3
    await bench.pass_time(timedelta(seconds=45))
    before = wire.count("ReceiveMessage")
    await bench.pass_time(timedelta(seconds=20))
    assert wire.count("ReceiveMessage") - before <= 1  # back to one


async def test_no_receive_starts_before_ten_places_are_free(make_bench, handler, wire):
    bench = await make_bench("orders", concurrency=10)
    bodies = [str(at) for at in range(40)]
    for body in bodies:
        handler.hold(body)
    await bench.send(*bodies)
    assert sum(await bench.count()) == 40
    assert (await bench.count())[1] <= 20
    before = wire.count("ReceiveMessage")
    for body in handler.began[:5]:
        handler.let_go(body)
    await bench.rest()
    assert wire.count("ReceiveMessage") == before


async def test_a_receive_of_a_fifo_queue_is_repeated_with_its_own_id(
    make_bench, handler, wire, lost
):
    """The answer got lost, and with it the group's turn: the repeated receive gives it again."""
    bench = await make_bench()
    await bench.rest()
    wire.next("ReceiveMessage", *[lost(AwsTransientError("reset", code="ConnectionFailed"))] * 3)
    await bench.send("a1", group=by_letter)  # wakes the poll that is under way
    await bench.send("a2", group=by_letter)
    await bench.pass_time(timedelta(seconds=10))

    assert handler.ended == ["a1", "a2"]
    ids = [request["ReceiveRequestAttemptId"] for request in wire.requests("ReceiveMessage")]
    assert len(set(ids)) < len(ids)


async def test_a_queue_that_does_not_answer_is_tried_until_it_does(
    make_bench, handler, wire, caplog
):
    wire.next("ReceiveMessage", *[AwsTransientError("reset", code="ConnectionFailed")] * 12)
    bench = await make_bench()
    await bench.send("a1", group=by_letter)
    await bench.pass_time(timedelta(minutes=2))

    assert handler.ended == ["a1"]
    assert "orders.fifo cannot be received from" in caplog.text


async def test_a_queue_that_is_gone_is_asked_for_slowly(make_bench, handler, wire):
    gone = (400, {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "gone"})
    wire.next("ReceiveMessage", *[gone] * 3)
    bench = await make_bench()
    await bench.send("a1", group=by_letter)
    await bench.pass_time(timedelta(seconds=1))
    assert wire.count("ReceiveMessage") <= 2

    await bench.pass_time(timedelta(minutes=3))
    assert handler.ended == ["a1"]


async def test_stopping_lets_what_runs_end_and_hands_the_rest_back(make_bench, handler):
    bench = await make_bench()
    handler.hold("a1")
    await bench.send("a1", "a2", group=by_letter)

    bench.listener.stop()
    await bench.send("b1", group=by_letter)
    finished = asyncio.create_task(bench.listener.finished())
    await bench.rest()
    assert not finished.done()
    handler.let_go("a1")
    await bench.rest()
    assert finished.done()
    assert handler.ended == ["a1"]
    assert await bench.count() == (2, 0)  # a2 and b1 are there for others, at once


async def test_stopping_hands_back_at_once_what_waits_for_a_place(make_bench, handler):
    bench = await make_bench("orders", slots=Slots(1))
    for body in ("1", "2", "3"):
        handler.hold(body)
    await bench.send("1", "2", "3")
    bench.listener.stop()
    await bench.rest()

    assert len(handler.began) == 1
    assert await bench.count() == (2, 1)


async def test_what_is_being_deleted_is_not_handed_back(make_bench, handler, wire):
    bench = await make_bench("orders")
    wire.next("DeleteMessageBatch", *[AwsTransientError("away", code="Gone")] * 2)
    await bench.send("1")
    bench.listener.stop()
    await bench.listener.hand_back()

    assert await bench.count() == (0, 1)
    assert bench.listener.status.held == 1
    await bench.pass_time(timedelta(seconds=3))
    assert await bench.count() == (0, 0)


async def test_a_message_has_a_context_of_its_own(make_bench, handler):
    bench = await make_bench()
    seen = []
    user = ContextVar("user", default="nobody")

    def note(body):
        seen.append((body, user.get()))
        user.set(body)

    handler.note = note
    await bench.send("a1", "a2", "b1", group=by_letter)

    assert seen == [("a1", "nobody"), ("b1", "nobody"), ("a2", "nobody")]


class TestStatus:
    """Whoever looks sees how it goes."""

    async def test_a_queue_that_is_received_from(self, make_bench, handler):
        bench = await make_bench()
        handler.hold("a1")
        await bench.send("a1", "a2", group=by_letter)

        assert bench.listener.status == ListenerStatus(
            queue="orders.fifo",
            state=ListenerState.RECEIVING,
            error=None,
            running=1,
            held=2,
            waiting=0,
            polls=1,
            quiet=timedelta(0),
            longest=timedelta(0),
        )

    async def test_how_long_the_message_is_handled_that_is_handled_the_longest(
        self, make_bench, handler
    ):
        bench = await make_bench()
        handler.hold("a1")
        handler.hold("b1")
        await bench.send("a1", "b1", group=by_letter)
        await bench.pass_time(timedelta(seconds=400))
        assert bench.listener.status.longest == timedelta(seconds=400)

        handler.let_go("a1")
        handler.let_go("b1")
        await bench.pass_time(timedelta(seconds=1))
        assert bench.listener.status.longest == timedelta(0)

        handler.hold("a2")
        await bench.send("a2", group=by_letter)
        await bench.pass_time(timedelta(seconds=7))
        assert bench.listener.status.longest == timedelta(seconds=7)

    async def test_how_long_no_receive_was_answered(self, make_bench, wire):
        bench = await make_bench()
        await bench.pass_time(timedelta(seconds=50))
        assert bench.listener.status.quiet < timedelta(seconds=20)

        wire.next("ReceiveMessage", *[AwsTransientError("away", code="Gone")] * 100)
        await bench.pass_time(timedelta(seconds=50))

        assert timedelta(seconds=30) < bench.listener.status.quiet <= timedelta(seconds=70)

    async def test_a_dependency_that_is_away(self, make_bench, handler):
        away = DependencyError("the store does not answer")
        handler.then("a1", *[Paused(error=away)] * 5)
        bench = await make_bench()
        await bench.send("a1", group=by_letter)

        assert bench.listener.status.state is ListenerState.PAUSED
        assert bench.listener.status.error is away
        await bench.pass_time(timedelta(minutes=2))
        assert bench.listener.status.state is ListenerState.RECEIVING

    @pytest.mark.parametrize(
        ("code", "state"),
        [
            ("QueueDoesNotExist", ListenerState.MISCONFIGURED),
            ("AccessDeniedException", ListenerState.MISCONFIGURED),
            ("OverLimit", ListenerState.UNREACHABLE),
            ("ServiceUnavailable", ListenerState.UNREACHABLE),
        ],
    )
    async def test_a_queue_that_cannot_be_received_from(self, make_bench, wire, code, state):
        answer = (400, {"__type": f"com.amazonaws.sqs#{code}", "message": "no"})
        wire.next("ReceiveMessage", *[answer] * 3)
        bench = await make_bench()
        await bench.pass_time(timedelta(seconds=5))
        assert bench.listener.status.state is state
        assert bench.listener.status.error.code == code

        await bench.pass_time(timedelta(minutes=3))
        assert bench.listener.status.state is ListenerState.RECEIVING
        assert bench.listener.status.error is None

    async def test_a_listener_that_stopped(self, make_bench):
        bench = await make_bench()
        bench.listener.stop()
        assert bench.listener.status.state is ListenerState.STOPPED


async def test_stopping_does_not_wait_for_a_later_try(make_bench, handler):
    bench = await make_bench()
    handler.then("a1", failed(delay=timedelta(seconds=50), asked=True))
    await bench.send("a1", group=by_letter)

    bench.listener.stop()
    await bench.rest()
    await asyncio.wait_for(bench.listener.finished(), 1)
    assert await bench.count() == (1, 0)


async def test_what_does_not_end_in_time_is_handed_back(make_bench, handler, caplog):
    bench = await make_bench()
    handler.hold("a1")
    await bench.send("a1", "a2", group=by_letter)
    bench.listener.stop()
    bench.task.cancel()
    with suppress(asyncio.CancelledError):
        await bench.task
    await bench.listener.hand_back()

    assert handler.ended == []
    assert await bench.count() == (2, 0)


@pytest.fixture(autouse=True)
def warnings(caplog):
    caplog.set_level(logging.WARNING, "sourceflow")


@pytest.fixture(autouse=True)
def no_linger(monkeypatch):
    """Acknowledgements leave at once: they would linger in real time."""
    monkeypatch.setattr(acknowledger, "LINGER", 0.0)


async def test_what_is_in_progress_elsewhere_waits_leased_and_is_no_try(make_bench, handler):
    """However long: the crash net of SQS, which counts receives, sees one."""
    bench = await make_bench(max_attempts=1)
    handler.then("a1", *[InProgress(delay=timedelta(seconds=20))] * 30)
    await bench.send("a1", "a2", group=by_letter)

    await bench.pass_time(timedelta(seconds=590))
    assert handler.began == ["a1"] * 30
    assert {delivery.attempt for delivery in handler.deliveries} == {1}

    await bench.pass_time(timedelta(seconds=10))
    assert handler.began == [*["a1"] * 31, "a2"]
    assert await bench.count() == (0, 0)
    assert await bench.dead_letters() == []


async def test_what_is_in_progress_for_long_is_handed_back_for_that_time(make_bench, handler):
    bench = await make_bench(max_attempts=1)
    handler.then("a1", InProgress(delay=timedelta(minutes=5)))
    await bench.send("a1", group=by_letter)
    await bench.pass_time(timedelta(minutes=4))

    assert handler.began == ["a1"]
    assert len(bench.leases) == 0

    await bench.pass_time(timedelta(minutes=2))
    assert handler.began == ["a1"] * 2
    assert await bench.dead_letters() == []
