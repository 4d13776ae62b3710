"""What a database may be asked to keep to."""

from __future__ import annotations

from datetime import timedelta

__all__ = ("check_limits",)


def check_limits(*, pool_size: int, timeout: timedelta) -> None:
    """Check the limits of a database.

    Args:
        pool_size: Connections at most.
        timeout: How long one statement, or getting hold of the database, may take.

    Raises:
        TypeError: One is of the wrong type.
        ValueError: There would be no connection, or no time.
    """
    if not isinstance(pool_size, int) or isinstance(pool_size, bool):
        raise TypeError(f"pool_size is a whole number, not {type(pool_size).__name__}")
    if pool_size < 1:
        raise ValueError(f"pool_size is at least 1, not {pool_size}")
    if not isinstance(timeout, timedelta):
        raise TypeError(f"timeout is a timedelta, not {type(timeout).__name__}")
    if timeout <= timedelta(0):
        raise ValueError(f"timeout is more than nothing, not {timeout}")
