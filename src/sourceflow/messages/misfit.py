"""What does not fit a type and where, told without a value of the message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import msgspec

__all__ = ("field_of", "scrub")

_PLACE: Final = re.compile(r" - at (?:`key` in )?`\$([\w.\[\]]*)`$")
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_TELLING: Final = ("Invalid value", "Invalid enum value", "Object contains unknown field")


def scrub(error: msgspec.ValidationError) -> str:
    """Return what does not fit and where, without a value of the message.

    Texts of msgspec tell of types; those that go on with a value are cut short, and so is what a
    class's own ``__post_init__`` raised.
    """
    text = str(error)
    place = _PLACE.search(text)
    where = "" if place is None else place[0]
    if error.__cause__ is not None:
        return f"a check of its own class refuses it{where}"
    for beginning in _TELLING:
        if text.startswith(beginning):
            return f"{beginning}{where}"
    return text


def field_of(error: msgspec.ValidationError) -> str | None:
    """Return the field that does not fit (``lines[0].price``), or None where it is the whole."""
    text = str(error)
    place = _PLACE.search(text)
    path = "" if place is None else place[1]
    missing = _MISSING.match(text)
    if missing is not None:
        path = f"{path}.{missing[1]}"
    return path.removeprefix(".") or None
