"""Own events that come back through a queue."""

from __future__ import annotations

from typing import Final

__all__ = ("MAX_EXPECTED", "Expected")

MAX_EXPECTED: Final = 100_000
"""Own events whose return is watched for at most."""


class Expected:
    """Events that this process has published to itself and that have not come back yet.

    Only for knowing when an App is drained: other instances may take them from the shared queue.
    """

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, message_id: str) -> None:
        """Watch for an event; the longest expected is forgotten where there are too many."""
        self._ids[message_id] = None
        if len(self._ids) > MAX_EXPECTED:
            del self._ids[next(iter(self._ids))]

    def arrived(self, message_id: str) -> None:
        """Note that an event is settled: handled, or kept as a dead letter."""
        self._ids.pop(message_id, None)
