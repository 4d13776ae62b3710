"""Brings commands to their sagas: one unit of work each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sourceflow.bus.call import call_handler
from sourceflow.bus.changes import UNCHANGED, Changes, Claim, Stream, StreamChange
from sourceflow.bus.conflict import retry_conflicts
from sourceflow.bus.event_bus import Rows
from sourceflow.bus.middleware import around
from sourceflow.bus.ports import Head
from sourceflow.bus.router import stream_name
from sourceflow.bus.scope import Backstage, HandlerScope, collect
from sourceflow.bus.work import Work
from sourceflow.errors import DuplicateError, NoHandlerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.bus.changes import OutboxRow
    from sourceflow.bus.event_bus import EventBus
    from sourceflow.bus.locks import KeyedLocks
    from sourceflow.bus.middleware import Middleware
    from sourceflow.bus.observer import Observer
    from sourceflow.bus.ports import Stores, UnitOfWork
    from sourceflow.bus.router import Router
    from sourceflow.bus.timer import Timer
    from sourceflow.bus.wiring import Wiring
    from sourceflow.clock import Clock
    from sourceflow.domain.binding import Handler
    from sourceflow.messages import Envelope

__all__ = ("CommandBus",)


class CommandBus:
    """Handles commands.

    Invariants, with ``UnitOfWork.commit`` as their keeper:

    - A command's number, its log entry, the entity, what it raised and what it sends are written
      in one transaction, or none of them is.
    - The number is the head's plus one, and is taken only if the head has not moved since it was
      read: numbers have no gap, and the log is in the order of taking effect.
    - The handler runs before that transaction opens, so a slow one holds up nobody but its entity;
      unless it opens it early, for SQL of its own.
    """

    def __init__(
        self,
        *,
        wiring: Wiring,
        router: Router,
        events: EventBus,
        timer: Timer,
        stores: Stores,
        locks: KeyedLocks,
        clock: Clock,
        observer: Observer,
        middleware: Sequence[Middleware],
    ) -> None:
        self._wiring = wiring
        self._router = router
        self._events = events
        self._timer = timer
        self._stores = stores
        self._locks = locks
        self._clock = clock
        self._observer = observer
        # Of a Saga[None] there is no stream: the name only orders what its commands cause.
        self._streams = {handler: stream_name(handler) for handler in wiring.commands.values()}
        self._backstage = Backstage.of(stores, router, middleware)
        self._run = around(middleware, "handle_command", self._run_once)
        self._dispatch = around(middleware, "dispatch_event", collect)

    async def handle(self, command: Envelope[Any], /, *, attempt: int = 1) -> Sequence[OutboxRow]:
        """Handle a command and commit.

        Returns:
            What leaves now.

        Raises:
            DuplicateError: It was handled before.
            NoHandlerError: No saga here handles it.
            ConflictError: Others were always quicker.
            Exception: Whatever the handler, an inline view or a middleware raised; nothing is
                left behind then.
        """
        handler = self._wiring.commands.get(type(command.message))
        if handler is None:
            raise NoHandlerError(
                f"no saga of the App {self._wiring.app!r} handles {command.type_name}"
            )
        stream = Stream(self._streams[handler], handler.key_of(command.message))
        started = self._clock.monotonic()
        await self._locks.acquire(stream)
        try:
            rows, scope = await retry_conflicts(
                partial(self._handle, command, handler, stream, attempt), clock=self._clock
            )
        except DuplicateError:
            self._observer.duplicate(command)
            raise
        except Exception as error:
            self._observer.failed(command, handler.name, error)
            raise
        finally:
            self._locks.release(stream)
        if scope is not None:
            seconds = self._clock.monotonic() - started
            self._observer.handled(command, scope.sequence, seconds)
        return rows

    async def _handle(
        self, command: Envelope[Any], handler: Handler, stream: Stream, attempt: int
    ) -> tuple[Sequence[OutboxRow], HandlerScope | None]:
        claim = Claim(command.source, command.id, "")
        async with self._stores.begin() as uow:
            if handler.state_type is None:
                head = Head(0, None, claim in await uow.claimed((claim,)))
            else:
                head = await uow.head(stream, handler.state_type, claim)
            if head.claimed:
                raise DuplicateError(f"{command.type_name} {command.id} was handled before")
            run = await self._run(command, handler, head, attempt, uow)
            if run is None:  # a middleware stopped it
                return (), None
            scope, entity = run
            changes = Changes([claim])
            if handler.state_type is not None:
                changes.stream = StreamChange(
                    stream=stream,
                    entity_type=handler.state_type,
                    expected=head.number,
                    entity=entity,
                    command=command,
                )
            projected: Sequence[tuple[Envelope[Any], str]] = ()
            if scope.events:
                projected = await self._publish(scope.events, stream, changes, uow, attempt)
            for each in scope.commands:
                changes.outbox.append(self._router.command_row(each, stream))
            if scope.schedule:
                changes.schedule = self._router.schedule_rows(scope.schedule, stream)
            rows = await uow.commit(changes)
        if changes.schedule:
            self._timer.note(changes.schedule)
        for event, subscriber in projected:
            self._observer.projected(event, subscriber)
        return rows, scope

    async def _run_once(
        self,
        command: Envelope[Any],
        handler: Handler,
        head: Head,
        attempt: int,
        uow: UnitOfWork | None,
    ) -> tuple[HandlerScope, Any]:
        """Run a saga's method; return what it collected, and the new state."""
        if uow is not None:
            await uow.restore(0)  # a hook may call twice; the last run counts
        numbered = handler.state_type is not None
        scope = HandlerScope(
            self._backstage,
            command,
            uow,
            sequence=head.number + 1 if numbered else None,
            attempt=attempt,
        )
        message = command.message
        entity = await call_handler(
            self._wiring, handler, scope, message, state=head.entity, key=handler.key_of(message)
        )
        return scope, entity

    async def _publish(
        self,
        events: Sequence[Envelope[Any]],
        stream: Stream,
        changes: Changes,
        uow: UnitOfWork,
        attempt: int,
    ) -> Sequence[tuple[Envelope[Any], str]]:
        """Gather what becomes of events that were raised, and project inline views."""
        work = Work(uow, Rows(uow.row))
        projected: list[tuple[Envelope[Any], str]] = []
        dispatched: list[Envelope[Any]] = []
        for event in events:
            await self._dispatch(event, dispatched)
        for event in dispatched:
            inline, later = self._router.event_plan(type(event.message))
            changes.events.append((event, stream))
            for handler in inline:
                await self._events.run(handler, event, work, attempt)
                projected.append((event, handler.name))
            for place in later:
                changes.outbox.append(self._router.row(event, place, stream))
        changes.rows = work.rows.changes()
        return projected

    async def again(
        self, handler: Handler, command: Envelope[Any], sequence: int, entity: Any | None
    ) -> tuple[Any, list[Envelope[Any]]]:
        """Run a logged command again, through the hooks, on the entity as it was then.

        Returns:
            The new state, ``DELETE`` or ``UNCHANGED``, and the events it raised.
        """
        head = Head(sequence - 1, entity, claimed=False)
        run = await self._run(command, handler, head, 1, None)
        if run is None:
            return UNCHANGED, []
        scope, state = run
        return state, scope.events
