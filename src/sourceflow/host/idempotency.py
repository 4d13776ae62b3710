"""Which idempotency service an App works with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sourceflow.bus.ports import Idempotency
from sourceflow.stores.memory import InMemoryIdempotency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.bus.ports import Stores
    from sourceflow.clock import Clock

__all__ = ("IdempotencyChoice", "choose_idempotency")


class IdempotencyChoice(NamedTuple):
    """The service of an App.

    Attributes:
        service: It.
        is_default: Whether nobody has registered it.
    """

    service: Idempotency
    is_default: bool

    def claims_messages(self, stores: Stores) -> bool:
        """Whether arrived messages are claimed with it.

        Durable stores claim what they handle in the transaction of its effect, in all processes.
        Memory stores do so in this process, where the default could find nothing more.
        """
        return not (self.is_default or stores.durable)


def choose_idempotency(
    given: Idempotency | None, services: Sequence[object], clock: Clock
) -> IdempotencyChoice:
    """Return the service that was given or stands among the services; else one in memory.

    Raises:
        ValueError: There are several.
    """
    registered = [
        each for each in services if isinstance(each, Idempotency) and _has_its_methods(type(each))
    ]
    if given is not None and all(each is not given for each in registered):
        registered.append(given)
    if len(registered) > 1:
        raise ValueError(f"an App has one idempotency service, not {registered}")
    if registered:
        return IdempotencyChoice(registered[0], is_default=False)
    return IdempotencyChoice(InMemoryIdempotency(clock=clock), is_default=True)


def _has_its_methods(kind: type) -> bool:
    """Whether a class says so itself: objects that invent attributes, as mocks do, are no service."""
    return issubclass(kind, Idempotency)
