"""When work in this process is tried again, and when it is given up."""

from __future__ import annotations

from datetime import timedelta

from sourceflow.bus.tries import ASKED_ATTEMPTS, LOCAL_ATTEMPTS, Tries
from sourceflow.errors import Retry

MINUTE = timedelta(minutes=1)


def test_errors_are_tried_again_so_many_times():
    tries = Tries()
    waits = [tries.after(OSError()) for _ in range(LOCAL_ATTEMPTS)]
    assert waits[-1] is None
    assert None not in waits[:-1]
    assert tries.made == LOCAL_ATTEMPTS


def test_what_a_handler_asks_for_is_waited_for_and_has_its_own_limit():
    tries = Tries()
    waits = [tries.after(Retry(MINUTE)) for _ in range(ASKED_ATTEMPTS)]
    assert waits == [MINUTE] * (ASKED_ATTEMPTS - 1) + [None]
    assert tries.failures == 0


def test_both_are_tries_and_outages_are_none():
    tries = Tries(outages=3)
    tries.after(Retry())
    tries.after(OSError())
    assert tries.made == 2
