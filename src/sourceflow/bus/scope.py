"""What stands behind a component while it handles one message: it collects, the bus commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sourceflow.bus.changes import Stream
from sourceflow.bus.wiring import entity_name
from sourceflow.domain.context import Context
from sourceflow.domain.entity import Entity
from sourceflow.errors import NotFoundError
from sourceflow.messages import new_message_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sourceflow.bus.middleware import Next
    from sourceflow.bus.ports import Stores
    from sourceflow.bus.router import Router
    from sourceflow.messages import Envelope, KeyType

__all__ = ("HandlerScope", "StoreReader")

StateT = TypeVar("StateT")


class StoreReader:
    """Reads of entities and view models through the stores."""

    __slots__ = ("_stores",)

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def find(self, state_type: type[StateT], key: KeyType) -> StateT | None:
        """Return an entity or a row, or None."""
        if issubclass(state_type, Entity):
            return await self._stores.load(Stream(entity_name(state_type), key), state_type)
        return await self._stores.find(state_type, key)

    async def get(self, state_type: type[StateT], key: KeyType) -> StateT:
        """Return an entity or a row.

        Raises:
            NotFoundError: There is none.
        """
        found = await self.find(state_type, key)
        if found is None:
            raise NotFoundError(state_type.__name__, key)
        return found

    async def query(
        self,
        row_type: type[StateT],
        *,
        where: Mapping[str, object] | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        after: StateT | None = None,
    ) -> list[StateT]:
        """Return rows of a view model.

        Raises:
            ValueError: A field is neither the key nor among the view model's ``indexes``, or the
                limit is negative.
        """
        if limit is not None and limit < 0:
            raise ValueError(f"limit is 0 or more, not {limit}")
        return await self._stores.query(
            row_type, where=where or {}, order_by=order_by, limit=limit, after=after
        )


class HandlerScope(StoreReader):
    """The unit of work as one handler sees it.

    What it sends and raises is collected here and written with everything else, or dropped.
    """

    __slots__ = (
        "_around_dispatch",
        "_attempt",
        "_context",
        "_is_replay",
        "_router",
        "cause",
        "commands",
        "events",
        "sequence",
    )

    def __init__(
        self,
        *,
        stores: Stores,
        router: Router,
        around_dispatch: Callable[[Next], Next],
        cause: Envelope[Any],
        sequence: int | None,
        attempt: int,
        is_replay: bool = False,
    ) -> None:
        super().__init__(stores)
        self._router = router
        self._around_dispatch = around_dispatch
        self.cause = cause
        self.sequence = sequence
        self.commands: list[Envelope[Any]] = []
        self.events: list[Envelope[Any]] = []
        self._attempt = attempt
        self._is_replay = is_replay
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """The circumstances of the message; made when a handler asks for them."""
        if self._context is None:
            cause = self.cause
            self._context = Context(
                message_id=cause.id,
                correlation_id=cause.correlation_id,
                causation_id=cause.causation_id,
                sequence=self.sequence,
                time=cause.time,
                is_replay=self._is_replay,
                attempt=self._attempt,
                headers=cause.headers,
            )
        return self._context

    async def send(
        self, command: object, message_id: str | None, headers: Mapping[str, str] | None
    ) -> str:
        """Collect a command; during a replay do nothing."""
        if self._is_replay:
            return message_id or new_message_id()
        envelope = self._router.command(
            command, message_id=message_id, headers=headers, cause=self.cause
        )
        await self._around_dispatch(self._collect)(envelope)
        return envelope.id

    async def _collect(self, command: Envelope[Any]) -> None:
        self.commands.append(command)

    def raise_event(self, event: object) -> None:
        """Collect an event."""
        self.events.append(self._router.event(event, cause=self.cause, sequence=self.sequence))
