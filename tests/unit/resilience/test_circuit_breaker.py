from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.resilience import CircuitBreaker, CircuitOptions, CircuitState, CircuitStatistics

ERROR = ConnectionError("reset")
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


class Time:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def of_day(self):
        return NOON + timedelta(seconds=self.now - 1000)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def changes():
    return []


@pytest.fixture
def circuit(time, changes):
    return CircuitBreaker(
        "orders.fifo",
        monotonic=time,
        options=CircuitOptions(on_change=changes.append),
        now=time.of_day,
    )


def fail(circuit, times=1):
    for _ in range(times):
        circuit.fail(circuit.enter(), ERROR)


def succeed(circuit, times=1):
    for _ in range(times):
        circuit.succeed(circuit.enter())


def states(changes):
    return [(change.previous.value, change.state.value) for change in changes]


def test_five_failures_in_a_row_open_it(circuit, changes):
    fail(circuit, 4)
    assert circuit.state is CircuitState.CLOSED
    fail(circuit)

    assert circuit.state is CircuitState.OPEN
    assert states(changes) == [("closed", "open")]
    assert (changes[0].name, changes[0].error) == ("orders.fifo", ERROR)


def test_a_success_in_between_begins_the_count_anew(circuit):
    fail(circuit, 4)
    succeed(circuit)
    fail(circuit, 4)

    assert circuit.state is CircuitState.CLOSED


def test_open_it_refuses_and_says_how_long(circuit, time):
    fail(circuit, 5)
    time.now += 20

    assert circuit.enter() == timedelta(seconds=40)


def test_it_is_half_open_when_its_time_is_over_also_for_who_only_looks(circuit, time):
    fail(circuit, 5)
    time.now += 60

    assert circuit.state is CircuitState.HALF_OPEN


def test_half_open_it_lets_one_probe_through_at_a_time(circuit, time):
    fail(circuit, 5)
    time.now += 60
    probe = circuit.enter()

    assert isinstance(circuit.enter(), timedelta)
    circuit.succeed(probe)
    assert isinstance(circuit.enter(), int)


def test_two_probes_that_succeed_close_it(circuit, time, changes):
    fail(circuit, 5)
    time.now += 60
    succeed(circuit)
    assert circuit.state is CircuitState.HALF_OPEN
    succeed(circuit)

    assert circuit.state is CircuitState.CLOSED
    assert states(changes) == [("closed", "open"), ("half-open", "closed")]


def test_a_probe_that_fails_opens_it_for_the_whole_time_again(circuit, time):
    fail(circuit, 5)
    time.now += 60
    succeed(circuit)
    fail(circuit)

    assert circuit.enter() == timedelta(seconds=60)
    time.now += 60
    succeed(circuit)
    assert circuit.state is CircuitState.HALF_OPEN  # the count began anew


def test_a_call_that_says_nothing_changes_nothing(circuit, time):
    fail(circuit, 4)
    circuit.leave(circuit.enter())
    fail(circuit)
    assert circuit.state is CircuitState.OPEN
    time.now += 60
    circuit.leave(circuit.enter())

    assert isinstance(circuit.enter(), int)  # the next one is the probe


def test_calls_from_before_it_opened_change_nothing_any_more(circuit, time):
    early = [circuit.enter() for _ in range(3)]
    fail(circuit, 5)
    time.now += 60
    probe = circuit.enter()
    circuit.succeed(early[0])
    circuit.fail(early[1], ERROR)
    circuit.leave(early[2])

    assert circuit.state is CircuitState.HALF_OPEN
    assert isinstance(circuit.enter(), timedelta)  # the probe is still under way
    circuit.succeed(probe)


def test_it_is_opened_and_closed_by_hand(circuit, time, changes):
    circuit.trip()
    circuit.trip()
    assert circuit.state is CircuitState.OPEN
    time.now += 60
    circuit.succeed(circuit.enter())
    circuit.trip()
    circuit.reset()
    circuit.reset()

    assert circuit.state is CircuitState.CLOSED
    assert states(changes) == [("closed", "open"), ("half-open", "open"), ("open", "closed")]
    fail(circuit, 4)
    assert circuit.state is CircuitState.CLOSED


def test_it_counts(circuit):
    succeed(circuit, 2)
    fail(circuit, 5)
    circuit.enter()

    assert circuit.statistics == CircuitStatistics(
        state=CircuitState.OPEN,
        succeeded=2,
        failed=5,
        refused=1,
        opened=1,
        in_a_row=0,
        last_error=ERROR,
        failed_at=NOON,
        changed_at=NOON,
    )


def test_it_tells_when_it_changed_and_when_it_failed(circuit, time, changes):
    assert (circuit.statistics.failed_at, circuit.statistics.changed_at) == (None, None)
    fail(circuit, 4)
    time.now += 1
    fail(circuit)
    time.now += 60
    succeed(circuit)
    time.now += 1
    succeed(circuit)

    opened, closed = NOON + timedelta(seconds=1), NOON + timedelta(seconds=62)
    assert [change.at for change in changes] == [opened, closed]
    assert circuit.statistics.failed_at == opened
    assert circuit.statistics.changed_at == closed


def test_without_a_clock_of_ones_own_it_is_the_time_of_day(time):
    circuit = CircuitBreaker("orders", monotonic=time)
    before = datetime.now(UTC)
    circuit.trip()

    assert before <= circuit.statistics.changed_at <= datetime.now(UTC)


def test_who_listens_to_changes_cannot_break_calls(time, caplog):
    def broken(change):
        raise ZeroDivisionError

    circuit = CircuitBreaker("orders", monotonic=time, options=CircuitOptions(on_change=broken))
    fail(circuit, 5)

    assert circuit.state is CircuitState.OPEN
    assert "a listener of the circuit orders failed" in caplog.text


@pytest.mark.parametrize(
    "setting", [{"failures": 0}, {"successes": 0}, {"open_for": timedelta(0)}], ids=repr
)
def test_settings_that_make_no_sense_are_refused(time, setting):
    with pytest.raises(ValueError, match="at least 1"):
        CircuitBreaker("orders", monotonic=time, options=CircuitOptions(**setting))


@given(st.lists(st.sampled_from(["call", "succeed", "fail", "leave", "wait", "trip", "reset"])))
def test_never_two_probes_are_under_way(steps):
    time, under_way = Time(), []
    circuit = CircuitBreaker("orders", monotonic=time, options=CircuitOptions(failures=2))
    for step in steps:
        state = circuit.state
        if step == "call":
            ticket = circuit.enter()
            if isinstance(ticket, int):
                assert state is not CircuitState.OPEN
                assert state is CircuitState.CLOSED or ticket not in under_way
                under_way.append(ticket)
        elif step == "wait":
            time.now += 30
        elif step in {"trip", "reset"}:
            getattr(circuit, step)()
        elif under_way:
            ticket = under_way.pop(0)
            circuit.fail(ticket, ERROR) if step == "fail" else getattr(circuit, step)(ticket)
