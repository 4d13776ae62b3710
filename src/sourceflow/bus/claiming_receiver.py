"""A receiver that claims messages with the idempotency service before it handles them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from sourceflow.bus.outcome import Duplicate, InProgress, Rejected, RetryLater
from sourceflow.bus.receiver import Receiver

if TYPE_CHECKING:
    from sourceflow.bus.message_claims import MessageClaims, MessageHold
    from sourceflow.bus.outcome import Outcome
    from sourceflow.bus.ports import Delivery
    from sourceflow.messages import Envelope

__all__ = ("ClaimingReceiver",)

_SAGA: Final = ("",)
"""Who handles a command, as claims name it."""


class ClaimingReceiver(Receiver):
    """Handles what no other process has handled, or works on.

    Invariant: a claim is completed after ``Receiver`` has said how the message ended, so only when
    its effects are safe.

    Args:
        claims: Claims messages.
        parts: See ``Receiver``.
    """

    def __init__(self, claims: MessageClaims, **parts: Any) -> None:
        super().__init__(**parts)
        self._claims = claims

    async def _command(self, command: Envelope[Any], delivery: Delivery) -> Outcome:
        async with self._claims.hold(command, _SAGA) as hold:
            if not hold.owned:
                return self._not_ours(command, hold)
            outcome = await super()._command(command, delivery)
            hold.done += hold.owned
        return outcome

    async def _event(self, event: Envelope[Any], delivery: Delivery) -> Outcome:
        names = [
            handler.name
            for handler in self._wiring.subscribers(type(event.message))
            if delivery.subscribers is None or handler.name in delivery.subscribers
        ]
        if not names:
            return await super()._event(event, delivery)
        async with self._claims.hold(event, names) as hold:
            if not hold.owned:
                return self._not_ours(event, hold)
            ours = structs.replace(delivery, subscribers=tuple(hold.owned))
            outcome = await super()._event(event, ours)
            left = outcome.subscribers if isinstance(outcome, RetryLater | Rejected) else ()
            hold.done += (name for name in hold.owned if name not in left)
        return _with_busy(outcome, hold)

    def _not_ours(self, message: Envelope[Any], hold: MessageHold) -> Outcome:
        """Return the outcome for a message that nobody here may handle: not now, or never again."""
        if hold.busy:
            return InProgress(delay=hold.remaining)
        self._relay.expected.arrived(message.id)  # an own event that came back, if it is awaited
        self._observer.duplicate(message)
        return Duplicate()


def _with_busy(outcome: Outcome, hold: MessageHold) -> Outcome:
    """Return the outcome for an event, with the subscribers that work on a copy of it elsewhere.

    They may have no other message to come back to: it is not settled before they are done, and a
    dead letter names them too.
    """
    if not hold.busy:
        return outcome
    if isinstance(outcome, RetryLater | Rejected):
        return replace(outcome, subscribers=(*outcome.subscribers, *hold.busy))
    return InProgress(delay=hold.remaining)
