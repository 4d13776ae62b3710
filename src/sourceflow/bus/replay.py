"""History run again: nothing leaves the process, and what it yields is swapped in as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from sourceflow.bus.changes import UNCHANGED, Changes, Claim, Stream, StreamChange
from sourceflow.bus.conflict import retry_conflicts
from sourceflow.bus.event_bus import Rows
from sourceflow.bus.ports import Row
from sourceflow.bus.wiring import entity_name, is_view
from sourceflow.domain.handlers import DELETE
from sourceflow.errors import DuplicateError, ReplayError
from sourceflow.messages import type_info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.bus.command_bus import CommandBus
    from sourceflow.bus.event_bus import EventBus
    from sourceflow.bus.locks import KeyedLocks
    from sourceflow.bus.ports import Logged, Stores, UnitOfWork
    from sourceflow.bus.wiring import Wiring
    from sourceflow.clock import Clock
    from sourceflow.domain.binding import Handler
    from sourceflow.messages import Envelope, KeyType

__all__ = ("Rebuilt", "Replay", "Replayed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay did.

    Attributes:
        commands: How many commands were run again.
        rebuilt: View models whose row of this key was built anew.
        left_alone: View models that gather several streams; ``rebuild`` their views instead.
    """

    commands: int
    rebuilt: tuple[str, ...]
    left_alone: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild did.

    Attributes:
        events: How many events were projected.
        rows: How many rows there are now.
    """

    events: int
    rows: int


class Replay:
    """Runs commands again into a fresh entity, and events again into fresh rows.

    Invariant: the swap happens only if the head (or the event log) has not moved since it was
    read, and takes the claims of what it has projected: an event still on its way is not
    projected a second time.
    """

    def __init__(
        self,
        *,
        wiring: Wiring,
        stores: Stores,
        commands: CommandBus,
        events: EventBus,
        locks: KeyedLocks,
        clock: Clock,
    ) -> None:
        self._wiring = wiring
        self._stores = stores
        self._commands = commands
        self._events = events
        self._locks = locks
        self._clock = clock

    async def replay(self, entity_type: type[Any], key: KeyType) -> Replayed:
        """Run a stream's commands again, swap the entity in and rebuild the rows of its key.

        Raises:
            ReplayError: A command can't be read or handled any more; nothing is changed.
            ConflictError: The stream never stood still.
        """
        stream = Stream(entity_name(entity_type), key)
        async with self._locks.hold((stream,)):
            return await retry_conflicts(
                lambda: self._replay(stream, entity_type),
                clock=self._clock,
                also=DuplicateError,
            )

    async def _replay(self, stream: Stream, entity_type: type[Any]) -> Replayed:
        async with self._stores.begin() as uow:
            head = await uow.head(stream, entity_type, None)
            entity, events, count = await self._run(stream)
            if count == 0:
                return Replayed(commands=0, rebuilt=(), left_alone=())
            own, shared = await self._row_types(stream, events)
            rows = await self._project(own, stream, events, uow)
            await uow.commit(
                Changes(
                    claims=await self._claims(own, stream, uow),
                    stream=StreamChange(
                        stream=stream,
                        entity_type=entity_type,
                        expected=head.number,
                        entity=DELETE if entity is None else entity,
                        command=None,
                    ),
                    rows=rows.changes(),
                )
            )
        return Replayed(commands=count, rebuilt=_names(own), left_alone=_names(shared))

    async def _run(self, stream: Stream) -> tuple[Any | None, list[Envelope[Any]], int]:
        entity: Any | None = None
        events: list[Envelope[Any]] = []
        count = 0
        async for logged in self._stores.commands.read(stream):
            result, raised = await self._run_one(logged, entity)
            if result is not UNCHANGED:
                entity = None if result is DELETE else result
            time = logged.envelope.time
            events += [msgspec.structs.replace(event, time=time) for event in raised]
            count += 1
        return entity, events, count

    async def _run_one(self, logged: Logged, entity: Any | None) -> tuple[Any, list[Envelope[Any]]]:
        command = logged.envelope
        handler = self._wiring.commands.get(type(command.message))
        if handler is None:
            raise ReplayError(
                "no saga handles it any more",
                position=logged.position,
                type_name=command.type_name,
            )
        try:
            return await self._commands.again(handler, command, logged.position, entity)
        except Exception as error:
            raise ReplayError(
                f"{handler.name} raised {type(error).__name__}: {error}",
                position=logged.position,
                type_name=command.type_name,
            ) from error

    async def _row_types(
        self, stream: Stream, events: Sequence[Envelope[Any]]
    ) -> tuple[list[type[Any]], list[type[Any]]]:
        """Return the view models whose row of this key is this stream's alone, and the others."""
        touched = {
            handler.state_type: None
            for event in events
            for handler in self._wiring.subscribers(type(event.message))
            if is_view(handler)
        }
        own: list[type[Any]] = []
        shared: list[type[Any]] = []
        for row_type in touched:
            assert row_type is not None
            (own if await self._is_own(row_type, stream, events) else shared).append(row_type)
        return own, shared

    async def _is_own(
        self, row_type: type[Any], stream: Stream, events: Sequence[Envelope[Any]]
    ) -> bool:
        handlers = self._projections(row_type)
        if any(handler.mark.keys is not None for handler in handlers):
            return False
        types = {handler.message_type for handler in handlers}
        if any(event.key != stream.key for event in events if type(event.message) in types):
            return False
        names = {type_info(each).name for each in types}
        async for logged in self._stores.events.read(types=names, key=stream.key):
            if logged.stream != stream:
                return False
        return True

    async def _project(
        self,
        row_types: Sequence[type[Any]],
        stream: Stream,
        events: Sequence[Envelope[Any]],
        uow: UnitOfWork,
    ) -> Rows:
        async def blank(row_type: type[Any], key: KeyType) -> Row[Any]:
            return Row((await uow.row(row_type, key)).version, None)

        rows = Rows(blank)
        for row_type in row_types:
            await rows.get(row_type, stream.key)
            rows.put(row_type, stream.key, None)
        for event in events:
            for handler in self._wiring.subscribers(type(event.message)):
                if handler.state_type in row_types:
                    await self._project_one(handler, event, rows, position=event.sequence or 0)
        return rows

    async def _project_one(
        self, handler: Handler, event: Envelope[Any], rows: Rows, *, position: int
    ) -> None:
        try:
            await self._events.project(handler, event, rows)
        except Exception as error:
            raise ReplayError(
                f"{handler.name} raised {type(error).__name__}: {error}",
                position=position,
                type_name=event.type_name,
            ) from error

    async def _claims(
        self, row_types: Sequence[type[Any]], stream: Stream, uow: UnitOfWork
    ) -> list[Claim]:
        """Return the claims of the stream's events that are still on their way to a rebuilt row."""
        claims: list[Claim] = []
        handlers = [each for row_type in row_types for each in self._projections(row_type)]
        names = {type_info(handler.message_type).name for handler in handlers}
        async for logged in self._stores.events.read(types=names, key=stream.key):
            claims += _claims_of(logged.envelope, handlers)
        taken = await uow.claimed(claims)
        return [claim for claim in claims if claim not in taken]

    async def rebuild(self, view: type[Any]) -> Rebuilt:
        """Project the event log into fresh rows and put them in the place of the old ones.

        All views of the same view model are projected; no command handler runs.

        Raises:
            ReplayError: An event can't be read or projected any more; nothing is changed.
        """
        (row_type,) = {
            handler.state_type
            for handlers in self._wiring.events.values()
            for handler in handlers
            if handler.component is view
        }
        assert row_type is not None
        handlers = self._projections(row_type)
        names = {type_info(handler.message_type).name for handler in handlers}
        rows = Rows(_empty)
        claims: list[Claim] = []
        events = position = 0
        while True:
            async for logged in self._stores.events.read(after=position, types=names):
                for handler in handlers:
                    if handler.message_type is type(logged.envelope.message):
                        await self._project_one(
                            handler, logged.envelope, rows, position=logged.position
                        )
                claims += _claims_of(logged.envelope, handlers)
                events += 1
                position = logged.position
            end = await self._stores.events.position()
            done = rows.values(row_type)
            if await self._nothing_after(position, names, end) and await self._stores.swap(
                row_type, done, position=end, claims=claims
            ):
                return Rebuilt(events=events, rows=len(done))

    async def _nothing_after(self, position: int, names: set[str], end: int) -> bool:
        async for logged in self._stores.events.read(after=position, types=names):
            return logged.position > end
        return True

    def _projections(self, row_type: type[Any]) -> list[Handler]:
        return [
            handler
            for handlers in self._wiring.events.values()
            for handler in handlers
            if handler.state_type is row_type and is_view(handler)
        ]


async def _empty(row_type: type[Any], key: KeyType) -> Row[Any]:  # noqa: ARG001 - the port's
    return Row(0, None)


def _claims_of(event: Envelope[Any], handlers: Sequence[Handler]) -> list[Claim]:
    return [
        Claim(event.source, event.id, handler.name)
        for handler in handlers
        if handler.message_type is type(event.message)
    ]


def _names(row_types: Sequence[type[Any]]) -> tuple[str, ...]:
    return tuple(sorted(row_type.__name__ for row_type in row_types))
