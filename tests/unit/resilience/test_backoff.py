from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.resilience import Backoff

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(0, 1), (1, 2), (2, 4), (4, 16), (5, 20), (5000, 20)]
)
def test_the_ceiling_doubles_up_to_the_cap(attempt, seconds):
    backoff = Backoff(base=SECOND, cap=20 * SECOND)
    assert backoff.ceiling(attempt) == seconds * SECOND


@pytest.mark.parametrize(("drawn", "seconds"), [(0.0, 0), (0.25, 1), (0.5, 2)])
def test_the_delay_is_the_drawn_share_of_the_ceiling(drawn, seconds):
    backoff = Backoff(base=SECOND, random=lambda: drawn)
    assert backoff.delay(2) == seconds * SECOND


@given(st.integers(0, 2000))
def test_a_delay_lies_between_zero_and_the_ceiling(attempt):
    backoff = Backoff()
    assert timedelta(0) <= backoff.delay(attempt) <= backoff.ceiling(attempt)


@pytest.mark.parametrize("base", [timedelta(0), -SECOND])
def test_a_base_that_is_not_longer_than_zero_is_refused(base):
    with pytest.raises(ValueError, match="base must be longer than zero"):
        Backoff(base=base)


def test_a_cap_below_the_base_is_refused():
    with pytest.raises(ValueError, match="must not be shorter than base"):
        Backoff(base=2 * SECOND, cap=SECOND)
