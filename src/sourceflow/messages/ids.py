"""Message ids: UUIDs of version 7, which sort by time (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
import time
from random import Random
from typing import Final

__all__ = ("MessageIds", "new_message_id")

_RANDOM: Final = Random()  # ids must be unlike each other, not unguessable
if hasattr(os, "register_at_fork"):  # where there is no fork, there is nothing to do
    os.register_at_fork(after_in_child=_RANDOM.seed)
_RANDOM_BITS: Final = 74
_STEP_BITS: Final = 32
_NODE_BITS: Final = 48
"""The bits behind the last hyphen."""

_NODE: Final = (1 << _NODE_BITS) - 1
_VERSION: Final = 0x7000
_VARIANT: Final = 0x8000
_VARIANT_BITS: Final = 14


class MessageIds:
    """Makes ids that grow within the process, also within one millisecond.

    The 74 bits behind the time are random at the first id of a millisecond and go up by a random
    step after that (RFC 9562, section 6.2, method 2). Ids of one millisecond mostly differ behind
    the last hyphen only, so what stands before it is kept as text.
    """

    __slots__ = ("_beginning", "_milliseconds", "_tail")

    def __init__(self) -> None:
        self._milliseconds = 0
        self._tail = 0
        self._beginning = ""

    def new(self) -> str:
        """Return a new id in its hyphenated form."""
        milliseconds = time.time_ns() // 1_000_000
        if milliseconds > self._milliseconds:
            tail = _RANDOM.getrandbits(_RANDOM_BITS)
        else:
            milliseconds = self._milliseconds
            tail = self._tail + 1 + _RANDOM.getrandbits(_STEP_BITS)
            if tail >> _RANDOM_BITS:  # used up: borrow the next millisecond
                milliseconds += 1
                tail = _RANDOM.getrandbits(_RANDOM_BITS)
        if milliseconds != self._milliseconds or tail >> _NODE_BITS != self._tail >> _NODE_BITS:
            self._beginning = _beginning(milliseconds, tail >> _NODE_BITS)
        self._milliseconds, self._tail = milliseconds, tail
        return f"{self._beginning}-{tail & _NODE:012x}"


def _beginning(milliseconds: int, head: int) -> str:
    """Return what stands before the last hyphen."""
    digits = f"{milliseconds:012x}"
    version = _VERSION | head >> _VARIANT_BITS
    variant = _VARIANT | head & ((1 << _VARIANT_BITS) - 1)
    return f"{digits[:8]}-{digits[8:]}-{version:04x}-{variant:04x}"


new_message_id = MessageIds().new
"""Return a new id: a UUID of version 7. Ids of one process grow."""
