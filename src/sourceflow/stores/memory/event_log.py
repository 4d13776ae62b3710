"""The event log in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.bus.ports import Logged

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from sourceflow.messages import KeyType
    from sourceflow.stores.memory.snapshots import Snapshots
    from sourceflow.stores.memory.state import State

__all__ = ("MemoryEventLog",)


class MemoryEventLog:
    """See ``sourceflow.bus.ports.EventLog``."""

    __slots__ = ("_snapshots", "_state")

    def __init__(self, state: State, snapshots: Snapshots) -> None:
        self._state = state
        self._snapshots = snapshots

    async def read(
        self, *, after: int = 0, types: Collection[str] | None = None, key: KeyType | None = None
    ) -> AsyncGenerator[Logged, None]:
        """Return events in order of position."""
        events = self._state.events
        for index in range(after, len(events)):
            kept = events[index].envelope
            if types is not None and kept.type_name not in types:
                continue
            if key is not None and kept.key != key:
                continue
            yield Logged(index + 1, self._snapshots.reread(kept, index + 1), events[index].stream)

    async def position(self) -> int:
        """Return the last position."""
        return len(self._state.events)
