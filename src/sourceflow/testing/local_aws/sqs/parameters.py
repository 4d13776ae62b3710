"""Checks of request parameters that several operations have in common."""

from __future__ import annotations

from sourceflow.testing.local_aws.errors import AwsFault

__all__ = ("check_range",)


def check_range(name: str, value: int | None, least: int, most: int) -> None:
    """Check a number that need not be given.

    Raises:
        AwsFault: It is out of range.
    """
    if value is not None and not least <= value <= most:
        raise AwsFault(
            "InvalidParameterValue",
            f"Value {value} for parameter {name} is invalid. Reason: Must be between {least} and "
            f"{most}, if provided.",
        )
