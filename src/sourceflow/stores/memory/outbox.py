"""The outbox in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.bus.changes import OutboxRow
    from sourceflow.stores.memory.state import State

__all__ = ("MemoryOutbox",)


class MemoryOutbox:
    """See ``sourceflow.bus.ports.Outbox``; a crash takes it along, as it does all memory."""

    __slots__ = ("_state",)

    def __init__(self, state: State) -> None:
        self._state = state

    async def sent(self, rows: Sequence[OutboxRow]) -> None:
        """Forget rows that have arrived."""
        for row in rows:
            self._state.outbox.pop(row.id, None)

    async def depth(self) -> int:
        """Return how many rows wait."""
        return len(self._state.outbox)
