"""Brings events to their subscribers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from sourceflow.bus.call import call_handler
from sourceflow.bus.changes import UNCHANGED, Changes, Claim, OutboxRow, RowChange, Stream
from sourceflow.bus.conflict import retry_conflicts
from sourceflow.bus.middleware import around
from sourceflow.bus.scope import Backstage, HandlerScope
from sourceflow.bus.wiring import is_view
from sourceflow.bus.work import Work
from sourceflow.domain.handlers import DELETE
from sourceflow.errors import DependencyError, Discard, DuplicateError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from sourceflow.bus.instrumentation import Instrumentation
    from sourceflow.bus.locks import KeyedLocks
    from sourceflow.bus.middleware import Middleware
    from sourceflow.bus.observer import Observer
    from sourceflow.bus.ports import Row, Stores, UnitOfWork
    from sourceflow.bus.router import Router
    from sourceflow.bus.timer import Timer
    from sourceflow.bus.wiring import Wiring
    from sourceflow.bus.work import Savepoint
    from sourceflow.clock import Clock
    from sourceflow.domain.binding import Handler
    from sourceflow.messages import Envelope, KeyType

__all__ = ("Delivered", "EventBus", "Rows", "row_keys")


class Delivered(msgspec.Struct):
    """What became of an event.

    Attributes:
        rows: What leaves now.
        done: Subscribers that are finished with it, now or before.
        projected: Those of them whose work was committed now.
        failed: Subscribers whose work was rolled back, and why.
        fresh: Whether anybody handled it now.
    """

    rows: Sequence[OutboxRow] = ()
    done: list[str] = []
    projected: list[str] = []
    failed: list[tuple[str, BaseException]] = []
    fresh: bool = False


class _Known(msgspec.Struct, frozen=True):
    """A row as a unit of work knows it: the version that was read, and the value as it is now."""

    version: int
    value: Any | None
    is_changed: bool = False


class Rows:
    """Rows of view models as one unit of work sees them: read once, changed in memory.

    Projections of one transaction see each other's rows. ``save`` and ``restore`` are the
    savepoint around one subscriber.
    """

    __slots__ = ("_known", "_read")

    def __init__(self, read: Callable[[type[Any], KeyType], Awaitable[Row[Any]]]) -> None:
        self._read = read
        self._known: dict[tuple[type[Any], KeyType], _Known] = {}

    async def get(self, row_type: type[Any], key: KeyType) -> Any | None:
        """Return a row as it is now."""
        known = self._known.get((row_type, key))
        if known is None:
            version, value = await self._read(row_type, key)
            known = self._known[row_type, key] = _Known(version, value)
        return known.value

    def put(self, row_type: type[Any], key: KeyType, value: Any | None) -> None:
        """Change a row that was read before."""
        version = self._known[row_type, key].version
        self._known[row_type, key] = _Known(version, value, is_changed=True)

    def changed(self, row_type: type[Any]) -> dict[KeyType, Any | None]:
        """Return all rows of a view model that were changed; None for those that were removed."""
        return {
            key: known.value
            for (each, key), known in self._known.items()
            if each is row_type and known.is_changed
        }

    def save(self) -> dict[Any, Any]:
        """Return a savepoint."""
        return dict(self._known)

    def restore(self, savepoint: dict[Any, Any]) -> None:
        """Go back to a savepoint."""
        self._known = dict(savepoint)

    def changes(self) -> list[RowChange]:
        """Return what is to be written, in key order, so that writers cannot deadlock."""
        changes = [
            RowChange(
                row_type=row_type,
                key=key,
                expected=known.version,
                row=DELETE if known.value is None else known.value,
            )
            for (row_type, key), known in self._known.items()
            if known.is_changed
        ]
        if len(changes) > 1:
            changes.sort(key=lambda change: (change.row_type.__name__, repr(change.key)))
        return changes


def row_keys(handler: Handler, event: Envelope[Any]) -> list[KeyType]:
    """Return the rows that a projection touches."""
    if handler.mark.keys is None:
        return [handler.key_of(event.message)]
    keys = handler.mark.keys(event.message)
    if isinstance(keys, (str, int, UUID)):
        return [keys]
    return list(dict.fromkeys(keys))


class EventBus:
    """Runs the subscribers of events.

    Invariant: the claim of a subscriber is written in the transaction of its effect, so each
    subscriber's effect on an event happens once, however often the event arrives.
    """

    def __init__(
        self,
        *,
        wiring: Wiring,
        router: Router,
        timer: Timer,
        stores: Stores,
        locks: KeyedLocks,
        clock: Clock,
        observer: Observer,
        middleware: Sequence[Middleware],
        instrumentation: Instrumentation,
    ) -> None:
        self._wiring = wiring
        self._router = router
        self._timer = timer
        self._stores = stores
        self._locks = locks
        self._clock = clock
        self._observer = observer
        self._backstage = Backstage.of(stores, router, middleware)
        self._handle = instrumentation.subscribers(
            around(middleware, "handle_event", self._handle_once)
        )
        self._replay = around(middleware, "handle_event", self._replay_once)

    async def deliver(
        self,
        event: Envelope[Any],
        subscribers: Collection[str] | None = None,
        *,
        attempt: int = 1,
        arrived: bool = False,
    ) -> Delivered:
        """Run subscribers of an event in one transaction, with a savepoint each.

        Args:
            event: The event.
            subscribers: Their names; None for all.
            attempt: 1 for the first handling.
            arrived: Whether it came from a transport, and not from this process's outbox.

        Returns:
            Who is done and who failed; those that failed left nothing behind.

        Raises:
            DependencyError: The store does not answer.
            ConflictError: Others were always quicker.
        """
        handlers = [
            handler
            for handler in self._wiring.subscribers(type(event.message))
            if subscribers is None or handler.name in subscribers
        ]
        places = _places(handlers, event)
        async with self._locks.hold(places):
            return await retry_conflicts(
                lambda: self._deliver(event, handlers, attempt=attempt, arrived=arrived),
                clock=self._clock,
                also=DuplicateError,
            )

    async def _deliver(
        self, event: Envelope[Any], handlers: Sequence[Handler], *, attempt: int, arrived: bool
    ) -> Delivered:
        delivered = Delivered()
        changes = Changes()
        async with self._stores.begin() as uow:
            claims = [Claim(event.source, event.id, handler.name) for handler in handlers]
            taken = await uow.claimed(claims)
            work = Work(uow, Rows(uow.row))
            for handler, claim in zip(handlers, claims, strict=True):
                if claim in taken:
                    delivered.done.append(handler.name)
                else:
                    await self._attempt(handler, claim, event, work, changes, delivered, attempt)
            if changes.claims:
                changes.rows = work.rows.changes()
                if arrived and any(is_view(handler) for handler in handlers):
                    changes.events.append((event, None))
                delivered.rows = await uow.commit(changes)
        if changes.schedule:
            self._timer.note(changes.schedule)
        delivered.fresh = bool(changes.claims)
        for name in delivered.projected:
            self._observer.projected(event, name)
        return delivered

    async def _attempt(
        self,
        handler: Handler,
        claim: Claim,
        event: Envelope[Any],
        work: Work,
        changes: Changes,
        delivered: Delivered,
        attempt: int,
    ) -> None:
        savepoint = await work.save()
        try:
            scope = await self.run(handler, event, work, attempt)
            stream = Stream(handler.name, event.key)
            outbox = [self._router.command_row(each, stream) for each in scope.commands]
            schedule = self._router.schedule_rows(scope.schedule, stream)
        except DependencyError:
            raise
        except Discard as discard:
            await work.restore(savepoint)
            self._observer.failed(event, handler.name, discard)
            changes.claims.append(claim)
            delivered.done.append(handler.name)
        except Exception as error:  # noqa: BLE001 - a subscriber may raise anything; it is reported
            await work.restore(savepoint)
            self._observer.failed(event, handler.name, error)
            delivered.failed.append((handler.name, error))
        else:
            changes.claims.append(claim)
            changes.outbox += outbox
            changes.schedule |= schedule
            delivered.done.append(handler.name)
            delivered.projected.append(handler.name)

    async def run(
        self, handler: Handler, event: Envelope[Any], work: Work, attempt: int
    ) -> HandlerScope:
        """Run a subscriber through the hooks, in a transaction that is somebody else's.

        Returns:
            What it collected.

        Raises:
            Exception: Whatever it raised.
        """
        savepoint = await work.save()
        scope: HandlerScope | None = await self._handle(event, handler, work, savepoint, attempt)
        if scope is None:  # stopped, or its failure was caught: nothing half done is left
            await work.restore(savepoint)
            return self._scope(event, work.uow, attempt)
        return scope

    async def _handle_once(
        self,
        event: Envelope[Any],
        handler: Handler,
        work: Work,
        savepoint: Savepoint,
        attempt: int,
    ) -> HandlerScope:
        """Run a subscriber; return what it collected."""
        await work.restore(savepoint)  # a hook may call twice; the last run counts
        scope = self._scope(event, work.uow, attempt)
        if is_view(handler):
            await self._project(handler, event, work.rows, scope)
        else:
            await call_handler(self._wiring, handler, scope, event.message)
        return scope

    def _scope(self, event: Envelope[Any], uow: UnitOfWork | None, attempt: int) -> HandlerScope:
        return HandlerScope(self._backstage, event, uow, sequence=event.sequence, attempt=attempt)

    async def project(self, handler: Handler, event: Envelope[Any], rows: Rows) -> None:
        """Project an event for a replay or a rebuild: through the hooks, and nothing leaves."""
        await self._replay(event, handler, rows)

    async def _replay_once(self, event: Envelope[Any], handler: Handler, rows: Rows) -> None:
        await self._project(handler, event, rows, self._scope(event, None, 1))

    async def _project(
        self, handler: Handler, event: Envelope[Any], rows: Rows, scope: HandlerScope
    ) -> None:
        row_type = handler.state_type
        assert row_type is not None
        for key in row_keys(handler, event):
            if scope.has_ended:  # with the row before
                scope = scope.anew()
            result = await call_handler(
                self._wiring,
                handler,
                scope,
                event.message,
                state=await rows.get(row_type, key),
                key=key,
            )
            if result is not UNCHANGED:
                rows.put(row_type, key, None if result is DELETE else result)


def _places(handlers: Sequence[Handler], event: Envelope[Any]) -> list[tuple[str, str, str]]:
    """Return the locks of the rows that views will touch.

    A key function that raises fails its own subscriber, later and alone.
    """
    places: list[tuple[str, str, str]] = []
    for handler in handlers:
        if not is_view(handler):
            continue
        try:
            keys = row_keys(handler, event)
        except Exception:  # nosec B112 # noqa: BLE001, S112 - raised again where its subscriber runs
            continue
        assert handler.state_type is not None
        places += [("row", handler.state_type.__name__, repr(key)) for key in keys]
    return places
