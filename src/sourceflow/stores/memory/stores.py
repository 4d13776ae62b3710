"""Stores in memory: for tests, for demonstrations, and for work that may start over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sourceflow.bus.matching import answer
from sourceflow.errors import NotRunningError
from sourceflow.stores.memory.command_log import MemoryCommandLog
from sourceflow.stores.memory.dead_letters import MemoryDeadLetters
from sourceflow.stores.memory.event_log import MemoryEventLog
from sourceflow.stores.memory.inbox import MemoryInbox
from sourceflow.stores.memory.outbox import MemoryOutbox
from sourceflow.stores.memory.schedule import MemorySchedule
from sourceflow.stores.memory.shadow import MemoryShadow
from sourceflow.stores.memory.snapshots import Snapshots
from sourceflow.stores.memory.state import NO_ROW, State
from sourceflow.stores.memory.unit_of_work import MemoryUnitOfWork

if TYPE_CHECKING:
    from sourceflow.bus.changes import Stream
    from sourceflow.bus.ports import Reads, StoresContext
    from sourceflow.bus.query import Query
    from sourceflow.messages import KeyType

__all__ = ("MemoryStores",)

StateT = TypeVar("StateT")


class MemoryStores:
    """Keeps everything in this process; it is gone with it.

    The promise is "at least once, duplicates filtered within the process". One object may be
    given to several Apps one after the other: what it holds stays.
    """

    durable = False
    """A commit goes with the process."""

    def __init__(self) -> None:
        self._state = State()
        self._dead_letters = MemoryDeadLetters()
        self._opened: _Opened | None = None

    async def open(self, context: StoresContext) -> None:
        """Make ready."""
        self._opened = _Opened(self._state, context, self)

    async def aclose(self) -> None:
        """Nothing is held open; what is kept stays readable."""

    @property
    def _open(self) -> _Opened:
        if self._opened is None:
            raise NotRunningError("the stores are not open yet: start the App first")
        return self._opened

    def begin(self) -> MemoryUnitOfWork:
        """Begin a unit of work: always the same object, as it holds nothing before its commit."""
        return self._open.unit_of_work

    async def load(self, stream: Stream, entity_type: type[StateT]) -> StateT | None:
        """Return an entity, or None."""
        found = self._state.streams.get(stream)
        return None if found is None else self._open.snapshots.give_as(entity_type, found.entity)

    async def find(self, row_type: type[StateT], key: KeyType) -> StateT | None:
        """Return a row, or None."""
        found = self._state.rows.get(row_type, {}).get(key, NO_ROW)
        return None if found.kept is None else self._open.snapshots.give(found.kept)

    async def query(self, query: Query[StateT]) -> list[StateT]:
        """Return rows."""
        give = self._open.snapshots.give
        found = self._state.rows.get(query.row_type, {}).values()
        return answer(query, [give(each.kept) for each in found if each.kept is not None])

    async def shadow(self, row_type: type[Any], *, resume: bool) -> MemoryShadow:
        """Begin rows beside those that count."""
        opened = self._open
        return MemoryShadow(
            self._state, opened.snapshots, opened.inbox, opened.events, row_type, resume=resume
        )

    @property
    def outbox(self) -> MemoryOutbox:
        """Messages on their way out."""
        return self._open.outbox

    @property
    def inbox(self) -> MemoryInbox:
        """What has been handled."""
        return self._open.inbox

    @property
    def schedule(self) -> MemorySchedule:
        """Commands that wait until they are due."""
        return self._open.schedule

    @property
    def commands(self) -> MemoryCommandLog:
        """The command log."""
        return self._open.commands

    @property
    def events(self) -> MemoryEventLog:
        """The event log."""
        return self._open.events

    @property
    def dead_letters(self) -> MemoryDeadLetters:
        """Messages that were given up."""
        return self._dead_letters

    def __repr__(self) -> str:
        return "MemoryStores()"


class _Opened:
    """What needs the codec and the clock."""

    __slots__ = ("commands", "events", "inbox", "outbox", "schedule", "snapshots", "unit_of_work")

    def __init__(self, state: State, context: StoresContext, reads: Reads) -> None:
        self.snapshots = Snapshots(context.codec)
        self.inbox = MemoryInbox(state, context.clock)
        self.outbox = MemoryOutbox(state, context.app)
        self.commands = MemoryCommandLog(state, self.snapshots)
        self.events = MemoryEventLog(state, self.snapshots)
        self.schedule = MemorySchedule(state, context.app, self.snapshots, self.outbox)
        self.unit_of_work = MemoryUnitOfWork(
            state, self.snapshots, self.inbox, self.outbox, self.schedule, context.clock, reads
        )
