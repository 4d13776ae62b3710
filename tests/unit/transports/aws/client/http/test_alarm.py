"""A time limit that is moved more often than it is reached, on a loop whose time is ours."""

from __future__ import annotations

import heapq
from itertools import count

import pytest

from sourceflow.transports.aws.client.http.alarm import Alarm


class Timers:
    """The part of a loop that keeps the time."""

    def __init__(self):
        self.now = 0.0
        self.made = 0
        self._order = count()
        self._timers = []

    def time(self):
        return self.now

    def call_at(self, at, callback):
        self.made += 1
        handle = Handle(callback)
        heapq.heappush(self._timers, (at, next(self._order), handle))
        return handle

    def pass_to(self, end):
        while self._timers and self._timers[0][0] <= end:
            self.now, _, handle = heapq.heappop(self._timers)
            if not handle.is_cancelled:
                handle.callback()
        self.now = end


class Handle:
    def __init__(self, callback):
        self.callback = callback
        self.is_cancelled = False

    def cancel(self):
        self.is_cancelled = True


@pytest.fixture
def timers():
    return Timers()


@pytest.fixture
def rung(timers):
    return []


@pytest.fixture
def alarm(timers, rung):
    return Alarm(timers, lambda: rung.append(timers.now))


def test_it_rings_once_at_its_time(alarm, timers, rung):
    alarm.move(5)
    timers.pass_to(20)
    assert rung == [5]


def test_it_rings_at_the_time_it_was_moved_to_last(alarm, timers, rung):
    for at in (5, 9, 3, 7):
        alarm.move(at)
    timers.pass_to(20)
    assert rung == [7]


def test_a_later_time_makes_no_timer(alarm, timers):
    for at in range(5, 100):
        alarm.move(at)
    assert timers.made == 1


def test_once_stopped_it_does_not_ring(alarm, timers, rung):
    alarm.move(5)
    alarm.stop()
    timers.pass_to(10)
    assert rung == []
    alarm.move(12)
    timers.pass_to(20)
    assert rung == [12]
