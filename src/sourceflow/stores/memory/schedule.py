"""Scheduled commands in memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING, Any

from sourceflow.bus.ports import Fired, ScheduledCommand
from sourceflow.errors import ConflictError
from sourceflow.stores.memory.state import ScheduleState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sourceflow.bus.changes import OutboxRow, Stream
    from sourceflow.messages import Envelope
    from sourceflow.stores.memory.outbox import MemoryOutbox
    from sourceflow.stores.memory.snapshots import Snapshots
    from sourceflow.stores.memory.state import State

__all__ = ("MemorySchedule",)


class MemorySchedule:
    """See ``sourceflow.bus.ports.Schedule``; the end of the process takes it along."""

    __slots__ = ("_kept", "_outbox", "_snapshots")

    def __init__(self, state: State, app: str, snapshots: Snapshots, outbox: MemoryOutbox) -> None:
        self._kept = state.schedules.setdefault(app, ScheduleState())
        self._snapshots = snapshots
        self._outbox = outbox

    def check(self, schedule: Mapping[str, OutboxRow | None]) -> None:
        """Check that what is to be taken back still waits.

        Raises:
            ConflictError: It does not.
        """
        for message_id, row in schedule.items():
            if row is None and message_id not in self._kept.rows:
                raise ConflictError(f"the scheduled command {message_id} waits no more")

    def copies(self, schedule: Mapping[str, OutboxRow | None]) -> dict[str, OutboxRow | None]:
        """Return what to keep: messages that are shared with nobody who could change them."""
        copy = self._snapshots.copy_envelope
        return {
            message_id: None if row is None else row._replace(envelope=copy(row.envelope))
            for message_id, row in schedule.items()
        }

    def change(self, schedule: Mapping[str, OutboxRow | None]) -> None:
        """Put commands into the schedule, and take others out."""
        for message_id, row in schedule.items():
            self._remove(message_id)
            if row is not None:
                self._put(message_id, row)

    def _put(self, message_id: str, row: OutboxRow) -> None:
        self._kept.count += 1
        place = (row.envelope.time, self._kept.count, message_id)
        self._kept.rows[message_id] = (place, row)
        insort(self._kept.order, place)

    def _remove(self, message_id: str) -> bool:
        found = self._kept.rows.pop(message_id, None)
        if found is None:
            return False
        del self._kept.order[bisect_left(self._kept.order, found[0])]
        return True

    async def first(self, *, after: datetime | None = None) -> datetime | None:
        """Return when the first command is due."""
        order = self._kept.order
        start = 0 if after is None else self._index(after)
        return order[start][0] if start < len(order) else None

    def _index(self, time: datetime) -> int:
        """Return how many are due at a time."""
        return bisect_right(self._kept.order, time, key=lambda place: place[0])

    async def fire(
        self, now: datetime, route: Callable[[Envelope[Any], Stream], OutboxRow], *, limit: int
    ) -> Fired:
        """Move commands that are due to the outbox."""
        due = self._kept.order[: min(limit, self._index(now))]
        taken = [self._kept.rows[message_id][1] for *_, message_id in due]
        rows = [route(row.envelope, row.stream) for row in taken]
        for *_, message_id in due:
            self._remove(message_id)
        self._outbox.put(rows)
        return Fired(len(rows), rows)

    async def cancel(self, message_id: str) -> bool:
        """Take a command back."""
        return self._remove(message_id)

    async def waits(self, message_id: str) -> bool:
        """Return whether a command waits."""
        return message_id in self._kept.rows

    async def page(
        self, *, limit: int = 100, after: ScheduledCommand | None = None
    ) -> Sequence[ScheduledCommand]:
        """Return commands that wait."""
        order = self._kept.order
        start = 0
        if after is not None:
            start = bisect_right(order, (after.due, after.position, after.message_id))
        found: list[ScheduledCommand] = []
        for due, position, message_id in order[start : start + limit]:
            envelope = self._kept.rows[message_id][1].envelope
            found.append(
                ScheduledCommand(message_id, envelope.type_name, envelope.subject, due, position)
            )
        return found
