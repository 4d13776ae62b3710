"""What is looked at of an App: where it runs, and from a process in which it does not."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from sourceflow.bus.dead_letter import describe_error
from sourceflow.bus.ports import (
    Finding,
    HealthCheck,
    HealthChecked,
    HealthStatus,
    InspectedIdempotency,
    InspectedStores,
    InspectedTransport,
    StoresContext,
)
from sourceflow.bus.store_health import store_checks
from sourceflow.host.health import HealthEntry, HealthReport, HealthRunner
from sourceflow.messages import Codec, type_info
from sourceflow.resilience.task_scope import TaskScope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sourceflow.bus.ports import HealthOptions, Idempotency, Stores, Transport
    from sourceflow.bus.wiring import Wiring
    from sourceflow.clock import Clock

__all__ = ("Examination", "inspect", "not_running")

OPENING: Final = timedelta(seconds=10)
"""How long it may take to find out where AWS is, which no answer of AWS is part of."""


class Examination:
    """Looks at an App that runs, as often as it is asked.

    Args:
        stores: The App's.
        transport: The App's, if it has one.
        idempotency: The App's.
        options: From when on something is degraded or unhealthy.
        tasks: Runs the checks.
        clock: The time.
        operating: Whether it is only open to be operated.
    """

    def __init__(
        self,
        stores: Stores,
        transport: Transport | None,
        idempotency: Idempotency,
        *,
        options: HealthOptions,
        tasks: TaskScope,
        clock: Clock,
        operating: bool = False,
    ) -> None:
        self._state = "it is open to be operated, and handles nothing" if operating else "it runs"
        self._stores = stores
        self._parts = (stores, transport, idempotency)
        self._options = options
        self._clock = clock
        self._runner = HealthRunner(tasks, clock)

    async def report(self) -> HealthReport:
        """Look at everything, now."""
        checks = [
            HealthCheck("app", self._look),
            *store_checks(self._stores, self._options, self._clock),
        ]
        for part in self._parts:
            checks += _checks_of(part, self._options)
        return HealthReport.of(await self._runner.run(checks))

    async def _look(self) -> Finding:
        return Finding.healthy(self._state)

    def cancel(self) -> None:
        """End the checks that are under way."""
        self._runner.cancel()


def not_running(why: str) -> HealthReport:
    """Return the report of an App that does not run: nothing of it can be looked at."""
    return HealthReport.of([_entry(Finding.unhealthy(why))])


def _entry(finding: Finding) -> HealthEntry:
    """Return what is known of the App without asking anybody."""
    return HealthEntry(name="app", status=finding.status, detail=finding.detail, seconds=0.0)


def _checks_of(part: Any, options: HealthOptions) -> Sequence[HealthCheck]:
    """Return the checks of one part; where it cannot tell them, that is what is found."""
    if not isinstance(part, HealthChecked):
        return ()
    try:
        return part.health_checks(options)
    except Exception as error:  # noqa: BLE001 - a report has an answer to everything
        return (HealthCheck(type(part).__name__, partial(_failed, describe_error(error))),)


async def _failed(why: str) -> Finding:
    return Finding.unhealthy(why)


async def inspect(
    wiring: Wiring,
    stores: Stores,
    transport: Transport | None,
    idempotency: Idempotency,
    *,
    options: HealthOptions,
    clock: Clock,
) -> HealthReport:
    """Look at what an App depends on, without running it: nothing is made, nothing received.

    Args:
        wiring: Who handles what.
        stores: The App's.
        transport: The App's, if it has one.
        idempotency: The App's.
        options: From when on something is degraded or unhealthy.
        clock: The time.
    """
    entries = [_entry(Finding.healthy("its wiring is sound; it does not run here"))]
    opened = AsyncExitStack()
    async with TaskScope() as tasks, aclosing(opened):
        runner = HealthRunner(tasks, clock)
        inspection = _Inspection(wiring, stores, transport, idempotency, options, clock, opened)
        try:
            failed = await asyncio.gather(
                runner.run(inspection.databases_opening()),
                runner.run(inspection.transport_opening(), limit=OPENING.total_seconds()),
            )
            entries += [each for each in chain(*failed) if each.status is not HealthStatus.HEALTHY]
            entries += await runner.run(inspection.checks)
        finally:
            runner.cancel()
    return HealthReport.of(entries)


class _Inspection:
    """Opens what is looked at, and collects the checks of what could be opened."""

    def __init__(
        self,
        wiring: Wiring,
        stores: Stores,
        transport: Transport | None,
        idempotency: Idempotency,
        options: HealthOptions,
        clock: Clock,
        opened: AsyncExitStack,
    ) -> None:
        self._wiring = wiring
        self._stores = stores
        self._transport: object = transport  # whatever else it can do
        self._idempotency: object = idempotency
        self._options = options
        self._clock = clock
        self._opened = opened
        self.checks: list[HealthCheck] = []

    def databases_opening(self) -> Iterator[HealthCheck]:
        """Return what opens the stores and the idempotency service, if that is of any use."""
        if isinstance(self._stores, InspectedStores):
            yield HealthCheck("database", partial(self._open_stores, self._stores))
        if isinstance(self._idempotency, InspectedIdempotency):
            yield HealthCheck("idempotency", partial(self._open_idempotency, self._idempotency))

    def transport_opening(self) -> Iterator[HealthCheck]:
        """Return what opens the transport, if there is one that can be looked at."""
        if isinstance(self._transport, InspectedTransport):
            yield HealthCheck("transport", partial(self._open_transport, self._transport))

    async def _open_stores(self, stores: InspectedStores) -> Finding:
        context = StoresContext(
            app=self._wiring.app,
            codec=Codec(self._wiring.registry),
            clock=self._clock,
            view_models=self._wiring.view_models,
        )
        await self._opened.enter_async_context(stores.inspect(context))
        self.checks += store_checks(self._stores, self._options, self._clock)
        self.checks += stores.health_checks(self._options)
        return Finding.healthy("")

    async def _open_idempotency(self, service: InspectedIdempotency) -> Finding:
        await self._opened.enter_async_context(service.inspect())
        self.checks += service.health_checks(self._options)
        return Finding.healthy("")

    async def _open_transport(self, transport: InspectedTransport) -> Finding:
        await self._opened.enter_async_context(
            transport.inspect(
                app=self._wiring.app,
                subscribed=[
                    name for event in self._wiring.events for name in type_info(event).names
                ],
                clock=self._clock,
            )
        )
        self.checks += transport.health_checks(self._options)
        return Finding.healthy("")
