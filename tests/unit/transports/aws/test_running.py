from __future__ import annotations

import pytest

from aws_engine.wire import Fault
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
