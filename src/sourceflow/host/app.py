"""The App: everything meets here."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sourceflow.bus.middleware import Middleware
from sourceflow.bus.observer import Observer
from sourceflow.bus.ports import HealthOptions
from sourceflow.bus.routes import NO_ROUTES
from sourceflow.clock import SystemClock
from sourceflow.domain.aggregate import Aggregate
from sourceflow.errors import NotRunningError
from sourceflow.host.assembly import assemble
from sourceflow.host.description import describe
from sourceflow.host.drain import wait_until_drained
from sourceflow.host.edge import EdgeScope
from sourceflow.host.engine import Engine
from sourceflow.host.idempotency import choose_idempotency
from sourceflow.host.names import check_app_name
from sourceflow.host.operations import Operations
from sourceflow.host.past import Past
from sourceflow.host.reads import Reads
from sourceflow.host.sends import Sends
from sourceflow.stores.memory import MemoryStores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from types import TracebackType

    from sourceflow.bus.instrumentation import Telemetry
    from sourceflow.bus.ports import DeadLetters, Idempotency, Stores, Transport
    from sourceflow.clock import Clock
    from sourceflow.host.assembly import Assembly

__all__ = ("App",)

log = logging.getLogger(__name__)

AggregateT = TypeVar("AggregateT", bound=Aggregate[Any])


class App(Operations, Sends, Reads, Past):
    """Sagas, aggregates and views with the stores and the transport they work on.

    ``async with app:`` starts it (checks the wiring, provisions, listens) and, on leaving, drains
    and stops it. ``await app.run()`` does the same for a worker, until SIGTERM or SIGINT.

    Args:
        components: Sagas, aggregates and views. Message types may stand among them: each command
            is then checked to have a handler or a route. So may functions marked ``@upcasts``.
        name: The App's name: its messages' source, its event queue's name, its outbox's owner.
        stores: Where everything is kept; in memory where not given.
        services: Objects that constructors of components ask for by type.
        idempotency: Claims arrived messages, where the stores do not outlive the process; may also
            stand among the services. One in memory where not given.
        middleware: Hooks around every message; the first is outermost.
        observer: Is told what happens.
        health: From when on a health report says degraded or unhealthy.
        telemetry: Follows messages: ``sourceflow.telemetry.otel.Telemetry()``. Where not given,
            nothing is traced or measured.
        clock: The time.

    Raises:
        ValueError: The name cannot be part of a queue's name, or there are several idempotency
            services.
    """

    def __init__(
        self,
        components: Sequence[type[Any] | Callable[..., Any]],
        *,
        name: str,
        stores: Stores | None = None,
        services: Sequence[object] = (),
        idempotency: Idempotency | None = None,
        middleware: Sequence[Middleware] = (),
        observer: Observer | None = None,
        health: HealthOptions | None = None,
        telemetry: Telemetry | None = None,
        clock: Clock | None = None,
    ) -> None:
        check_app_name(name)
        self._components = tuple(components)
        self._name = name
        self._stores: Stores = MemoryStores() if stores is None else stores
        self._middleware = tuple(middleware)
        self._observer = Observer() if observer is None else observer
        self._health = HealthOptions() if health is None else health
        self._telemetry = telemetry
        self._clock: Clock = SystemClock() if clock is None else clock
        self._idempotency = choose_idempotency(idempotency, services, self._clock)
        others = (each for each in services if each is not self.idempotency)
        self._services = (*others, self.idempotency)
        self._transport: Transport | None = None
        self._engine: Engine | None = None
        self._stack: AsyncExitStack | None = None

    @property
    def name(self) -> str:
        """The App's name."""
        return self._name

    @property
    def transport(self) -> Transport | None:
        """What messages travel by, as ``use`` was told; None where they stay in the process."""
        return self._transport

    @property
    def clock(self) -> Clock:
        """The App's time."""
        return self._clock

    @property
    def is_running(self) -> bool:
        """Whether it has started and does not stop yet."""
        return self._stack is not None

    def use(self, transport: Transport) -> Self:
        """Let commands and events travel by a transport; return the App.

        Raises:
            TypeError: It is a middleware: those are given to ``App(middleware=[…])``.
            RuntimeError: The App has a transport, or is running.
        """
        if isinstance(transport, Middleware):
            raise TypeError(
                f"{type(transport).__name__} is a middleware: give it to App(middleware=[…])"
            )
        if self._transport is not None:
            raise RuntimeError(f"the App {self._name!r} has a transport already")
        if self._stack is not None:
            raise RuntimeError(f"the App {self._name!r} is running: choose a transport before")
        self._transport = transport
        return self

    def check(self) -> tuple[str, ...]:
        """Check the wiring without starting anything.

        Returns:
            Warnings: what works, but maybe not as meant.

        Raises:
            WiringError: The App cannot start; names every fault.
        """
        assembly = self._assemble()
        assembly.raise_faults()
        return assembly.warnings

    def _assemble(self) -> Assembly:
        routes = NO_ROUTES if self._transport is None else self._transport.routes
        return assemble(self._components, name=self._name, routes=routes, services=self._services)

    async def __aenter__(self) -> Self:
        """Start.

        Raises:
            WiringError: The App cannot start as it is put together.
            AwsConfigurationError: A queue, topic or right is missing.
            RuntimeError: It is running.
        """
        await self._start(operating=False)
        return self

    async def _start(self, *, operating: bool) -> None:
        if self._stack is not None:
            raise RuntimeError(f"the App {self._name!r} is running")
        assembly = self._assemble()
        assembly.raise_faults()
        if not operating:
            for warning in assembly.warnings:
                log.warning("%s: %s", self._name, warning)
        async with AsyncExitStack() as stack:
            self._engine = await stack.enter_async_context(
                Engine(
                    wiring=assembly.wiring,
                    stores=self._stores,
                    transport=self._transport,
                    idempotency=self._idempotency,
                    middleware=self._middleware,
                    observer=self._observer,
                    health=self._health,
                    telemetry=self._telemetry,
                    clock=self._clock,
                    operating=operating,
                )
            )
            self._stack = stack.pop_all()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drain and stop."""
        stack, self._stack = self._stack, None
        assert stack is not None
        try:
            await stack.__aexit__(kind, error, traceback)
        finally:
            self._engine = None

    @asynccontextmanager
    async def operating(self) -> AsyncIterator[Self]:
        """Open the App to look, to repair and to send, beside the instances that run.

        Stores and transport are open, and that is all: nothing is listened to, taken from the
        outbox or the schedule, or handled here; no queue, topic or table is made. ``send`` confirms
        routed commands as ever, and leaves others in the stores to an instance that runs, as
        ``redrive`` does. Of handlers, only ``replay``, ``rebuild`` and ``at`` run any.

            async with app.operating():
                await app.send(CreateOrder(order_id="o-1", total=Decimal(5)))

        Raises:
            WiringError: The App is not sound.
            StoreConfigurationError: The tables are not there, or of another version.
            AwsConfigurationError: A queue, topic or right is missing.
            RuntimeError: It is running.
        """
        await self._start(operating=True)
        async with AsyncExitStack() as stack:
            stack.push_async_exit(self.__aexit__)
            yield self

    @property
    def _running(self) -> Engine:
        if self._engine is None:
            raise NotRunningError(
                f"the App {self._name!r} is not running: use it inside 'async with app:'"
            )
        return self._engine

    def aggregate(self, aggregate: type[AggregateT]) -> AggregateT:
        """Return an aggregate for a caller at the edge.

        Raises:
            LookupError: The App has no such component.
        """
        wiring = self._running.wiring
        if aggregate not in wiring.arguments:
            raise LookupError(
                f"{aggregate.__name__} is not among the components of the App {self._name!r}"
            )
        found: AggregateT = wiring.create(aggregate, EdgeScope(self))
        return found

    async def drained(self, *, timeout: float | timedelta = 30.0) -> None:  # noqa: ASYNC109 - the time is the App's clock's
        """Wait until everything that was sent is handled; for tests and demonstrations.

        The outbox is empty, nothing runs here, the queues that this App listens to show nothing
        visible, delayed or in flight twice in a row, and each event that this process published
        to a topic it subscribes to is settled. Scheduled commands count from when they are due.

        Args:
            timeout: How long to wait at most; a plain number is seconds.

        Raises:
            TimeoutError: Something is left; says what, and where.
        """
        limit = timeout if isinstance(timeout, timedelta) else timedelta(seconds=timeout)
        await wait_until_drained(self._running, limit)

    async def redrive(self, letter_id: str) -> None:
        """Try a message again that was given up in this process: its letter's source is ``local:…``.

        Of an event only the subscriber runs that failed. Letters of queues are redriven by the
        transport: ``aws.dead_letters.redrive(queue)``.

        Args:
            letter_id: The ``id`` of a record of ``app.dead_letters``; it is marked as replayed.

        Raises:
            LookupError: There is no such letter.
            ValueError: It was taken from a queue.
            MessageError: It can no longer be read.
        """
        await self._running.letters.redrive(letter_id)

    @property
    def dead_letters(self) -> DeadLetters:
        """Messages that were given up."""
        return self._stores.dead_letters

    @property
    def idempotency(self) -> Idempotency:
        """Says what was processed; the one that was registered, or one in memory."""
        return self._idempotency.service

    def describe(self) -> dict[str, Any]:
        """Return what the App is made of: components, messages, routes, queues and topics.

        Raises:
            WiringError: The App is not sound.
        """
        assembly = self._assemble()
        assembly.raise_faults()
        return describe(assembly, self._stores, self._idempotency, self._transport)

    def __repr__(self) -> str:
        state = "running" if self._engine is not None else "stopped"
        return f"App({self._name!r}, {len(self._components)} components, {state})"
