"""The outbox in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sourceflow.bus.changes import OutboxRow
    from sourceflow.bus.ports import Parked
    from sourceflow.stores.memory.state import State

__all__ = ("MemoryOutbox",)


class MemoryOutbox:
    """See ``sourceflow.bus.ports.Outbox``; a crash takes it along, as it does all memory."""

    __slots__ = ("_left", "_rows")

    behind = False

    def __init__(self, state: State, app: str) -> None:
        self._rows = state.outboxes.setdefault(app, {})
        self._left = tuple(self._rows.values())

    def put(self, rows: Sequence[OutboxRow]) -> None:
        """Keep rows behind those that wait."""
        for row in rows:
            self._rows[row.id] = row

    async def take(self) -> Sequence[OutboxRow]:
        """Return, once, the rows that an earlier App has left."""
        left, self._left = self._left, ()
        return left

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

    async def oldest(self) -> datetime | None:
        """Return the time of the oldest message that waits; None without any."""
        row = next(iter(self._rows.values()), None)
        return None if row is None else row.envelope.time

    async def parked(self, *, limit: int = 100, after: int = 0) -> Sequence[Parked]:  # noqa: ARG002 - the port's
        """Return nothing: rows are kept as objects, which need not be read."""
        return ()

    async def unpark(self, positions: Sequence[int]) -> int:  # noqa: ARG002 - the port's
        """Return 0: nothing is ever parked."""
        return 0
