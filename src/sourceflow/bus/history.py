"""What was asked of one entity, read and run again: nothing leaves the process, or is written."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec

from sourceflow.bus.changes import UNCHANGED, Stream
from sourceflow.bus.dead_letter import describe_failure
from sourceflow.bus.wiring import entity_name
from sourceflow.domain.handlers import DELETE
from sourceflow.errors import ReplayError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from datetime import datetime

    from sourceflow.bus.command_bus import CommandBus
    from sourceflow.bus.ports import LoggedCommand, Stores
    from sourceflow.bus.wiring import Wiring
    from sourceflow.messages import Envelope, KeyType

__all__ = ("BEFORE", "History", "Moment")

EntityT = TypeVar("EntityT")


class Moment(NamedTuple):
    """An entity as it was after one command.

    Attributes:
        number: The command's number.
        entity: The entity; None where there was none.
        events: What the command raised, at its time.
    """

    number: int
    entity: Any | None
    events: Sequence[Envelope[Any]]


BEFORE: Final = Moment(0, None, ())
"""Before the first command."""


def _never(_logged: LoggedCommand) -> bool:
    return False


class History:
    """Reads the command log, and runs what it holds again into a fresh entity.

    Everything that runs commands again does it by ``relive``.
    """

    def __init__(self, *, wiring: Wiring, stores: Stores, commands: CommandBus) -> None:
        self._wiring = wiring
        self._stores = stores
        self._commands = commands

    def read(
        self, entity_type: type[Any], key: KeyType, *, after: int
    ) -> AsyncGenerator[LoggedCommand, None]:
        """See ``App.history``."""
        return self._stores.commands.read(Stream(entity_name(entity_type), key), after=after)

    async def after(self, entity_type: type[EntityT], key: KeyType, number: int) -> EntityT | None:
        """Return an entity as it was after a command; 0 stands for before the first.

        Raises:
            LookupError: There is no such command yet.
            ReplayError: A command up to there can't be read or handled any more.
        """
        stream = Stream(entity_name(entity_type), key)
        last = await self._last(stream, lambda logged: logged.position > number)
        if last.number < number:
            raise LookupError(
                f"{stream.entity} {key!r} has {last.number} commands: there is no number {number}"
            )
        entity: EntityT | None = last.entity
        return entity

    async def when(
        self, entity_type: type[EntityT], key: KeyType, time: datetime
    ) -> EntityT | None:
        """Return an entity as it was at a moment.

        Raises:
            ReplayError: A command up to then can't be read or handled any more.
        """
        stream = Stream(entity_name(entity_type), key)
        last = await self._last(stream, lambda logged: logged.handled_at > time)
        entity: EntityT | None = last.entity
        return entity

    async def _last(self, stream: Stream, is_later: Callable[[LoggedCommand], bool]) -> Moment:
        last = BEFORE
        async with aclosing(self.relive(stream, is_later=is_later)) as moments:
            async for moment in moments:
                last = moment
        return last

    async def relive(
        self, stream: Stream, *, is_later: Callable[[LoggedCommand], bool] = _never
    ) -> AsyncGenerator[Moment, None]:
        """Run a stream's commands again, from the first to before one that is too late.

        Raises:
            ReplayError: A command can't be read or handled any more.
        """
        entity: Any | None = None
        async with aclosing(self._stores.commands.read(stream)) as commands:
            async for logged in commands:
                if is_later(logged):
                    return
                result, raised = await self._again(logged, entity)
                if result is not UNCHANGED:
                    entity = None if result is DELETE else result
                time = logged.envelope.time
                events = [msgspec.structs.replace(event, time=time) for event in raised]
                yield Moment(logged.position, entity, events)

    async def _again(
        self, logged: LoggedCommand, entity: Any | None
    ) -> tuple[Any, Sequence[Envelope[Any]]]:
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
                f"{handler.name} raised {describe_failure(error, command.message)}",
                position=logged.position,
                type_name=command.type_name,
            ) from error
