"""Durations as people write them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

__all__ = ("read_duration", "write_duration")

_NUMBER: Final = r"(\d+(?:\.\d+)?)"

_UNITS: Final = {
    "ms": "milliseconds",
    "s": "seconds",
    "sec": "seconds",
    "second": "seconds",
    "m": "minutes",
    "min": "minutes",
    "minute": "minutes",
    "h": "hours",
    "hour": "hours",
    "d": "days",
    "day": "days",
}
_PART: Final = re.compile(rf"{_NUMBER}\s*([a-z]+)")

#: ISO 8601 without years and months: nobody can say how long those are.
_ISO: Final = re.compile(
    rf"P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?"
)
_ISO_UNITS: Final = ("weeks", "days", "hours", "minutes", "seconds")


def read_duration(text: str) -> timedelta:
    """Read ``30s``, ``5 min``, ``1h 30m``, ``250 ms`` or, of ISO 8601, ``PT30S``.

    Raises:
        ValueError: It is none, or longer than there is.
    """
    text = text.strip()
    try:
        return _iso(text) if text.startswith("P") else _parts(text.lower())
    except OverflowError:
        raise ValueError("longer than there is") from None


def _iso(text: str) -> timedelta:
    found = _ISO.fullmatch(text)
    if found is None or not any(found.groups()) or text.endswith("T"):
        raise ValueError("no duration")
    parts = zip(_ISO_UNITS, found.groups(), strict=True)
    return timedelta(**{unit: float(number) for unit, number in parts if number})


def _parts(text: str) -> timedelta:
    total = timedelta(0)
    end = 0
    for part in _PART.finditer(text):
        unit = _UNITS.get(part[2]) or _UNITS.get(part[2].removesuffix("s"))
        if unit is None or text[end : part.start()].strip():
            raise ValueError("no duration")
        total += timedelta(**{unit: float(part[1])})
        end = part.end()
    if not end or text[end:].strip():
        raise ValueError("no duration")
    return total


def write_duration(duration: timedelta) -> str:
    """Write a duration so that ``read_duration`` reads the same, in the unit that suits it."""
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        length = timedelta(seconds=seconds)
        if not duration % length and (duration or unit == "s"):
            return f"{duration // length} {unit}"
    return f"{duration / timedelta(milliseconds=1):.3f}".rstrip("0").rstrip(".") + " ms"
