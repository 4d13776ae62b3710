from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from sourceflow.bus.due import due_time

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_delay_counts_from_now():
    assert due_time(timedelta(hours=2), None, now=NOW) == datetime(2026, 1, 1, 14, tzinfo=UTC)


def test_a_time_of_any_zone_is_kept_in_utc():
    berlin = timezone(timedelta(hours=1))

    due = due_time(None, datetime(2026, 1, 1, 14, tzinfo=berlin), now=NOW)

    assert due == datetime(2026, 1, 1, 13, tzinfo=UTC)
    assert due.tzinfo is UTC


@pytest.mark.parametrize(
    ("delay", "at"),
    [
        (None, None),
        (timedelta(0), None),
        (None, NOW),
        (None, NOW - timedelta(days=1)),
        (None, datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))),
    ],
)
def test_what_is_not_in_the_future_is_sent_at_once(delay, at):
    assert due_time(delay, at, now=NOW) is None


@pytest.mark.parametrize(
    ("delay", "at", "told"),
    [
        (timedelta(0), NOW, "not both"),
        (timedelta(seconds=-1), None, "zero or more"),
        (None, datetime(2027, 1, 1), "time zone"),  # noqa: DTZ001 - a time without a zone is the fault
        (timedelta.max, None, "9999"),
        (None, datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "9999"),
    ],
)
def test_what_says_no_time_is_refused(delay, at, told):
    with pytest.raises(ValueError, match=told):
        due_time(delay, at, now=NOW)
