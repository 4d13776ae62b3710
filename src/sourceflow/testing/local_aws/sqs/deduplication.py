"""What was seen within five minutes, by an id."""

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
    """Remembers for the window, from the first time on; deleting a message does not end it."""

    __slots__ = ("_ages", "_seen")

    def __init__(self) -> None:
        self._seen: dict[Hashable, SeenT] = {}
        self._ages: deque[tuple[float, Hashable]] = deque()

    def find(self, key: Hashable, now: float) -> SeenT | None:
        """Return what was put under a key within the window."""
        self._forget(now)
        return self._seen.get(key)

    def put(self, key: Hashable, seen: SeenT, now: float) -> None:
        """Remember something; a key that is known keeps its time."""
        self._forget(now)
        if key not in self._seen:
            self._ages.append((now + DEDUPLICATION_SECONDS, key))
        self._seen[key] = seen

    def _forget(self, now: float) -> None:
        while self._ages and self._ages[0][0] <= now:
            _, key = self._ages.popleft()
            del self._seen[key]

    def __len__(self) -> int:
        return len(self._seen)
