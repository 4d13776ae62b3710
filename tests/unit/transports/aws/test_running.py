from __future__ import annotations

import pytest

from aws_engine.wire import Fault
from aws_engine.worker import STANDARD
from aws_engine.world import World


@pytest.fixture
def world():
    world = World(shares_stores=False)
    yield world
    world.close()


def test_a_receive_that_failed_is_not_made_again_once_the_worker_stops(world):
    world.start_worker()
    [worker] = world.workers
    worker.wire.faults["ReceiveMessage"] = Fault("refused", 50)
    world.pass_time(20.3)  # the first long polls are over
    world.stop_worker(worker, to_the_end=True)

    assert world.ledger.violations == []


def test_a_lease_that_is_lost_while_its_message_is_given_up_is_not_acknowledged(world):
    world.start_worker()
    [worker] = world.workers
    world.send(worker, STANDARD, [("a", [("reject", 12)])])
    worker.wire.faults["SendMessageBatch"] = Fault("slow", 5)
    world.pass_time(1)
    [held] = world.in_flight()
    world.steal(held)
    world.pass_time(25)

    assert held.lost is not None
    assert not held.delete_asked
    assert world.ledger.violations == []


def test_a_worker_that_is_cut_off_ends_its_handlers_before_their_leases_end(world):
    world.start_worker()
    [worker] = world.workers
    world.send(worker, STANDARD, [("a", [("succeed", 100)])])
    worker.wire.cut_until = 200.0
    world.pass_time(20)
    assert len(worker.running) == 1
    world.pass_time(10)

    assert worker.running == []
    assert world.ledger.violations == []
