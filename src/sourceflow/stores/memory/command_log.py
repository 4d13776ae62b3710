"""The command log in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.bus.ports import LoggedCommand

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sourceflow.bus.changes import Stream
    from sourceflow.stores.memory.snapshots import Snapshots
    from sourceflow.stores.memory.state import State

__all__ = ("MemoryCommandLog",)


class MemoryCommandLog:
    """See ``sourceflow.bus.ports.CommandLog``."""

    __slots__ = ("_snapshots", "_state")

    def __init__(self, state: State, snapshots: Snapshots) -> None:
        self._state = state
        self._snapshots = snapshots

    async def read(self, stream: Stream, *, after: int = 0) -> AsyncGenerator[LoggedCommand, None]:
        """Return a stream's commands in order."""
        found = self._state.streams.get(stream)
        if found is None:
            return
        for number, kept in enumerate(found.commands[after:], after + 1):
            envelope = self._snapshots.reread(kept.envelope, number)
            yield LoggedCommand(number, envelope, stream, kept.handled_at)
