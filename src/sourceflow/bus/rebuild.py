"""View models built anew from the event log; no command handler runs."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sourceflow.bus.event_bus import Rows, row_keys
from sourceflow.bus.ports import Row
from sourceflow.bus.projections import names_of, project_again, projections_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from sourceflow.bus.event_bus import EventBus
    from sourceflow.bus.ports import Logged, Shadow, Stores
    from sourceflow.bus.router import Router
    from sourceflow.bus.wiring import Wiring
    from sourceflow.domain.binding import Handler
    from sourceflow.messages import KeyType

__all__ = ("Progress", "Rebuild", "Rebuilt")

PAGE: Final = 500
"""Events whose rows are saved together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild did.

    Attributes:
        events: How many events were projected.
        rows: How many rows there are now.
    """

    events: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a rebuild has come.

    Attributes:
        events: How many events it has projected.
        position: The last of them in the event log.
        end: The last position of the event log now.
    """

    events: int
    position: int
    end: int


class Rebuild:
    """Projects the event log into a shadow of a view model, and swaps it in at the end.

    The rows that count stay in use meanwhile. Invariant: the swap takes in every event that a
    writer of the view model has committed, and the claims of those that were still on their way:
    none is missing, and none is projected a second time.
    """

    def __init__(self, *, wiring: Wiring, router: Router, stores: Stores, events: EventBus) -> None:
        self._wiring = wiring
        self._router = router
        self._stores = stores
        self._events = events

    async def rebuild(
        self,
        view: type[Any],
        *,
        resume: bool,
        on_progress: Callable[[Progress], object] | None,
    ) -> Rebuilt:
        """Project the event log into fresh rows and put them in the place of the old ones.

        All views of the same view model are projected; no command handler runs.

        Raises:
            ReplayError: An event can't be read or projected any more; nothing is changed.
            ConflictError: Another rebuild of the view model was begun.
        """
        (row_type,) = {
            handler.state_type
            for handlers in self._wiring.events.values()
            for handler in handlers
            if handler.component is view
        }
        assert row_type is not None
        build = _Build(
            events=self._events,
            handlers=projections_of(self._wiring, row_type),
            row_type=row_type,
            shadow=await self._stores.shadow(row_type, resume=resume),
        )
        while True:
            async with aclosing(self._pages(build)) as pages:
                async for page in pages:
                    await build.take_in(page)
                    await self._tell(build, page, on_progress)
            rows = await build.shadow.swap(
                build.project, types=build.names, claims=self._claims(build.handlers)
            )
            if rows is not None:
                return Rebuilt(events=build.count, rows=rows)

    async def _tell(
        self,
        build: _Build,
        page: Sequence[Logged],
        on_progress: Callable[[Progress], object] | None,
    ) -> None:
        if on_progress is not None:
            end = await self._stores.events.position()
            on_progress(Progress(events=build.count, position=page[-1].position, end=end))

    async def _pages(self, build: _Build) -> AsyncGenerator[Sequence[Logged], None]:
        page: list[Logged] = []
        read = self._stores.events.read(after=build.shadow.position, types=build.names)
        async with aclosing(read) as log:
            async for logged in log:
                page.append(logged)
                if len(page) == PAGE:
                    yield page
                    page = []
        if page:
            yield page

    def _claims(self, handlers: Sequence[Handler]) -> set[tuple[str, str]]:
        """Return which subscribers get events by themselves, and may still be about to."""
        return {
            (name, handler.name)
            for handler in handlers
            for name in names_of((handler,))
            if handler not in self._router.event_plan(handler.message_type)[0]
        }


class _Build:
    """One rebuild."""

    def __init__(
        self,
        *,
        events: EventBus,
        handlers: Sequence[Handler],
        row_type: type[Any],
        shadow: Shadow,
    ) -> None:
        self._events = events
        self._row_type = row_type
        self.handlers = handlers
        self.names = names_of(handlers)
        self.shadow = shadow
        self.count = 0

    async def take_in(self, page: Sequence[Logged]) -> None:
        """Project events and keep what they change."""
        await self.shadow.save(await self.project(page), position=page[-1].position)

    async def project(self, page: Sequence[Logged]) -> Mapping[KeyType, Any | None]:
        """Project events; return the rows that they change.

        Raises:
            ReplayError: A projection failed.
        """
        loaded = await self.shadow.load(self._keys(page))

        async def read(_: type[Any], key: KeyType) -> Row[Any]:
            return Row(0, loaded.get(key))

        rows = Rows(read)
        for logged in page:
            for handler in self._takers(logged):
                await project_again(
                    self._events, handler, logged.envelope, rows, position=logged.position
                )
        self.count += len(page)
        return rows.changed(self._row_type)

    def _takers(self, logged: Logged) -> list[Handler]:
        event_type = type(logged.envelope.message)
        return [handler for handler in self.handlers if handler.message_type is event_type]

    def _keys(self, page: Sequence[Logged]) -> set[KeyType]:
        """Return the rows that events touch.

        A key function that raises does so again where its projection runs, which says where.
        """
        keys: set[KeyType] = set()
        for logged in page:
            for handler in self._takers(logged):
                try:
                    keys.update(row_keys(handler, logged.envelope))
                except Exception:  # nosec B112 # noqa: BLE001, S112 - raised again by the projection
                    continue
        return keys
