"""How an App is run, served and watched."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

from sourceflow.host.examination import inspect, not_running
from sourceflow.host.signals import stop_signals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from sourceflow.bus.ports import HealthOptions, Stores, Transport
    from sourceflow.clock import Clock
    from sourceflow.host.assembly import Assembly
    from sourceflow.host.engine import Engine
    from sourceflow.host.health import HealthReport
    from sourceflow.host.idempotency import IdempotencyChoice

__all__ = ("Operations",)

log = logging.getLogger(__name__)


class Operations(ABC):
    """The part of an App that those use who run it."""

    _name: str
    _stores: Stores
    _transport: Transport | None
    _idempotency: IdempotencyChoice
    _health: HealthOptions
    _clock: Clock
    _engine: Engine | None

    @property
    @abstractmethod
    def is_running(self) -> bool:
        """Whether it has started and does not stop yet."""

    @abstractmethod
    def _assemble(self) -> Assembly:
        """Put the components together."""

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT, then drain and stop.

        A second signal ends it without waiting for handlers: their messages are handed back.

        Raises:
            WiringError: The App cannot start as it is put together.
        """
        async with stop_signals() as stopped, self:
            log.info("%s is running", self._name)
            await stopped.wait()
            log.info("%s is stopping", self._name)

    @asynccontextmanager
    async def lifespan(self, web: object = None) -> AsyncIterator[None]:  # noqa: ARG002 - the frameworks' call
        """Run the App as long as a web application runs.

        FastAPI and Starlette take it as ``lifespan=app.lifespan``, Litestar as
        ``lifespan=[app.lifespan]``. The server's signals end it: what is handled is finished before
        the process ends.

        Args:
            web: The web application; nothing of it is used.

        Raises:
            WiringError: The App cannot start as it is put together.
            AwsConfigurationError: A queue, topic or right is missing.
        """
        async with self:
            yield

    async def health(self) -> HealthReport:
        """Look at everything that the App depends on, now: side by side, 2 seconds at most.

        It does not raise: what cannot be looked at is unhealthy. Where the App does not run, that
        is all the report says. See the guide for what is looked at.

        Returns:
            How it is, with an entry for each thing.
        """
        engine = self._engine
        if engine is None:
            return not_running(f"the App {self._name!r} has not started")
        if not self.is_running:
            return not_running(f"the App {self._name!r} is stopping")
        return await engine.examination.report()

    async def inspect(self) -> HealthReport:
        """Look at what the App depends on from a process in which it does not run.

        The database is read, queues and topics are asked for; nothing is made and nothing is
        received. What only a running App knows, its listeners and circuits, is left out. Of an App
        that runs here it is the same as ``health``.

        Raises:
            WiringError: The App is not sound.
        """
        if self._engine is not None:
            return await self.health()
        assembly = self._assemble()
        assembly.raise_faults()
        return await inspect(
            assembly.wiring,
            self._stores,
            self._transport,
            self._idempotency.service,
            options=self._health,
            clock=self._clock,
        )
