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
_VERSION: Final = 0x7000
_VARIANT: Final = 0b10 << 62
_LOW: Final = (1 << 62) - 1


class MessageIds:
    """Makes ids that grow within the process, also within one millisecond.

    The 74 bits behind the time are random at the first id of a millisecond and go up by a random
    step after that (RFC 9562, section 6.2, method 2).
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
        if milliseconds != self._milliseconds:
            digits = f"{milliseconds:012x}"
            self._beginning = f"{digits[:8]}-{digits[8:]}"
        self._milliseconds, self._tail = milliseconds, tail
        low = f"{_VARIANT | tail & _LOW:016x}"
        return f"{self._beginning}-{_VERSION | tail >> 62:x}-{low[:4]}-{low[4:]}"


new_message_id = MessageIds().new
