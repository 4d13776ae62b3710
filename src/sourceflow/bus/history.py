"""What was asked of one entity, run again: nothing leaves the process, and nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from sourceflow.bus.changes import UNCHANGED
from sourceflow.domain.handlers import DELETE
from sourceflow.errors import ReplayError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.bus.changes import Stream
    from sourceflow.bus.command_bus import CommandBus
    from sourceflow.bus.ports import Logged, Stores
    from sourceflow.bus.wiring import Wiring
    from sourceflow.messages import Envelope

__all__ = ("History", "Relived")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relived:
    """What commands have come to, run again from the beginning.

    Attributes:
        entity: The entity after the last of them; None where there is none.
        events: What they raised, at the times of their commands.
        commands: How many there were.
    """

    entity: Any | None
    events: Sequence[Envelope[Any]]
    commands: int


class History:
    """Reads the command log, and runs what it holds again into a fresh entity."""

    def __init__(self, *, wiring: Wiring, stores: Stores, commands: CommandBus) -> None:
        self._wiring = wiring
        self._stores = stores
        self._commands = commands

    async def relive(self, stream: Stream) -> Relived:
        """Run a stream's commands again.

        Raises:
            ReplayError: A command can't be read or handled any more.
        """
        entity: Any | None = None
        events: list[Envelope[Any]] = []
        count = 0
        async for logged in self._stores.commands.read(stream):
            result, raised = await self._again(logged, entity)
            if result is not UNCHANGED:
                entity = None if result is DELETE else result
            time = logged.envelope.time
            events += [msgspec.structs.replace(event, time=time) for event in raised]
            count += 1
        return Relived(entity=entity, events=events, commands=count)

    async def _again(self, logged: Logged, entity: Any | None) -> tuple[Any, list[Envelope[Any]]]:
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
