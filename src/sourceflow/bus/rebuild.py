"""View models built anew from the event log; no command handler runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sourceflow.bus.event_bus import Rows
from sourceflow.bus.ports import Row
from sourceflow.bus.projections import claims_of, names_of, project_again, projections_of

if TYPE_CHECKING:
    from sourceflow.bus.changes import Claim
    from sourceflow.bus.event_bus import EventBus
    from sourceflow.bus.ports import Stores
    from sourceflow.bus.wiring import Wiring
    from sourceflow.messages import KeyType

__all__ = ("Rebuild", "Rebuilt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild did.

    Attributes:
        events: How many events were projected.
        rows: How many rows there are now.
    """

    events: int
    rows: int


class Rebuild:
    """Projects the event log into fresh rows, and swaps them in as a whole.

    Invariant: the swap happens only if the event log has not moved since it was read, and takes
    the claims of what has been projected: an event still on its way is not projected a second
    time.
    """

    def __init__(self, *, wiring: Wiring, stores: Stores, events: EventBus) -> None:
        self._wiring = wiring
        self._stores = stores
        self._events = events

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
        handlers = projections_of(self._wiring, row_type)
        names = names_of(handlers)
        rows = Rows(_empty)
        claims: list[Claim] = []
        events = position = 0
        while True:
            async for logged in self._stores.events.read(after=position, types=names):
                for handler in handlers:
                    if handler.message_type is type(logged.envelope.message):
                        await project_again(
                            self._events, handler, logged.envelope, rows, position=logged.position
                        )
                claims += claims_of(logged.envelope, handlers)
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


async def _empty(row_type: type[Any], key: KeyType) -> Row[Any]:  # noqa: ARG001 - the port's
    return Row(0, None)
