"""Follows the messages of one App while it runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import context

from sourceflow.bus.instrumentation import Instrumentation, Reading
from sourceflow.bus.wiring import entity_name
from sourceflow.errors import DependencyError
from sourceflow.telemetry import names
from sourceflow.telemetry.otel.codec import FollowedCodec
from sourceflow.telemetry.otel.context import current_trace, parent_of
from sourceflow.telemetry.otel.counts import Counts
from sourceflow.telemetry.otel.sampler import Sampler
from sourceflow.telemetry.otel.spans import Steps
from sourceflow.telemetry.otel.stores import follow_stores
from sourceflow.telemetry.otel.wire import Wire
from sourceflow.telemetry.otel.wire_metrics import WireMetrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
    from datetime import timedelta

    from sourceflow.bus.changes import OutboxRow
    from sourceflow.bus.instrumentation import Handle, SendAll, Step
    from sourceflow.bus.ports import Outgoing, Stores
    from sourceflow.bus.wiring import Wiring
    from sourceflow.clock import Clock
    from sourceflow.domain.binding import Handler
    from sourceflow.messages import Codec, Envelope, KeyType, Registry, TraceContext
    from sourceflow.telemetry.otel.instruments import Instruments
    from sourceflow.telemetry.otel.tracer import Tracer

__all__ = ("Following",)


class Following(Instrumentation):
    """Wraps the steps of an App's messages in spans, and measures them.

    Args:
        core: Makes the spans of what happens inside the process.
        aws: Makes the spans of messages between processes.
        instruments: Measure.
        wiring: Who handles what.
        clock: The time.
        links: See ``Telemetry``.
        details: See ``Telemetry``.
        interval: See ``Telemetry``.
    """

    def __init__(
        self,
        core: Tracer,
        aws: Tracer,
        instruments: Instruments,
        *,
        wiring: Wiring,
        clock: Clock,
        links: bool,
        details: bool,
        interval: timedelta,
    ) -> None:
        durations = instruments.histogram(names.DOMAIN_DURATION)
        self._steps = Steps(core, durations, clock.monotonic) if details else None
        self._instruments = instruments
        self._wiring = wiring
        self._clock = clock
        self._sampler = Sampler(instruments, interval=interval, clock=clock)
        self.observer = Counts(instruments, wiring, details=details)
        self.current = current_trace
        self.wire = Wire(
            aws,
            WireMetrics(instruments),
            self._sampler,
            registry=wiring.registry,
            links=links,
            details=details,
            clock=clock,
        )

    def commands(self, handle: Handle) -> Handle:
        """Return what handles commands, each in a span where details are asked for."""
        steps = self._steps
        if steps is None:
            return handle

        async def followed(command: Envelope[Any], /, *, attempt: int = 1) -> Sequence[OutboxRow]:
            handler = self._wiring.commands.get(type(command.message))
            attributes = {**_about(command), names.ATTEMPT: attempt}
            if handler is not None:
                attributes[names.HANDLER] = handler.name
                if handler.state_type is not None:
                    attributes[names.ENTITY_TYPE] = entity_name(handler.state_type)
            with steps.follow(names.DISPATCH, "command", attributes, message=command.message):
                return await handle(command, attempt=attempt)

        return followed

    def subscribers(self, run: Step) -> Step:
        """Return what runs one subscriber, in a span where details are asked for."""
        steps = self._steps
        if steps is None:
            return run

        async def followed(event: Envelope[Any], handler: Handler, *rest: Any) -> Any:
            attributes = {**_about(event), names.HANDLER: handler.name, names.ATTEMPT: rest[-1]}
            with steps.follow(names.SUBSCRIBER, "subscriber", attributes, message=event.message):
                return await run(event, handler, *rest)

        return followed

    def local(self, run: Step) -> Step:
        """Return what handles a row of the outbox, in the trace of its message."""

        async def followed(row: OutboxRow, *rest: Any) -> Any:
            with _within(row.envelope.trace):
                return await run(row, *rest)

        return followed

    def relayed(self, send: SendAll) -> SendAll:
        """Return what sends rows of the outbox, each alone and in the trace of its message."""

        async def followed(outgoing: Sequence[Outgoing]) -> Sequence[Exception | None]:
            with _within(outgoing[0].envelope.trace):
                return await send(outgoing)

        return followed

    def replays(
        self, replay: Callable[[type[Any], KeyType], Awaitable[Any]]
    ) -> Callable[[type[Any], KeyType], Awaitable[Any]]:
        """Return what replays entities, in a span where details are asked for."""
        steps = self._steps
        if steps is None:
            return replay

        async def followed(entity_type: type[Any], key: KeyType) -> Any:
            attributes = {names.ENTITY_TYPE: entity_name(entity_type)}
            with steps.follow(names.REPLAY, "replay", attributes) as span:
                replayed = await replay(entity_type, key)
                span.set_attribute(names.COUNT.name, replayed.commands)
                return replayed

        return followed

    def rebuilds(self, rebuild: Step) -> Step:
        """Return what rebuilds views, in a span where details are asked for."""
        steps = self._steps
        if steps is None:
            return rebuild

        async def followed(view: type[Any], **options: Any) -> Any:
            attributes = {names.VIEW_MODEL_TYPE: self._view_model_of(view)}
            with steps.follow(names.REBUILD, "rebuild", attributes) as span:
                rebuilt = await rebuild(view, **options)
                span.set_attribute(names.COUNT.name, rebuilt.events)
                return rebuilt

        return followed

    def _view_model_of(self, view: type[Any]) -> str:
        handlers = (each for found in self._wiring.events.values() for each in found)
        types = (handler.state_type for handler in handlers if handler.component is view)
        return next((row_type.__name__ for row_type in types if row_type is not None), "")

    def stores(self, stores: Stores) -> Stores:
        """Return stores whose reads and commits are counted; their outbox is watched."""

        async def sample() -> Iterable[Reading]:
            try:
                depth, oldest = await stores.outbox.depth(), await stores.outbox.oldest()
            except DependencyError:
                return ()
            age = 0.0 if oldest is None else (self._clock.now() - oldest).total_seconds()
            app = {names.APP: self._wiring.app}
            return (
                Reading(names.OUTBOX_DEPTH, depth, app),
                Reading(names.OUTBOX_AGE, max(0.0, age), app),
            )

        self._sampler.watch(sample)
        return follow_stores(stores, self._instruments, self._steps)

    def codec(self, registry: Registry) -> Codec:
        """Return a codec whose work is counted."""
        monotonic = None if self._steps is None else self._clock.monotonic
        return FollowedCodec(registry, self._instruments, monotonic)

    async def run(self) -> None:
        """Take readings until cancelled; there are none afterwards."""
        await self._sampler.run()


@contextmanager
def _within(message: TraceContext | None) -> Iterator[None]:
    """Let the trace of a message be current: a task that sends many has that of the first."""
    within = parent_of(message)
    if within is None:
        yield
        return
    token = context.attach(within)
    try:
        yield
    finally:
        context.detach(token)


def _about(envelope: Envelope[Any]) -> dict[Any, Any]:
    """Return what spans tell of a message."""
    return {
        names.MESSAGE_TYPE: envelope.type_name,
        names.MESSAGE_ID: envelope.id,
        names.CONVERSATION_ID: envelope.correlation_id,
    }
