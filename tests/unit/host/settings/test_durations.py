"""Durations as people write them, and as they are written back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.host.settings.durations import read_duration, write_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("30 s", 30),
        (" 30 seconds ", 30),
        ("1 second", 1),
        ("5 min", 300),
        ("5m", 300),
        ("2 minutes", 120),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1 day", 86_400),
        ("2d", 172_800),
        ("250ms", 0.25),
        ("0s", 0),
        ("PT30S", 30),
        ("PT0S", 0),
        ("PT0.25S", 0.25),
        ("PT5M", 300),
        ("P1DT12H", 129_600),
        ("P2W", 1_209_600),
    ],
)
def test_a_duration_is_read_in_words_and_in_iso_8601(text, seconds):
    assert read_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "30", "s", "-1s", "30 parsecs", "5 min later", "x 5 min", "1y", "P", "PT", "P1DT", "P1M",
     "P1Y", "PT-5S", "30s,", "1 h, 30 m"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="no duration"):
        read_duration(text)


def test_a_duration_beyond_all_bounds_is_refused():
    with pytest.raises(ValueError, match="longer than there is"):
        read_duration("9999999999 days")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.005, "5 ms"), (1.5, "1500 ms"), (0.000_25, "0.25 ms"), (90, "90 s"), (120, "2 min"), (7200, "2 h"),
     (86_400, "1 d")],
)  # fmt: skip
def test_a_duration_is_written_in_the_unit_that_suits_it(seconds, text):
    assert write_duration(timedelta(seconds=seconds)) == text


@given(st.integers(min_value=0, max_value=10**12))
def test_what_is_written_reads_the_same(microseconds):
    duration = timedelta(microseconds=microseconds)

    assert read_duration(write_duration(duration)) == duration
