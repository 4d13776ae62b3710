"""Messages that cannot be received yet, or not now: delayed or in flight."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sourceflow.testing.local_aws.sqs.messages import QueueMessage

__all__ = ("Hidden",)


class Hidden:
    """Tells which messages are to show again, soonest first.

    A message that is hidden anew, shown or deleted leaves its entry in the heap behind;
    ``QueueMessage.hiding`` tells those apart. When most entries are such, the heap is made anew:
    what it holds stays in proportion to what is hidden, and no operation costs more for it.
    """

    __slots__ = ("_count", "_heap")

    #: Entries below which nothing is made anew.
    SMALL = 1_000

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, QueueMessage]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def entries(self) -> int:
        """How many entries the heap holds, those left behind included."""
        return len(self._heap)

    def hide(self, message: QueueMessage, until: float) -> None:
        """Hide a message, or hide it for another time."""
        if message.hidden_until is None:
            self._count += 1
        message.hidden_until = until
        message.hiding += 1
        heapq.heappush(self._heap, (until, message.order, message.hiding, message))
        if len(self._heap) > self.SMALL and len(self._heap) > 2 * self._count:
            self._heap = [entry for entry in self._heap if _is_current(entry)]
            heapq.heapify(self._heap)

    def forget(self, message: QueueMessage) -> None:
        """Hide a message no longer."""
        if message.hidden_until is not None:
            message.hidden_until = None
            self._count -= 1

    def take_due(self, now: float) -> Iterator[QueueMessage]:
        """Return what is hidden no longer, in order of time."""
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if _is_current(entry):
                message = entry[3]
                self.forget(message)
                yield message

    def next_due(self) -> float | None:
        """Return when the next message may show, or None."""
        return self._heap[0][0] if self._heap else None

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._count = 0


def _is_current(entry: tuple[float, int, int, QueueMessage]) -> bool:
    _, _, hiding, message = entry
    return message.hidden_until is not None and message.hiding == hiding
