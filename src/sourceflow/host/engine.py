"""A running App: the buses, the relay and the transport, started and stopped in order."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from sourceflow.bus.claiming_receiver import ClaimingReceiver
from sourceflow.bus.cleaning import keep_clean
from sourceflow.bus.command_bus import CommandBus
from sourceflow.bus.event_bus import EventBus
from sourceflow.bus.history import History
from sourceflow.bus.instrumentation import UNFOLLOWED
from sourceflow.bus.local_letters import LocalLetters
from sourceflow.bus.locks import KeyedLocks
from sourceflow.bus.message_claims import MessageClaims
from sourceflow.bus.observer import Observer, Observers
from sourceflow.bus.ports import EncryptsAtRest, Expiring, StoresContext, TransportContext
from sourceflow.bus.rebuild import Rebuild
from sourceflow.bus.receiver import Receiver
from sourceflow.bus.relay import Relay
from sourceflow.bus.replay import Replay
from sourceflow.bus.router import Router
from sourceflow.bus.routes import NO_ROUTES
from sourceflow.bus.scope import StoreReader
from sourceflow.bus.step_log import StepLog
from sourceflow.bus.timer import Timer
from sourceflow.errors import NoHandlerError
from sourceflow.host.dispatcher import Dispatcher
from sourceflow.host.examination import Examination
from sourceflow.host.watchdog import LoopWatchdog
from sourceflow.messages import type_info
from sourceflow.resilience.task_scope import TaskScope

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence
    from types import TracebackType

    from sourceflow.bus.changes import OutboxRow
    from sourceflow.bus.dead_letter import DeadLetter
    from sourceflow.bus.instrumentation import Telemetry
    from sourceflow.bus.middleware import Middleware
    from sourceflow.bus.ports import HealthOptions, Outgoing, RecordCipher, Stores, Transport
    from sourceflow.bus.wiring import Wiring
    from sourceflow.clock import Clock
    from sourceflow.host.idempotency import IdempotencyChoice

__all__ = ("Engine",)

log = logging.getLogger(__name__)

STOP_GRACE: Final = timedelta(seconds=30)
"""How long work in this process may take to end when the App stops."""


class Engine:
    """Everything that runs while an App runs.

    Start: stores, transport (provisions), relay, timer, then listening. Stop, the other way
    round: listening ends and what runs is finished, the timer stops, the relay empties, sends and
    acknowledgements are flushed, stores are closed.

    Args:
        wiring: Who handles what.
        stores: Where everything is kept.
        transport: What messages travel by.
        idempotency: What claims arrived messages.
        middleware: Hooks around every message.
        observer: Is told what happens.
        telemetry: Follows messages; None where nobody wants to know.
        clock: The time.
        operating: Only open stores and transport, see ``App.operating``: no relay, no timer, no
            upkeep and no listening.
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
        health: HealthOptions,
        telemetry: Telemetry | None,
        clock: Clock,
        operating: bool = False,
    ) -> None:
        self.wiring = wiring
        self.stores = stores
        self.transport = transport
        self.clock = clock
        self._operating = operating
        self._idempotency = idempotency
        self.claims = self._claims()
        self._routes = NO_ROUTES if transport is None else transport.routes
        self._middleware = middleware
        self._health = health
        self._following = UNFOLLOWED if telemetry is None else telemetry.instrument(wiring, clock)
        following = self._following.observer
        observers = (observer,) if following is None else (following, observer)
        self._user_observer = Observers((StepLog(self._following.current), *observers))
        self._codec = self._following.codec(wiring.registry)
        self._followed_stores = self._following.stores(stores)
        self._stack = AsyncExitStack()
        self.reader = StoreReader(self._followed_stores)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(LoopWatchdog())
            await self.stores.open(self._stores_context(await self._record_cipher(stack)))
            stack.push_async_callback(self.stores.aclose)
            service = self._idempotency.service
            if isinstance(service, AbstractAsyncContextManager):
                await stack.enter_async_context(service)
            self._build()
            if self.transport is not None:
                await self.transport.open(self._transport_context())
                stack.push_async_callback(self.transport.aclose)
            await self._examine(stack)
            if not self._operating:
                await self._work(stack)
            self._stack = stack.pop_all()
        return self

    async def _examine(self, stack: AsyncExitStack) -> None:
        tasks = await stack.enter_async_context(TaskScope())
        self.examination = Examination(
            self.stores,
            self.transport,
            self._idempotency.service,
            options=self._health,
            tasks=tasks,
            clock=self.clock,
            operating=self._operating,
        )
        stack.callback(self.examination.cancel)

    async def _work(self, stack: AsyncExitStack) -> None:
        """Begin to send what waits, to handle and to listen; ``stack`` ends it."""
        tasks = await stack.enter_async_context(TaskScope())
        started = asyncio.Event()
        relay = tasks.create_task(self.relay.run(started), name="sourceflow relay")
        stack.callback(relay.cancel)
        await started.wait()
        for upkeep in self._upkeep():
            stack.callback(tasks.create_task(upkeep, name="sourceflow upkeep").cancel)
        stack.push_async_callback(self._empty_relay)
        timer = tasks.create_task(self.timer.run(), name="sourceflow timer")
        stack.push_async_callback(_cancel, timer)
        if self.transport is not None:
            await self.transport.start(self.receiver.receive)
            stack.push_async_callback(self.transport.stop)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    def _build(self) -> None:
        locks = KeyedLocks()
        following, stores = self._following, self._followed_stores
        self.router = Router(
            self.wiring,
            self._routes,
            self._codec,
            self.clock,
            self._admit,
            trace=following.current,
        )
        self.relay = Relay(
            stores=self.stores,
            send=following.relayed(self._send),
            run_local=following.local(self._run_local),
            comes_back=self._comes_back,
            codec=self._codec,
            clock=self.clock,
            observer=self._user_observer,
        )
        self.timer = Timer(
            stores=self.stores, router=self.router, relay=self.relay, clock=self.clock
        )
        self.letters = LocalLetters(
            stores=self.stores, take=self._take, codec=self._codec, clock=self.clock
        )
        self.observer = Observers((_Arrivals(self.relay), self._user_observer))
        self.events = EventBus(
            wiring=self.wiring,
            router=self.router,
            timer=self.timer,
            stores=stores,
            locks=locks,
            clock=self.clock,
            observer=self.observer,
            middleware=self._middleware,
            instrumentation=following,
        )
        self.commands = CommandBus(
            wiring=self.wiring,
            router=self.router,
            events=self.events,
            timer=self.timer,
            stores=stores,
            locks=locks,
            clock=self.clock,
            observer=self.observer,
            middleware=self._middleware,
        )
        self.handle = following.commands(self.commands.handle)
        self.dispatcher = Dispatcher(
            router=self.router,
            handle=self.handle,
            stores=self.stores,
            timer=self.timer,
            relay=self.relay,
            send=self._send,
            middleware=self._middleware,
            handles=not self._operating,
        )
        receiver = Receiver if self.claims is None else partial(ClaimingReceiver, self.claims)
        self.receiver = receiver(
            wiring=self.wiring,
            codec=self._codec,
            handle=self.handle,
            events=self.events,
            relay=self.relay,
            durable=self.stores.durable,
            retries_unheard=self._routes.retries_unheard,
            clock=self.clock,
            observer=self.observer,
        )
        self.history = History(wiring=self.wiring, stores=stores, commands=self.commands)
        self.replay = Replay(
            wiring=self.wiring,
            stores=stores,
            history=self.history,
            events=self.events,
            locks=locks,
            clock=self.clock,
        )
        self.rebuild = Rebuild(
            wiring=self.wiring, router=self.router, stores=self.stores, events=self.events
        )
        self.run_replay = following.replays(self.replay.replay)
        self.run_rebuild = following.rebuilds(self.rebuild.rebuild)

    async def _record_cipher(self, stack: AsyncExitStack) -> RecordCipher | None:
        """Open what the transport has for encrypting stores: they need it first, and last."""
        keys: object = self.transport
        if not isinstance(keys, EncryptsAtRest):
            return None
        opened = keys.record_cipher(app=self.wiring.app, clock=self.clock)
        return await stack.enter_async_context(opened)

    def _stores_context(self, cipher: RecordCipher | None) -> StoresContext:
        return StoresContext(
            app=self.wiring.app,
            codec=self._codec,
            clock=self.clock,
            view_models=() if self._operating else self.wiring.view_models,
            operating=self._operating,
            cipher=cipher,
        )

    def _claims(self) -> MessageClaims | None:
        if not self._idempotency.claims_messages(self.stores):
            return None
        return MessageClaims(self._idempotency.service, app=self.wiring.app, clock=self.clock)

    def _upkeep(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Return what runs beside the messages as long as the App does."""
        for each in (self.stores, self._idempotency.service):
            if isinstance(each, Expiring):
                yield keep_clean(each, self.clock)
        if self.claims is not None:
            yield self.claims.run()
        if self._following is not UNFOLLOWED:
            yield self._following.run()

    def _transport_context(self) -> TransportContext:
        return TransportContext(
            app=self.wiring.app,
            subscribed=[name for event in self.wiring.events for name in type_info(event).names],
            clock=self.clock,
            dead_letters=self.stores.dead_letters,
            observer=self.observer,
            durable=self.stores.durable,
            codec=self._codec,
            operating=self._operating,
            wire=self._following.wire,
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

    async def _send(self, outgoing: Sequence[Outgoing]) -> Sequence[Exception | None]:
        assert self.transport is not None  # only routed messages come here
        errors = await self.transport.send(outgoing)
        for each, error in zip(outgoing, errors, strict=True):
            self.observer.sent(each.envelope, each.destination, error)
        return errors

    def _take(self, rows: Sequence[OutboxRow]) -> None:
        """Take committed rows on their way; where nothing is sent, closing gives them to others."""
        if not self._operating:
            self.relay.take(rows)

    def _admit(self, outgoing: Outgoing) -> None:
        assert self.transport is not None  # only routed messages come here
        self.transport.admit(outgoing)

    async def _run_local(self, row: OutboxRow, attempt: int) -> Sequence[OutboxRow]:
        if row.destination.kind == "command":
            return await self.handle(row.envelope, attempt=attempt)
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
