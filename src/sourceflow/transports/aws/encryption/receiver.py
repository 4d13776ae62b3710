"""What arrives is decrypted before it is handled, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sourceflow.bus.outcome import Paused, Rejected
from sourceflow.errors import DecryptionFailedError, DependencyError, PlaintextRefusedError
from sourceflow.transports.aws.encryption.format import is_sealed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from sourceflow.bus.outcome import Outcome
    from sourceflow.bus.ports import Delivery
    from sourceflow.transports.aws.encryption.cipher import Cipher

__all__ = ("DecryptingReceiver",)


class DecryptingReceiver:
    """Decrypts the messages of one queue, refuses what may not be in clear, and passes on the rest.

    An event that nobody here listens to is passed on as it is: it is acknowledged unread, and this
    App may not be allowed to read it.

    Args:
        receive: Handles a message in clear.
        cipher: Decrypts.
        destinations: ARNs of the queues and topics that messages may have been encrypted for.
        subscribed: Wire names of the events that somebody here listens to.
        requires: Whether messages in clear are refused.
        observer: Is told of what is not passed on.
    """

    def __init__(
        self,
        receive: Callable[[Delivery], Awaitable[Outcome]],
        *,
        cipher: Cipher,
        destinations: Collection[str],
        subscribed: Collection[str],
        requires: bool,
        observer: Any,
    ) -> None:
        self._receive = receive
        self._cipher = cipher
        self._destinations = destinations
        self._subscribed = subscribed
        self._requires = requires
        self._observer = observer

    async def __call__(self, delivery: Delivery) -> Outcome:
        """Handle one message; only cancellation comes out of it."""
        try:
            clear = await self._open(delivery)
        except DecryptionFailedError as error:
            return self._refused(delivery, Rejected(reason="DecryptionFailed", error=error))
        except PlaintextRefusedError as error:
            return self._refused(delivery, Rejected(reason="PlaintextRefused", error=error))
        except DependencyError as error:
            return self._refused(delivery, Paused(error=error))
        return await self._receive(clear)

    async def _open(self, delivery: Delivery) -> Delivery:
        if not is_sealed(delivery.body):
            if self._requires:
                raise PlaintextRefusedError("it is not encrypted; its queue takes no other")
            return delivery
        if self._is_ignored(delivery):
            return delivery
        body = await self._cipher.decrypt(
            delivery.body, destinations=self._destinations, type_hint=delivery.type_hint
        )
        return msgspec.structs.replace(delivery, body=body)

    def _is_ignored(self, delivery: Delivery) -> bool:
        hint = delivery.type_hint
        return delivery.kind == "event" and hint is not None and hint not in self._subscribed

    def _refused(self, delivery: Delivery, outcome: Outcome) -> Outcome:
        self._observer.received(delivery)
        self._observer.settled(delivery, outcome, 0.0)
        return outcome
