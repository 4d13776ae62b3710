"""What becomes of a message that a transport has received."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sourceflow.bus.family import Family
from sourceflow.bus.outcome import (
    Discarded,
    Done,
    Duplicate,
    Ignored,
    Paused,
    Rejected,
    RetryLater,
)
from sourceflow.errors import (
    DependencyError,
    DepthExceededError,
    Discard,
    DuplicateError,
    MessageError,
    NoHandlerError,
    Reject,
    Retry,
    UnknownTypeError,
    WrongKindError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.bus.changes import OutboxRow
    from sourceflow.bus.event_bus import EventBus
    from sourceflow.bus.instrumentation import Handle
    from sourceflow.bus.observer import Observer
    from sourceflow.bus.outcome import Outcome
    from sourceflow.bus.ports import Delivery
    from sourceflow.bus.relay import Relay
    from sourceflow.bus.wiring import Wiring
    from sourceflow.clock import Clock
    from sourceflow.messages import Codec, Envelope

__all__ = ("Receiver", "outcome_of")

_DONE: Final = Done()
"""How most messages end."""


class Receiver:
    """Decodes, handles, and says how it ended; only cancellation comes out of it.

    Invariant: ``Done`` is said only when the message's effects are safe: its unit of work has
    committed and, where the stores do not outlive the process, everything it caused is confirmed,
    handled or kept as a dead letter.
    """

    def __init__(
        self,
        *,
        wiring: Wiring,
        codec: Codec,
        handle: Handle,
        events: EventBus,
        relay: Relay,
        durable: bool,
        retries_unheard: bool,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._wiring = wiring
        self._codec = codec
        self._handle = handle
        self._events = events
        self._relay = relay
        self._durable = durable
        self._retries_unheard = retries_unheard
        self._clock = clock
        self._observer = observer
        self._families: dict[tuple[str, str], Family] = {}
        self.running = 0

    async def receive(self, delivery: Delivery) -> Outcome:
        """Handle one message."""
        self.running += 1
        self._observer.received(delivery)
        started = self._clock.monotonic()
        try:
            outcome = await self._receive(delivery)
        finally:
            self.running -= 1
        self._observer.settled(delivery, outcome, self._clock.monotonic() - started)
        return outcome

    async def _receive(self, delivery: Delivery) -> Outcome:
        if delivery.kind == "event" and self._is_unheard(delivery.type_hint):
            return self._unheard(delivery.type_hint)
        try:
            envelope = self._codec.decode(
                delivery.body, type_hint=delivery.type_hint, kind=delivery.kind
            )
        except MessageError as error:
            return _undecoded(error)
        try:
            if delivery.kind == "command":
                outcome = await self._command(envelope, delivery)
            else:
                outcome = await self._event(envelope, delivery)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises becomes an outcome
            return outcome_of(error, envelope.message)
        return outcome

    def _is_unheard(self, type_name: str | None) -> bool:
        """Whether nobody here listens to an event, judged without decoding it."""
        if type_name is None:
            return False
        info = self._wiring.registry.find(type_name)
        return info is None or (info.kind == "event" and not self._wiring.subscribers(info.type))

    def _unheard(self, type_name: str | None) -> Outcome:
        """Return the outcome for an event that nobody here listens to: a newer instance may."""
        if not self._retries_unheard:
            return Ignored()
        error = NoHandlerError(f"no subscriber of this instance listens to the event {type_name!r}")
        return outcome_of(error, None)

    async def _command(self, command: Envelope[Any], delivery: Delivery) -> Outcome:
        try:
            rows = await self._handle(command, attempt=delivery.attempt)
        except DuplicateError:
            await self._leave(command, ())
            return Duplicate()
        await self._leave(command, rows)
        return _DONE

    async def _event(self, event: Envelope[Any], delivery: Delivery) -> Outcome:
        if not self._wiring.subscribers(type(event.message)):
            return self._unheard(event.type_name)
        delivered = await self._events.deliver(
            event, delivery.subscribers, attempt=delivery.attempt, arrived=True
        )
        await self._leave(event, delivered.rows)
        if delivered.failed:
            return _failed(delivered.failed, event.message)
        self._relay.expected.arrived(event.id)
        if not delivered.fresh:
            self._observer.duplicate(event)
            return Duplicate()
        return _DONE

    async def _leave(self, message: Envelope[Any], rows: Sequence[OutboxRow]) -> None:
        """Take what a message caused on its way; wait for it if only this process knows of it.

        Another copy of the message waits for the same family: it may arrive while the first one
        waits here, and to acknowledge either of them deletes both.
        """
        if self._durable:
            self._relay.take(rows)
            return
        identity = (message.source, message.id)
        family = self._families.get(identity)
        if family is None:
            if not rows:
                return
            family = Family(lambda: self._families.pop(identity))
            self._families[identity] = family
        self._relay.take(rows, family)
        await family.gone()


def _undecoded(error: MessageError) -> Outcome:
    match error:
        case UnknownTypeError():  # a newer instance may know it
            return RetryLater(error=error, reason="UnknownType")
        case WrongKindError():
            return Rejected(reason="WrongKind", error=error)
        case _:
            return Rejected(reason="Malformed", error=error)


def outcome_of(error: BaseException, message: object, subscribers: tuple[str, ...] = ()) -> Outcome:
    """Return what an error means for the message that met it."""
    match error:
        case DuplicateError():
            return Duplicate()
        case Discard(reason=reason):
            return Discarded(reason=reason)
        case Retry(delay=delay):
            return RetryLater(
                error=error, delay=delay, asked=True, subscribers=subscribers, message=message
            )
        case Reject() | DepthExceededError():
            return Rejected(
                reason="Rejected", error=error, subscribers=subscribers, message=message
            )
        case DependencyError():
            return Paused(error=error, message=message)
        case NoHandlerError():
            return RetryLater(
                error=error, reason="UnknownType", subscribers=subscribers, message=message
            )
        case _:
            return RetryLater(error=error, subscribers=subscribers, message=message)


def _failed(failed: Sequence[tuple[str, BaseException]], event: object) -> Outcome:
    """Return the outcome for an event of which some subscribers failed.

    A rejected subscriber waits with the others that may yet succeed: the event is a dead letter
    for all that are left, or for none.
    """
    subscribers = tuple(name for name, _ in failed)
    outcomes = [outcome_of(error, event, subscribers) for _, error in failed]
    for outcome in outcomes:
        if isinstance(outcome, RetryLater):
            return outcome
    return outcomes[0]
