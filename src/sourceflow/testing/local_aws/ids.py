"""Ids in the form of UUIDs, made in a fraction of the time."""

from __future__ import annotations

from random import Random

__all__ = ("new_id",)

_bits = Random().getrandbits
_BITS = 128


def new_id() -> str:
    """Return a random id that reads like a UUID of version 4. It need not be hard to guess."""
    text = f"{_bits(_BITS):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
