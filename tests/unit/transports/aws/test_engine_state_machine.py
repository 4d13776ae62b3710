"""Whatever breaks, in whatever order, between senders, queues and workers: the promises hold."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aws_engine.ledger import UNDECODABLE
from aws_engine.wire import KINDS, Fault
from aws_engine.worker import FIFO, STANDARD
from aws_engine.world import World
from run_size import FULL, sized

#: Seconds in which a message is handled whose group has nothing else to do, besides the time that
#: other handlers run: a queue that was away is asked again, a database that was away is probed again.
SOON = 120

queues = st.sampled_from((FIFO, FIFO, STANDARD))
keys = st.sampled_from(("a", "b", "c"))
picks = st.integers(0, 1_000)
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ("succeed", "succeed", "fail", "fail", "later", "much later", "reject", "discard")
        ),
        st.sampled_from((0, 0, 0.02, 1, 8, 50, 120)),
    ),
    max_size=5,
)
faults = st.none() | st.builds(Fault, st.sampled_from(KINDS), st.sampled_from((1, 2, 5, 20)))
operations = st.sampled_from(
    ("SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch")
)


def pick(options, index):
    return options[index % len(options)]


def break_sends(worker, fault):
    if fault is not None:
        worker.wire.faults["SendMessageBatch"] = fault


class Engine(RuleBasedStateMachine):
    world = None

    @initialize(shares_stores=st.booleans(), workers=st.integers(1, 2))
    def begin(self, shares_stores, workers):
        self.world = World(shares_stores=shares_stores)
        for _ in range(workers):
            self.world.start_worker()

    def teardown(self):
        if self.world is None:
            return
        try:
            self.world.drain()
            self.nothing_is_lost()
            for worker in self.world.serving:
                self.world.stop_worker(worker, to_the_end=True)
            self.no_promise_is_broken()
        finally:
            self.world.close()

    def nothing_is_lost(self):
        ledger = self.world.ledger
        assert not [tag for tag in ledger.accepted if not ledger.kept(tag)]
        junk = {tag for tag in ledger.accepted if tag.startswith((*UNDECODABLE, "unknown"))}
        assert not junk & ledger.effects.keys()

    # -- what may happen

    @precondition(lambda self: self.world.serving)
    @rule(
        which=picks,
        queue=queues,
        what=st.lists(st.tuples(keys, steps), min_size=1, max_size=12),
        fault=faults,
    )
    def send(self, which, queue, what, fault):
        worker = pick(self.world.serving, which)
        break_sends(worker, fault)
        self.world.send(worker, queue, what)

    @rule(queue=queues, kind=st.sampled_from(("garbage", "wrong kind", "unknown")), key=keys)
    def send_junk(self, queue, kind, key):
        self.world.send_junk(queue, kind, key)

    @rule(seconds=st.sampled_from((0.002, 0.02, 0.3, 1, 4, 16, 35, 70, 200)))
    def let_time_pass(self, seconds):
        self.world.pass_time(seconds)

    @precondition(lambda self: self.world.serving)
    @rule(which=picks, operation=operations, fault=faults.filter(bool))
    def let_calls_fail(self, which, operation, fault):
        pick(self.world.serving, which).wire.faults[operation] = fault

    @precondition(lambda self: self.world.serving)
    @rule(
        which=picks,
        seconds=st.sampled_from((3, 20, 50)),
        passing=st.sampled_from((0, 10, 33, 41, 60)),
    )
    def cut_a_worker_off(self, which, seconds, passing):
        worker = pick(self.world.serving, which)
        worker.wire.cut_until = self.world.loop.time() + seconds
        self.world.pass_time(passing)

    @precondition(lambda self: self.world.in_flight())
    @rule(which=picks)
    def end_a_lease(self, which):
        self.world.steal(pick(self.world.in_flight(), which))

    @rule(seconds=st.sampled_from((2, 40, 300)))
    def take_the_database_away(self, seconds):
        self.world.script.away_until = self.world.loop.time() + seconds

    @precondition(lambda self: len(self.world.workers) < 3)
    @rule()
    def start_a_worker(self):
        self.world.start_worker()

    @precondition(lambda self: self.world.serving)
    @rule(which=picks, to_the_end=st.booleans())
    def stop_a_worker(self, which, to_the_end):
        self.world.stop_worker(pick(self.world.serving, which), to_the_end=to_the_end)

    @precondition(lambda self: self.world.workers)
    @rule(which=picks)
    def kill_a_worker(self, which):
        self.world.kill_worker(pick(self.world.workers, which))

    @precondition(lambda self: self.world.serving)
    @rule(which=picks, queue=queues, next_steps=steps, fault=faults)
    def redrive(self, which, queue, next_steps, fault):
        worker = pick(self.world.serving, which)
        break_sends(worker, fault)
        self.world.redrive(worker, queue, next_steps)

    @precondition(lambda self: self.world.serving and self.world.is_sound())
    @rule(which=picks, queue=queues, stuck=st.sampled_from((0, 8, 24)))
    def other_keys_go_on(self, which, queue, stuck):
        """What holds up the messages of a key holds up no other."""
        worker = pick(self.world.serving, which)
        again_and_again = [("later", 0)] * 5
        if stuck:
            self.world.send(worker, queue, [("a", again_and_again), ("b", again_and_again)] * stuck)
        soon = SOON + self.world.script.work_left()
        (tag,) = self.world.send(worker, queue, [(self.world.new_tag("key"), ())])
        self.world.pass_time(soon)
        ledger = self.world.ledger
        assert tag in ledger.effects or tag not in ledger.accepted, f"{tag} is held up"

    # -- what must hold

    @invariant()
    def no_promise_is_broken(self):
        if self.world is not None:
            self.world.bury()
            self.world.ledger.check(self.world.workers)


# The same histories in each run, and others each time in a full one.
Engine.TestCase.settings = settings(
    max_examples=sized(100, 3_000),
    stateful_step_count=sized(30, 50),
    derandomize=not FULL,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
Engine.TestCase.pytestmark = [pytest.mark.slow, pytest.mark.timeout(sized(120, 3_600))]
TestEngine = Engine.TestCase
