"""A running App: the buses, the relay and the transport, started and stopped in order."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from sourceflow.bus.changes import Changes, Stream
from sourceflow.bus.claiming_receiver import ClaimingReceiver
from sourceflow.bus.cleaning import keep_clean
from sourceflow.bus.command_bus import CommandBus
from sourceflow.bus.event_bus import EventBus
from sourceflow.bus.history import History
from sourceflow.bus.local_letters import LocalLetters
from sourceflow.bus.locks import KeyedLocks
from sourceflow.bus.message_claims import MessageClaims
from sourceflow.bus.middleware import around
from sourceflow.bus.observer import Observer, Observers
from sourceflow.bus.ports import Expiring, StoresContext, TransportContext
from sourceflow.bus.rebuild import Rebuild
from sourceflow.bus.receiver import Receiver
from sourceflow.bus.relay import Relay
from sourceflow.bus.replay import Replay
from sourceflow.bus.router import Router
from sourceflow.bus.routes import NO_ROUTES
from sourceflow.bus.scope import StoreReader
from sourceflow.bus.timer import Timer
from sourceflow.errors import (
    Discard,
    DuplicateError,
    NoHandlerError,
    Reject,
    RejectedError,
    SendManyError,
)
from sourceflow.host.watchdog import LoopWatchdog
from sourceflow.messages import Codec, type_info
from sourceflow.resilience.task_scope import TaskScope

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from sourceflow.bus.changes import OutboxRow
    from sourceflow.bus.dead_letter import DeadLetter
    from sourceflow.bus.middleware import Middleware
    from sourceflow.bus.ports import Idempotency, Outgoing, Stores, Transport
    from sourceflow.bus.wiring import Wiring
    from sourceflow.clock import Clock
    from sourceflow.host.idempotency import IdempotencyChoice
    from sourceflow.messages import Envelope

__all__ = ("Engine",)

log = logging.getLogger(__name__)

STOP_GRACE: Final = timedelta(seconds=30)
"""How long work in this process may take to end when the App stops."""

NO_STREAM: Final = ""
"""Stands for the source stream of commands that are scheduled at the edge: those of one key leave
in the order they are due."""


class Engine:
    """Everything that runs while an App runs.

    Start: stores, transport (provisions), relay, timer, then listening. Stop, the other way
    round: listening ends and what runs is finished, the timer stops, the relay empties, sends and
    acknowledgements are flushed, stores are closed.
    """

    def __init__(
        self,
        *,
        wiring: Wiring,
        stores: Stores,
        transport: Transport | None,
        idempotency: IdempotencyChoice,
        middleware: Sequence[Middleware],
        observer: Observer,
        clock: Clock,
    ) -> None:
        self.wiring = wiring
        self.stores = stores
        self.transport = transport
        self.clock = clock
        self._idempotency = idempotency
        self.claims = self._claims()
        self._routes = NO_ROUTES if transport is None else transport.routes
        self._middleware = middleware
        self._user_observer = observer
        self._codec = Codec(wiring.registry)
        self._dispatch = around(middleware, "dispatch_command", self._send_or_handle)
        self._dispatch_later = around(middleware, "dispatch_command", self._schedule)
        self._dispatch_many = around(middleware, "dispatch_command", self._sort)
        self._stack = AsyncExitStack()
        self.reader = StoreReader(stores)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(LoopWatchdog())
            await self.stores.open(self._stores_context())
            stack.push_async_callback(self.stores.aclose)
            service = self._idempotency.service
            if isinstance(service, AbstractAsyncContextManager):
                await stack.enter_async_context(service)
            self._build()
            if self.transport is not None:
                await self.transport.open(self._transport_context())
                stack.push_async_callback(self.transport.aclose)
            tasks = await stack.enter_async_context(TaskScope())
            started = asyncio.Event()
            relay = tasks.create_task(self.relay.run(started), name="sourceflow relay")
            stack.callback(relay.cancel)
            await started.wait()
            for upkeep in self._upkeep(service):
                stack.callback(tasks.create_task(upkeep, name="sourceflow upkeep").cancel)
            stack.push_async_callback(self._empty_relay)
            timer = tasks.create_task(self.timer.run(), name="sourceflow timer")
            stack.push_async_callback(_cancel, timer)
            if self.transport is not None:
                await self.transport.start(self.receiver.receive)
                stack.push_async_callback(self.transport.stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    def _build(self) -> None:
        locks = KeyedLocks()
        self.router = Router(self.wiring, self._routes, self._codec, self.clock, self._admit)
        self.relay = Relay(
            stores=self.stores,
            send=self._send,
            run_local=self._run_local,
            comes_back=self._comes_back,
            codec=self._codec,
            clock=self.clock,
            observer=self._user_observer,
        )
        self.timer = Timer(
            stores=self.stores, router=self.router, relay=self.relay, clock=self.clock
        )
        self.letters = LocalLetters(
            stores=self.stores, relay=self.relay, codec=self._codec, clock=self.clock
        )
        self.observer = Observers((_Arrivals(self.relay), self._user_observer))
        self.events = EventBus(
            wiring=self.wiring,
            router=self.router,
            timer=self.timer,
            stores=self.stores,
            locks=locks,
            clock=self.clock,
            observer=self.observer,
            middleware=self._middleware,
        )
        self.commands = CommandBus(
            wiring=self.wiring,
            router=self.router,
            events=self.events,
            timer=self.timer,
            stores=self.stores,
            locks=locks,
            clock=self.clock,
            observer=self.observer,
            middleware=self._middleware,
        )
        receiver = Receiver if self.claims is None else partial(ClaimingReceiver, self.claims)
        self.receiver = receiver(
            wiring=self.wiring,
            codec=self._codec,
            commands=self.commands,
            events=self.events,
            relay=self.relay,
            durable=self.stores.durable,
            clock=self.clock,
            observer=self.observer,
        )
        self.history = History(wiring=self.wiring, stores=self.stores, commands=self.commands)
        self.replay = Replay(
            wiring=self.wiring,
            stores=self.stores,
            history=self.history,
            events=self.events,
            locks=locks,
            clock=self.clock,
        )
        self.rebuild = Rebuild(
            wiring=self.wiring, router=self.router, stores=self.stores, events=self.events
        )

    def _stores_context(self) -> StoresContext:
        return StoresContext(
            app=self.wiring.app,
            codec=self._codec,
            clock=self.clock,
            view_models=self.wiring.view_models,
        )

    def _claims(self) -> MessageClaims | None:
        if not self._idempotency.claims_messages(self.stores):
            return None
        return MessageClaims(self._idempotency.service, app=self.wiring.app, clock=self.clock)

    def _upkeep(self, service: Idempotency) -> Iterator[Coroutine[Any, Any, None]]:
        """Return what runs beside the messages as long as the App does."""
        for each in (self.stores, service):
            if isinstance(each, Expiring):
                yield keep_clean(each, self.clock)
        if self.claims is not None:
            yield self.claims.run()

    def _transport_context(self) -> TransportContext:
        return TransportContext(
            app=self.wiring.app,
            subscribed=[name for event in self.wiring.events for name in type_info(event).names],
            clock=self.clock,
            dead_letters=self.stores.dead_letters,
            observer=self.observer,
            durable=self.stores.durable,
            codec=self._codec,
        )

    async def _empty_relay(self) -> None:
        """Let what is under way in this process end; say what does not."""
        try:
            async with asyncio.timeout(STOP_GRACE.total_seconds()):
                await self.relay.idle()
        except TimeoutError:
            left = ", ".join(f"{count} for {name}" for name, count in self.relay.left().items())
            kept = "the outbox keeps them" if self.stores.durable else "they are lost"
            log.error(  # noqa: TRY400 - a stack would say nothing about who is late
                "%s stops with messages under way (%s); %s", self.wiring.app, left, kept
            )

    async def send(
        self,
        command: object,
        *,
        message_id: str | None,
        headers: Mapping[str, str] | None,
        delay: timedelta | None,
        at: datetime | None,
    ) -> str:
        """See ``App.send``."""
        due = self.router.due(delay, at)
        envelope = self.router.command(command, message_id=message_id, headers=headers, due=due)
        await (self._dispatch if due is None else self._dispatch_later)(envelope)
        return envelope.id

    async def _schedule(self, command: Envelope[Any]) -> None:
        row = self.router.command_row(command, Stream(NO_STREAM, command.key))
        changes = Changes(schedule={command.id: row})
        async with self.stores.begin() as uow:
            await uow.commit(changes)
        self.timer.note(changes.schedule)

    async def _send_or_handle(self, command: Envelope[Any]) -> None:
        queue = self.router.queue_of(type(command.message))
        if queue is None:
            await self._handle(command)
            return
        (error,) = await self._send((self.router.outgoing(command, queue),))
        if error is not None:
            raise error

    async def _handle(self, command: Envelope[Any]) -> None:
        await self.relay.room()
        try:
            rows = await self.commands.handle(command)
        except (DuplicateError, Discard):
            return
        except Reject as reject:
            raise RejectedError(reject.reason) from reject
        self.relay.take(rows)

    async def send_many(self, commands: Sequence[object]) -> list[str]:
        """See ``App.send_many``."""
        envelopes = [self.router.command(command) for command in commands]
        outgoing: list[Outgoing] = []
        local: list[Envelope[Any]] = []
        for envelope in envelopes:
            await self._dispatch_many(envelope, outgoing, local)
        failed = await self._send_sorted(outgoing, local)
        if failed:
            raise SendManyError(failed)
        return [envelope.id for envelope in envelopes]

    async def _sort(
        self, command: Envelope[Any], outgoing: list[Outgoing], local: list[Envelope[Any]]
    ) -> None:
        """Write a routed command for the wire; leave any other to be handled here."""
        queue = self.router.queue_of(type(command.message))
        if queue is None:
            local.append(command)
        else:
            outgoing.append(self.router.outgoing(command, queue))

    async def _send_sorted(
        self, outgoing: Sequence[Outgoing], local: Sequence[Envelope[Any]]
    ) -> dict[str, Exception]:
        failed: dict[str, Exception] = {}
        errors = await self._send(outgoing) if outgoing else ()
        for each, error in zip(outgoing, errors, strict=True):
            if error is not None:
                failed[each.envelope.id] = error
        for command in local:
            try:
                await self._handle(command)
            except Exception as error:  # noqa: BLE001 - collected for the caller
                failed[command.id] = error
        return failed

    async def _send(self, outgoing: Sequence[Outgoing]) -> Sequence[Exception | None]:
        assert self.transport is not None  # only routed messages come here
        errors = await self.transport.send(outgoing)
        for each, error in zip(outgoing, errors, strict=True):
            self.observer.sent(each.envelope, each.destination, error)
        return errors

    def _admit(self, outgoing: Outgoing) -> None:
        assert self.transport is not None  # only routed messages come here
        self.transport.admit(outgoing)

    async def _run_local(self, row: OutboxRow, attempt: int) -> Sequence[OutboxRow]:
        if row.destination.kind == "command":
            return await self.commands.handle(row.envelope, attempt=attempt)
        delivered = await self.events.deliver(
            row.envelope, (row.destination.name,), attempt=attempt
        )
        for _, error in delivered.failed:
            raise error
        if not (delivered.done or delivered.failed):
            raise NoHandlerError(f"the subscriber {row.destination.name} is not part of the App")
        return delivered.rows

    def _comes_back(self, row: OutboxRow) -> bool:
        """Whether an event reaches this App again, through its own event queue."""
        event = type(row.envelope.message)
        return (
            row.destination.kind == "topic"
            and self._routes.arrives(event)
            and bool(self.wiring.subscribers(event))
        )


async def _cancel(task: asyncio.Task[None]) -> None:
    """End a task, and wait until it has."""
    task.cancel()
    await asyncio.wait((task,))


class _Arrivals(Observer):
    """Tells the relay of own events that came back and became dead letters."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def dead_lettered(self, letter: DeadLetter) -> None:
        self._relay.expected.arrived(letter.message_id)
