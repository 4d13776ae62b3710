"""Rows that are built beside those that count, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow.bus.changes import Claim
from sourceflow.errors import ConflictError
from sourceflow.stores.memory.state import NO_ROW, RowState, ShadowState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sourceflow.bus.ports import EventLog, Project
    from sourceflow.messages import KeyType
    from sourceflow.stores.memory.inbox import MemoryInbox
    from sourceflow.stores.memory.snapshots import Snapshots
    from sourceflow.stores.memory.state import State

__all__ = ("MemoryShadow",)


class MemoryShadow:
    """See ``sourceflow.bus.ports.Shadow``."""

    def __init__(
        self,
        state: State,
        snapshots: Snapshots,
        inbox: MemoryInbox,
        events: EventLog,
        row_type: type[Any],
        *,
        resume: bool,
    ) -> None:
        self._state = state
        self._snapshots = snapshots
        self._inbox = inbox
        self._events = events
        self._row_type = row_type
        earlier = state.shadows.get(row_type) if resume else None
        self._own = ShadowState() if earlier is None else earlier.copy()
        state.shadows[row_type] = self._own

    @property
    def position(self) -> int:
        """The last position that its rows take in."""
        return self._own.position

    async def load(self, keys: Collection[KeyType]) -> Mapping[KeyType, Any]:
        """Return those of its rows that are there."""
        kept = self._own.rows
        return {key: self._snapshots.give(kept[key]) for key in keys if key in kept}

    async def save(self, rows: Mapping[KeyType, Any | None], *, position: int) -> None:
        """Keep rows."""
        self._check()
        for key, row in rows.items():
            if row is None:
                self._own.rows.pop(key, None)
            else:
                self._own.rows[key] = self._snapshots.keep_row(row)
        self._own.position = position

    def _check(self) -> None:
        if self._state.shadows.get(self._row_type) is not self._own:
            raise ConflictError(f"another rebuild of {self._row_type.__name__} was begun")

    async def swap(
        self, project: Project, *, types: Collection[str], claims: Collection[tuple[str, str]]
    ) -> int | None:
        """Put it in the place of the rows that count.

        Nothing is awaited between the last look at the log and the swap.
        """
        while len(self._state.events) > self.position:
            end = len(self._state.events)
            left = [
                logged
                async for logged in self._events.read(after=self.position, types=types)
                if logged.position <= end
            ]
            await self.save(await project(left), position=end)
        self._check()
        old = self._state.rows.get(self._row_type, {})
        new = self._own.rows
        self._state.rows[self._row_type] = {
            key: RowState(old.get(key, NO_ROW).version + 1, new.get(key)) for key in {*old, *new}
        }
        self._take(claims)
        del self._state.shadows[self._row_type]
        return len(new)

    def _take(self, claims: Collection[tuple[str, str]]) -> None:
        for logged in self._state.events:
            event = logged.envelope
            self._inbox.put(
                [
                    Claim(event.source, event.id, subscriber)
                    for name, subscriber in claims
                    if name == event.type_name
                ]
            )
