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

    __slots__ = ("_rows",)

    def __init__(self, state: State, app: str) -> None:
        self._rows = state.outboxes.setdefault(app, {})

    def put(self, rows: Sequence[OutboxRow]) -> None:
        """Keep rows behind those that wait."""
        for row in rows:
            self._rows[row.id] = row

    async def unsent(self) -> Sequence[OutboxRow]:
        """Return the rows of this App that wait, in the order of their commits."""
        return tuple(self._rows.values())

    async def sent(self, rows: Sequence[OutboxRow]) -> None:
        """Forget rows that have arrived."""
        for row in rows:
            self._rows.pop(row.id, None)

    async def depth(self) -> int:
        """Return how many rows of this App wait."""
        return len(self._rows)
