"""One transaction in memory: everything is checked, then everything is changed, without a pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from sourceflow.bus.changes import UNCHANGED
from sourceflow.bus.ports import Head, Row
from sourceflow.errors import ConflictError, DuplicateError, NoConnectionError
from sourceflow.stores.memory.state import (
    NO_ROW,
    HandledCommand,
    LoggedEvent,
    RowState,
    StreamState,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sourceflow.bus.changes import Changes, Claim, OutboxRow, RowChange, Stream, StreamChange
    from sourceflow.bus.ports import Reads
    from sourceflow.clock import Clock
    from sourceflow.messages import Envelope, KeyType
    from sourceflow.stores.memory.inbox import MemoryInbox
    from sourceflow.stores.memory.outbox import MemoryOutbox
    from sourceflow.stores.memory.schedule import MemorySchedule
    from sourceflow.stores.memory.snapshots import Snapshots
    from sourceflow.stores.memory.state import State

__all__ = ("MemoryUnitOfWork",)

RowT = TypeVar("RowT")


class MemoryUnitOfWork:
    """See ``sourceflow.bus.ports.UnitOfWork``.

    Invariant: ``commit`` never awaits, so nobody sees half of it and cancellation cannot cut it;
    it raises before it changes anything.
    """

    __slots__ = ("_clock", "_inbox", "_outbox", "_schedule", "_snapshots", "_state", "reads")

    def __init__(
        self,
        state: State,
        snapshots: Snapshots,
        inbox: MemoryInbox,
        outbox: MemoryOutbox,
        schedule: MemorySchedule,
        clock: Clock,
        reads: Reads,
    ) -> None:
        self._state = state
        self._snapshots = snapshots
        self._inbox = inbox
        self._outbox = outbox
        self._schedule = schedule
        self._clock = clock
        self.reads = reads

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing was begun that could be left behind."""

    async def connection(self) -> NoReturn:
        """There is none."""
        raise NoConnectionError("self.connection() needs SqlStores: there is no SQL in memory")

    def check(self) -> None:
        """Nothing can have failed."""

    async def save(self) -> int:
        """Return the one mark that there is."""
        return 0

    async def restore(self, mark: int) -> None:
        """Nothing was done that could be undone."""

    async def head(self, stream: Stream, entity_type: type[Any], claim: Claim | None) -> Head:
        """Return the head of a stream and whether a claim is taken."""
        claimed = claim is not None and self._inbox.is_taken(claim)
        found = self._state.streams.get(stream)
        if found is None:
            return Head(0, None, claimed)
        return Head(found.number, self._snapshots.give_as(entity_type, found.entity), claimed)

    async def number(self, stream: Stream) -> int:
        """Return the number of a head."""
        return self._state.streams.get(stream, _EMPTY).number

    async def claimed(self, claims: Sequence[Claim]) -> Collection[Claim]:
        """Return those of the claims that are taken."""
        return self._inbox.taken(claims)

    async def row(self, row_type: type[RowT], key: KeyType) -> Row[RowT]:
        """Return a row of a view model."""
        found = self._state.rows.get(row_type, {}).get(key, NO_ROW)
        return Row(found.version, self._snapshots.give(found.kept))

    async def version(self, row_type: type[Any], key: KeyType) -> int:
        """Return the version of a row."""
        return self._state.rows.get(row_type, {}).get(key, NO_ROW).version

    async def commit(self, changes: Changes) -> Sequence[OutboxRow]:
        """Write everything, or nothing."""
        self._check(changes)
        keep, copy = self._snapshots.keep, self._snapshots.copy_envelope
        step = changes.stream
        entity = None if step is None else keep(step.entity)
        command = None if step is None or step.command is None else copy(step.command)
        rows = [(change, self._snapshots.keep_row(change.row)) for change in changes.rows]
        events = [(copy(event), stream) for event, stream in changes.events]
        scheduled = self._schedule.copies(changes.schedule) if changes.schedule else {}
        # Nothing fails from here on.
        self._inbox.put(changes.claims)
        if step is not None:
            self._take_step(step, entity, command)
        for change, row in rows:
            self._put_row(change, row)
        for event, stream in events:
            self._append(event, stream)
        self._outbox.put(changes.outbox)
        self._schedule.change(scheduled)
        return changes.outbox

    def _check(self, changes: Changes) -> None:
        for claim in changes.claims:
            if self._inbox.is_taken(claim):
                raise DuplicateError(f"{claim} is taken")
        step = changes.stream
        if step is not None:
            number = self._state.streams.get(step.stream, _EMPTY).number
            if number != step.expected:
                raise ConflictError(
                    f"{step.stream.entity} {step.stream.key!r} is at {number}, not {step.expected}"
                )
        for change in changes.rows:
            version = self._state.rows.get(change.row_type, {}).get(change.key, NO_ROW).version
            if version != change.expected:
                raise ConflictError(
                    f"{change.row_type.__name__} {change.key!r} is in version {version}, "
                    f"not {change.expected}"
                )
        self._schedule.check(changes.schedule)

    def _take_step(
        self, step: StreamChange, entity: Any | None, command: Envelope[Any] | None
    ) -> None:
        found = self._state.streams.get(step.stream)
        if found is None:
            found = self._state.streams[step.stream] = StreamState()
        if command is not None:
            found.commands.append(HandledCommand(command, self._clock.now()))
            found.number += 1
        if step.entity is not UNCHANGED:
            found.entity = entity

    def _put_row(self, change: RowChange, kept: Any | None) -> None:
        rows = self._state.rows.setdefault(change.row_type, {})
        # A removed row keeps its version, so that who saw it before still loses the race.
        rows[change.key] = RowState(change.expected + 1, kept)

    def _append(self, event: Envelope[Any], stream: Stream | None) -> None:
        identity = (event.source, event.id)
        if identity not in self._state.event_ids:
            self._state.event_ids.add(identity)
            self._state.events.append(LoggedEvent(event, stream))


_EMPTY = StreamState()
