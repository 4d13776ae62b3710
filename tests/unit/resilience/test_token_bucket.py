from __future__ import annotations

import pytest

from sourceflow.resilience import TokenBucket


def test_it_starts_full():
    assert TokenBucket(10).available == 10


def test_taking_lowers_what_is_available():
    bucket = TokenBucket(10)
    assert bucket.take(4)
    assert bucket.available == 6


def test_more_than_is_left_is_not_taken_in_part():
    bucket = TokenBucket(10)
    assert not bucket.take(11)
    assert bucket.available == 10


def test_what_is_given_back_can_be_taken_again():
    bucket = TokenBucket(10)
    bucket.take(10)
    bucket.give_back(3)
    assert bucket.available == 3


def test_it_never_holds_more_than_its_capacity():
    bucket = TokenBucket(10)
    bucket.take(1)
    bucket.give_back(5)
    bucket.give_back(5)
    assert bucket.available == 10


def test_a_capacity_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="capacity must be positive"):
        TokenBucket(0)
