"""Where state, logs, outbox, inbox and schedule are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractAsyncContextManager

    from sourceflow.bus.changes import Stream
    from sourceflow.bus.ports.boxes import Inbox, Outbox
    from sourceflow.bus.ports.dead_letters import DeadLetters
    from sourceflow.bus.ports.logs import CommandLog, EventLog
    from sourceflow.bus.ports.record_cipher import RecordCipher
    from sourceflow.bus.ports.schedule import Schedule
    from sourceflow.bus.ports.shadow import Shadow
    from sourceflow.bus.ports.unit_of_work import UnitOfWork
    from sourceflow.bus.query import Query
    from sourceflow.clock import Clock
    from sourceflow.messages import Codec, KeyType

__all__ = (
    "Reads",
    "Stores",
    "StoresContext",
)

StateT = TypeVar("StateT")


class StoresContext(NamedTuple):
    """What stores are told when they open.

    Attributes:
        app: The App's name: outbox rows carry it.
        codec: Writes and reads messages and state.
        clock: The time.
        view_models: The view models that the App has views of.
        operating: Whether people only look and repair: opening makes no tables.
        cipher: Encrypts what outlives the process; None where the App has no key.
    """

    app: str
    codec: Codec
    clock: Clock
    view_models: Collection[type[Any]] = ()
    operating: bool = False
    cipher: RecordCipher | None = None


class Reads(Protocol):
    """What answers the reads of handlers and of callers."""

    async def load(self, stream: Stream, entity_type: type[StateT]) -> StateT | None:
        """Return an entity, or None."""
        ...

    async def find(self, row_type: type[StateT], key: KeyType) -> StateT | None:
        """Return a row, or None."""
        ...

    async def query(self, query: Query[StateT]) -> list[StateT]:
        """Return rows."""
        ...


class Stores(Reads, Protocol):
    """Where state, logs, outbox, inbox and schedule are kept.

    Attributes:
        durable: Whether a commit outlives the process. Where it does not, a message is only
            acknowledged when everything it caused is done too.
    """

    durable: bool

    async def open(self, context: StoresContext) -> None:
        """Make ready; may be called once."""
        ...

    async def aclose(self) -> None:
        """Let go of everything."""
        ...

    def begin(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Begin a unit of work."""
        ...

    async def shadow(self, row_type: type[Any], *, resume: bool) -> Shadow:
        """Begin rows of a view model beside those that count.

        Args:
            row_type: The view model.
            resume: Whether to go on with what an earlier one has left, if there is anything.
        """
        ...

    @property
    def outbox(self) -> Outbox:
        """Messages on their way out."""
        ...

    @property
    def inbox(self) -> Inbox:
        """What has been handled."""
        ...

    @property
    def schedule(self) -> Schedule:
        """Commands that wait until they are due."""
        ...

    @property
    def commands(self) -> CommandLog:
        """The command log."""
        ...

    @property
    def events(self) -> EventLog:
        """The event log."""
        ...

    @property
    def dead_letters(self) -> DeadLetters:
        """Messages that were given up."""
        ...
