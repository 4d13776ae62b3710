"""What an App may be called, and how its parts are named to people."""

from __future__ import annotations

import re
from typing import Final

__all__ = ("check_app_name", "shown")

_APP_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_app_name(name: str) -> None:
    """Check that a name can be part of a queue's name.

    Raises:
        ValueError: It cannot.
    """
    if not isinstance(name, str) or not _APP_NAME.fullmatch(name):
        raise ValueError(
            f"the App's name {name!r} must be 1 to 64 letters, digits, '-' or '_', and begin with "
            "a letter or digit: it becomes part of its event queue's name"
        )


def shown(value: object) -> str:
    """Return the name of a class, or what a thing that is none looks like."""
    return getattr(value, "__qualname__", repr(value))
