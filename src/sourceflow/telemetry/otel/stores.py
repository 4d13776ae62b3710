"""Stores whose reads and commits are counted, and have spans where details are asked for."""

from __future__ import annotations

from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sourceflow.bus.changes import UNCHANGED
from sourceflow.bus.wiring import entity_name
from sourceflow.domain.handlers import DELETE
from sourceflow.telemetry import names

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import TracebackType

    from opentelemetry.trace import Span

    from sourceflow.bus.changes import Changes, Claim, OutboxRow, Stream
    from sourceflow.bus.ports import CommandLog, Head, LoggedCommand, Reads, Stores, UnitOfWork
    from sourceflow.bus.query import Query
    from sourceflow.messages import KeyType
    from sourceflow.telemetry.kinds import Attribute
    from sourceflow.telemetry.kinds import Span as SpanName
    from sourceflow.telemetry.otel.instruments import Cell, Instruments
    from sourceflow.telemetry.otel.spans import Steps

__all__ = ("follow_stores",)


class _Cells(NamedTuple):
    """What is counted of one type of entity."""

    appended: Cell
    persisted: Cell
    created: Cell


class _Following:
    """What followed stores have in common."""

    def __init__(self, instruments: Instruments, steps: Steps | None) -> None:
        self.steps = steps
        self.loaded = instruments.counter(names.COMMANDS_LOADED)
        self._created = instruments.counter(names.ENTITIES_CREATED)
        self._appended = instruments.counter(names.COMMANDS_APPENDED)
        self._entities = instruments.counter(names.ENTITIES_PERSISTED)
        self._rows = instruments.counter(names.VIEW_MODELS_PERSISTED)
        self._of_entity: dict[type[Any], _Cells] = {}

    def step(
        self,
        name: SpanName,
        operation: str,
        about: Attribute,
        what: str,
        *,
        is_current: bool = True,
    ) -> AbstractContextManager[Span | None]:
        """Cover a step with a span, where details are asked for."""
        if self.steps is None:
            return nullcontext()
        attributes = {about: what} if what else {}
        return self.steps.follow(name, operation, attributes, is_current=is_current)

    def count(self, changes: Changes, *, is_new: bool) -> None:
        """Count what was committed."""
        stream = changes.stream
        if stream is not None:
            cells = self._of_entity.get(stream.entity_type) or self._cells(stream.entity_type)
            if stream.command is not None:
                cells.appended.count += 1
            if stream.entity is not UNCHANGED:
                cells.persisted.count += 1
                if is_new and stream.entity is not DELETE:
                    cells.created.count += 1
        for row in changes.rows:
            self._rows.add(row.row_type.__name__)

    def _cells(self, entity_type: type[Any]) -> _Cells:
        name = entity_name(entity_type)
        cells = self._of_entity[entity_type] = _Cells(
            self._appended.cell(name), self._entities.cell(name), self._created.cell(name)
        )
        return cells


def follow_stores(stores: Stores, instruments: Instruments, steps: Steps | None) -> Stores:
    """Return stores that do the same, followed.

    Args:
        stores: Do the work.
        instruments: Count what was read and written.
        steps: Make spans; None where no details are asked for.
    """
    return cast("Stores", _FollowedStores(stores, _Following(instruments, steps)))


class _FollowedReads:
    __slots__ = ("_following", "_reads")

    def __init__(self, reads: Reads, following: _Following) -> None:
        self._reads = reads
        self._following = following

    async def load(self, stream: Stream, entity_type: type[Any]) -> Any:
        """Return an entity, or None."""
        with self._following.step(names.LOAD, "load", names.ENTITY_TYPE, stream.entity):
            return await self._reads.load(stream, entity_type)

    async def find(self, row_type: type[Any], key: KeyType) -> Any:
        """Return a row, or None."""
        with self._following.step(names.FIND, "query", names.VIEW_MODEL_TYPE, row_type.__name__):
            return await self._reads.find(row_type, key)

    async def query(self, query: Query[Any]) -> list[Any]:
        """Return rows."""
        with self._following.step(
            names.FIND, "query", names.VIEW_MODEL_TYPE, query.row_type.__name__
        ):
            return await self._reads.query(query)


class _FollowedStores(_FollowedReads):
    __slots__ = ("_stores",)

    def __init__(self, stores: Stores, following: _Following) -> None:
        super().__init__(stores, following)
        self._stores = stores

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stores, name)

    def begin(self) -> _FollowedBegin:
        """Begin a unit of work."""
        return _FollowedBegin(self._stores.begin(), self._following)

    @property
    def commands(self) -> CommandLog:
        """The command log."""
        return _FollowedLog(self._stores.commands, self._following)


class _FollowedLog:
    __slots__ = ("_following", "_log")

    def __init__(self, log: CommandLog, following: _Following) -> None:
        self._log = log
        self._following = following

    async def read(self, stream: Stream, *, after: int = 0) -> AsyncGenerator[LoggedCommand, None]:
        """Return a stream's commands in order."""
        count = 0
        with self._following.step(
            names.HISTORY, "history", names.ENTITY_TYPE, stream.entity, is_current=False
        ) as span:
            try:
                async with aclosing(self._log.read(stream, after=after)) as commands:
                    async for logged in commands:
                        count += 1
                        yield logged
            finally:
                self._following.loaded.add(stream.entity, count=count)
                if span is not None:
                    span.set_attribute(names.COUNT.name, count)


class _FollowedBegin:
    __slots__ = ("_begin", "_following")

    def __init__(
        self, begin: AbstractAsyncContextManager[UnitOfWork], following: _Following
    ) -> None:
        self._begin = begin
        self._following = following

    async def __aenter__(self) -> _FollowedUnitOfWork:
        return _FollowedUnitOfWork(await self._begin.__aenter__(), self._following)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._begin.__aexit__(kind, error, traceback)


class _FollowedUnitOfWork:
    __slots__ = ("_following", "_is_new", "_uow", "restore")

    def __init__(self, uow: UnitOfWork, following: _Following) -> None:
        self._uow = uow
        self.restore = uow.restore  # called for every message: not by way of __getattr__
        self._following = following
        self._is_new = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._uow, name)

    @property
    def reads(self) -> Reads:
        """Where handlers read."""
        return _FollowedReads(self._uow.reads, self._following)

    async def head(self, stream: Stream, entity_type: type[Any], claim: Claim | None) -> Head:
        """Return the head of a stream."""
        if self._following.steps is None:
            head = await self._uow.head(stream, entity_type, claim)
        else:
            with self._following.step(names.LOAD, "load", names.ENTITY_TYPE, stream.entity):
                head = await self._uow.head(stream, entity_type, claim)
        self._is_new = head.entity is None
        return head

    async def commit(self, changes: Changes) -> Sequence[OutboxRow]:
        """Write everything, or nothing."""
        if self._following.steps is None:
            rows = await self._uow.commit(changes)
        else:
            entity = "" if changes.stream is None else changes.stream.stream.entity
            with self._following.step(names.COMMIT, "commit", names.ENTITY_TYPE, entity):
                rows = await self._uow.commit(changes)
        self._following.count(changes, is_new=self._is_new)
        return rows
