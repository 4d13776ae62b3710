"""What an App can tell of its past, and make anew from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sourceflow.domain.view import View

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from datetime import datetime

    from sourceflow.bus.ports import LoggedCommand
    from sourceflow.bus.rebuild import Progress, Rebuilt
    from sourceflow.bus.replay import Replayed
    from sourceflow.domain.entity import Entity
    from sourceflow.host.engine import Engine
    from sourceflow.messages import KeyType

__all__ = ("Past",)

EntityT = TypeVar("EntityT", bound="Entity")


class Past(ABC):
    """The part of an App that looks back.

    A class of its own, so that what reads and runs the logs stands together.
    """

    @property
    @abstractmethod
    def _running(self) -> Engine:
        """What runs while the App does; raises ``NotRunningError`` where it does not."""

    def history(
        self, entity_type: type[Entity], key: KeyType, *, after: int = 0
    ) -> AsyncGenerator[LoggedCommand, None]:
        """Return an entity's commands in the order in which they took effect.

        ``async for`` reads them page by page, however many there are. Each has its ``position``,
        its ``envelope`` with the message and its metadata, and ``handled_at``. Commands of older
        versions come as their current type; what has no command yet, or never was, has no history.

        Args:
            entity_type: The entity's class.
            key: Its key.
            after: Only commands behind this number.

        Raises:
            ReplayError: A command can no longer be read; names its position, type and field. What
                stands before it has been returned.
        """
        return self._running.history.read(entity_type, key, after=after)

    @overload
    async def at(
        self, entity_type: type[EntityT], key: KeyType, *, sequence: int
    ) -> EntityT | None: ...
    @overload
    async def at(
        self, entity_type: type[EntityT], key: KeyType, *, time: datetime
    ) -> EntityT | None: ...
    async def at(
        self,
        entity_type: type[EntityT],
        key: KeyType,
        *,
        sequence: int | None = None,
        time: datetime | None = None,
    ) -> EntityT | None:
        """Return an entity as it was once, or None where there was none.

        Its commands are run again up to there, as ``replay`` does it, and nothing is kept. What
        handlers read besides their entity, they see as it is now.

        Args:
            entity_type: The entity's class.
            key: Its key.
            sequence: After the command of this number; 0 stands for before the first.
            time: At this moment, by the clocks of the instances that handled the commands. It is
                when commands took effect that counts, not when they were sent.

        Raises:
            TypeError: Neither a number nor a time is given, or both are.
            ValueError: The number is negative, or the time has no time zone.
            LookupError: The entity has no command of that number yet.
            ReplayError: A command up to there can't be read or handled any more.
        """
        history = self._running.history
        if (sequence is None) == (time is None):
            raise TypeError("at() takes sequence= or time=, one of them")
        if sequence is not None:
            if sequence < 0:
                raise ValueError(f"sequence is 0 or more, not {sequence}")
            return await history.after(entity_type, key, sequence)
        assert time is not None
        if time.utcoffset() is None:
            raise ValueError("time needs a time zone")
        return await history.when(entity_type, key, time)

    async def replay(self, entity_type: type[Entity], key: KeyType) -> Replayed:
        """Run an entity's commands again and swap the result in.

        Handlers see ``context.is_replay``; nothing leaves the process. Rows of views that are
        keyed like the entity are built anew; views that gather several entities are left alone
        and named in the result.

        Raises:
            ReplayError: A command can't be read or handled any more; nothing is changed.
            ConflictError: The entity never stood still.
        """
        replayed: Replayed = await self._running.run_replay(entity_type, key)
        return replayed

    async def rebuild(
        self,
        view: type[View[Any]],
        *,
        resume: bool = False,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> Rebuilt:
        """Project the event log into fresh rows and swap them in; no command handler runs.

        The old rows stay in use until then, and messages are handled as ever. All views of the
        same view model are projected.

        Args:
            view: Whose rows.
            resume: Whether to go on where an earlier rebuild was interrupted, instead of
                beginning anew: only right where the views have not changed since.
            on_progress: Is called after each few hundred events.

        Raises:
            ReplayError: An event can't be read or projected any more; nothing is changed.
            ConflictError: Another rebuild of the view model was begun.
            LookupError: The App has no such view.
        """
        wiring = self._running.wiring
        if view not in wiring.arguments or not issubclass(view, View):
            raise LookupError(f"{view.__name__} is not among the views of the App {wiring.app!r}")
        rebuilt: Rebuilt = await self._running.run_rebuild(
            view, resume=resume, on_progress=on_progress
        )
        return rebuilt
