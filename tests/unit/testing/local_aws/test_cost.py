"""What LocalAws costs: an operation does not cost more when more messages wait, and memory is bounded."""

from __future__ import annotations

import gc
import statistics
import time

import pytest

BACKLOG = 100_000
LIMIT = 1.2
#: Noise of the machine can only make a backlog look dearer: one measurement of these must do.
ATTEMPTS = 3
ROUNDS = 25
TRIPS = 20
#: Seconds by LocalAws's clock at which the trips are made.
NOW = 10.0

KINDS = {
    "standard": ({}, lambda at: {}),
    "fifo, one group each": (
        {"FifoQueue": "true"},
        lambda at: {"group": str(at), "deduplication_id": str(at)},
    ),
    "fifo, one group": (
        {"FifoQueue": "true"},
        lambda at: {"group": "g", "deduplication_id": str(at)},
    ),
    "standard, delayed": ({}, lambda at: {"delay": 900}),
}


def fill(core, parameters, count):
    for at in range(count):
        core.queue.send("waits", {}, now=0.0, **parameters(at))


class Trips:
    """Sends, receives and deletes ten messages at a time."""

    def __init__(self, core):
        self._core = core
        self._sent = 0

    def run(self):
        """Return the CPU seconds of some trips."""
        began = time.process_time()
        for _ in range(TRIPS):
            self._trip()
        return time.process_time() - began

    def _trip(self):
        core, entries = self._core, []
        for at in range(10):
            self._sent += 1
            entries.append({"Id": str(at), "MessageBody": "new"})
            if core.name.endswith(".fifo"):
                name = f"new-{self._sent}"
                entries[-1] |= {"MessageGroupId": name, "MessageDeduplicationId": name}
        core.call("SendMessageBatch", NOW, QueueUrl=core.url, Entries=entries)
        messages = core.receive(NOW)
        entries = [
            {"Id": str(at), "ReceiptHandle": message["ReceiptHandle"]}
            for at, message in enumerate(messages)
        ]
        assert len(entries) == 10
        core.call("DeleteMessageBatch", NOW, QueueUrl=core.url, Entries=entries)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_backlog_of_100_000_makes_no_operation_cost_more_than_1_2_times_as_much(make_core, kind):
    attributes, parameters = KINDS[kind]
    few, many = make_core(**attributes), make_core(**attributes)
    fill(many, parameters, BACKLOG)
    without, with_backlog = Trips(few), Trips(many)
    for _ in range(ATTEMPTS):
        ratio = median_ratio(without, with_backlog)
        if ratio <= LIMIT:
            return
    pytest.fail(f"with {BACKLOG:,} waiting it costs {ratio:.2f} times what it costs alone")


def median_ratio(without, with_backlog):
    """Measure both in turn, so that what disturbs one disturbs the other."""
    gc.collect()
    gc.disable()  # a collection looks at the whole heap of the test run
    try:
        without.run(), with_backlog.run()
        pairs = [(without.run(), with_backlog.run()) for _ in range(ROUNDS)]
    finally:
        gc.enable()
    return statistics.median(many / few for few, many in pairs)


def test_ids_are_forgotten_after_the_window(make_core):
    core = make_core(FifoQueue="true")
    for at in range(3_000):
        core.queue.send("x", {}, now=float(at), group="g", deduplication_id=str(at))
    assert len(core.queue._deduplication) == 300


def test_attempts_are_forgotten_after_the_window(make_core):
    core = make_core(FifoQueue="true", VisibilityTimeout="0")
    core.queue.send("x", {}, now=0.0, group="g", deduplication_id="d")
    for at in range(1_000):
        assert core.queue.receive(1, now=float(at), attempt=str(at))
    assert len(core.queue._attempts) == 300


def test_what_was_deleted_leaves_nothing_behind_though_an_old_message_stays(make_core):
    core = make_core(VisibilityTimeout="43200")
    core.queue.send("stays", {}, now=0.0, delay=900)
    for _ in range(500):
        for _ in range(10):
            core.queue.send("goes", {}, now=1.0)
        core.delete(core.receive(1.0), 1.0)
    assert len(core.queue._messages) == 1
    assert core.queue._hidden.entries <= core.queue._hidden.SMALL


def test_a_message_that_is_hidden_again_and_again_is_kept_once(make_core):
    core = make_core()
    core.queue.send("x", {}, now=0.0)
    (message,) = core.receive(0.0)
    for at in range(5_000):
        core.queue.change_visibility(message["ReceiptHandle"], 40_000, float(at % 60))
    assert core.queue._hidden.entries <= core.queue._hidden.SMALL
    assert core.queue.in_flight == 1


def test_a_queue_that_nobody_reads_holds_no_more_than_its_retention(make_core):
    core = make_core(MessageRetentionPeriod="60")
    for at in range(1_000):
        core.queue.send("x", {}, now=float(at))
        core.queue.advance(float(at))
    assert core.queue.visible == 60
    assert len(core.queue._backlog._messages) <= 62
