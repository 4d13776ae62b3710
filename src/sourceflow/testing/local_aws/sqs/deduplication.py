"""Messages that FIFO queues have seen within five minutes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ("DEDUPLICATION_SECONDS", "Deduplication")

SeenT = TypeVar("SeenT")

DEDUPLICATION_SECONDS: Final = 300.0
"""The window; it cannot be set (SQS developer guide, "Exactly-once processing")."""


class Deduplication(Generic[SeenT]):
    """Remembers messages for the window; deleting a message does not end it."""

    __slots__ = ("_ages", "_seen")

    def __init__(self) -> None:
        self._seen: dict[Hashable, SeenT] = {}
        self._ages: deque[tuple[float, Hashable]] = deque()

    def find(self, key: Hashable, now: float) -> SeenT | None:
        """Return the message that was sent with a key within the window."""
        while self._ages and self._ages[0][0] <= now:
            _, old = self._ages.popleft()
            self._seen.pop(old, None)
        return self._seen.get(key)

    def put(self, key: Hashable, message: SeenT, now: float) -> None:
        """Remember a message."""
        self._seen[key] = message
        self._ages.append((now + DEDUPLICATION_SECONDS, key))
