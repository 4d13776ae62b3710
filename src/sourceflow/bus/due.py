"""When a command is due that is not sent at once."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ("due_time",)


def due_time(delay: timedelta | None, at: datetime | None, *, now: datetime) -> datetime | None:
    """Return when a command is due, in UTC; None for one that is sent at once.

    Args:
        delay: How long it waits.
        at: Until when it waits; a time that is past means at once.
        now: The time.

    Raises:
        ValueError: Both are given, the delay is negative, the time has no zone, or it is beyond
            the year 9999.
    """
    if delay is not None and at is not None:
        raise ValueError("a command has a delay or a time it is sent at, not both")
    if delay is not None and delay < timedelta(0):
        raise ValueError(f"delay is zero or more, not {delay}")
    if at is not None and at.utcoffset() is None:
        raise ValueError(f"at needs a time zone: {at.isoformat()} has none")
    try:
        due = at if delay is None else now + delay
        return None if due is None or due <= now else due.astimezone(UTC)
    except OverflowError:
        raise ValueError("a command cannot wait beyond the year 9999") from None
