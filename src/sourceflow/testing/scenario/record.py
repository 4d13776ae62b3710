"""Stores in memory that note what every unit of work has committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sourceflow.stores.memory import MemoryStores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.bus.changes import Changes, OutboxRow
    from sourceflow.messages import Envelope

__all__ = ("Record", "RecordingStores")


class Record:
    """What has taken effect, in order.

    Attributes:
        events: What was raised here.
        commands: What was sent on, at once or for later.
        commits: How many units of work have written something.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.commands: list[Any] = []
        self.commits = 0
        self._sent: set[tuple[str, str]] = set()

    def clear(self) -> None:
        """Begin anew; a command that was sent before stays known."""
        self.events.clear()
        self.commands.clear()
        self.commits = 0

    def note(self, changes: Changes) -> None:
        """Note what was committed; an event that arrived was not raised here."""
        self.commits += 1
        self.events += [event.message for event, stream in changes.events if stream is not None]
        waiting = [row for row in changes.schedule.values() if row is not None]
        for row in (*changes.outbox, *waiting):
            if row.envelope.kind == "command":
                self.note_sent(row.envelope)

    def note_sent(self, command: Envelope[Any]) -> None:
        """Note a command, once however often it is sent."""
        if (command.source, command.id) not in self._sent:
            self._sent.add((command.source, command.id))
            self.commands.append(command.message)


class RecordingStores(MemoryStores):
    """Notes what is committed.

    Args:
        record: Where.
    """

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def begin(self) -> Any:
        """Begin a unit of work whose commit is noted."""
        return _Recorded(super().begin(), self._record)


class _Recorded:
    """A unit of work in memory, but for its commit."""

    def __init__(self, work: Any, record: Record) -> None:
        self._work = work
        self._record = record

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """In memory, nothing was begun that could be left behind."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)

    async def commit(self, changes: Changes) -> Sequence[OutboxRow]:
        """Write everything, or nothing."""
        rows: Sequence[OutboxRow] = await self._work.commit(changes)
        self._record.note(changes)
        return rows
