from __future__ import annotations

from sourceflow.bus.ports import Depth


def test_a_queues_total_counts_what_waits_what_is_handled_and_what_is_delayed():
    assert Depth("orders.fifo", visible=1, in_flight=20, delayed=300).total == 321
