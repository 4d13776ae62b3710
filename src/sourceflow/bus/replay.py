"""An entity and its rows built anew from its commands, and swapped in as a whole."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sourceflow.bus.changes import Changes, Claim, Stream, StreamChange
from sourceflow.bus.conflict import retry_conflicts
from sourceflow.bus.event_bus import Rows
from sourceflow.bus.history import BEFORE
from sourceflow.bus.ports import Row
from sourceflow.bus.projections import claims_of, names_of, project_again, projections_of
from sourceflow.bus.wiring import entity_name, is_view
from sourceflow.domain.handlers import DELETE
from sourceflow.errors import DuplicateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.bus.event_bus import EventBus
    from sourceflow.bus.history import History
    from sourceflow.bus.locks import KeyedLocks
    from sourceflow.bus.ports import Stores, UnitOfWork
    from sourceflow.bus.wiring import Wiring
    from sourceflow.clock import Clock
    from sourceflow.messages import Envelope, KeyType

__all__ = ("Replay", "Replayed")


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


class Replay:
    """Runs commands again into a fresh entity, and events again into fresh rows.

    Invariant: the swap happens only if the head has not moved since it was read, and takes the
    claims of what has been projected: an event still on its way is not projected a second time.
    """

    def __init__(
        self,
        *,
        wiring: Wiring,
        stores: Stores,
        history: History,
        events: EventBus,
        locks: KeyedLocks,
        clock: Clock,
    ) -> None:
        self._wiring = wiring
        self._stores = stores
        self._history = history
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
            number = await uow.number(stream)
            last = BEFORE
            events: list[Envelope[Any]] = []
            async with aclosing(self._history.relive(stream)) as moments:
                async for last in moments:
                    events += last.events
            if last.number == 0:
                return Replayed(commands=0, rebuilt=(), left_alone=())
            own, shared = await self._row_types(stream, events)
            rows = await self._project(own, stream, events, uow)
            await uow.commit(
                Changes(
                    claims=await self._claims(own, stream, uow),
                    stream=StreamChange(
                        stream=stream,
                        entity_type=entity_type,
                        expected=number,
                        entity=DELETE if last.entity is None else last.entity,
                        command=None,
                    ),
                    rows=rows.changes(),
                )
            )
        return Replayed(commands=last.number, rebuilt=_names(own), left_alone=_names(shared))

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
        handlers = projections_of(self._wiring, row_type)
        if any(handler.mark.keys is not None for handler in handlers):
            return False
        names = names_of(handlers)
        if any(event.key != stream.key for event in events if event.type_name in names):
            return False
        async with aclosing(self._stores.events.read(types=names, key=stream.key)) as log:
            async for logged in log:
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
            return Row(await uow.version(row_type, key), None)

        rows = Rows(blank)
        for row_type in row_types:
            await rows.get(row_type, stream.key)
            rows.put(row_type, stream.key, None)
        for event in events:
            for handler in self._wiring.subscribers(type(event.message)):
                if handler.state_type in row_types:
                    await project_again(
                        self._events, handler, event, rows, position=event.sequence or 0
                    )
        return rows

    async def _claims(
        self, row_types: Sequence[type[Any]], stream: Stream, uow: UnitOfWork
    ) -> list[Claim]:
        """Return the claims of the stream's events that are still on their way to a rebuilt row."""
        claims: list[Claim] = []
        handlers = [
            each for row_type in row_types for each in projections_of(self._wiring, row_type)
        ]
        types = names_of(handlers)
        async for logged in self._stores.events.read(types=types, key=stream.key):
            claims += claims_of(logged.envelope, handlers)
        taken = await uow.claimed(claims)
        return [claim for claim in claims if claim not in taken]


def _names(row_types: Sequence[type[Any]]) -> tuple[str, ...]:
    return tuple(sorted(row_type.__name__ for row_type in row_types))
