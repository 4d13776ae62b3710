"""What handles commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sourceflow.domain.component import Sender

if TYPE_CHECKING:
    from sourceflow.messages import Event

__all__ = ("Saga",)

EntityT_co = TypeVar("EntityT_co", covariant=True)


class Saga(Sender, Generic[EntityT_co]):
    """Handles the commands of one kind of entity: ``(entity, command) -> entity``.

    It is not a long-running process: each command is one unit of work. ``Saga[None]`` handles
    commands without an entity; those have no stream and no log.

    A handler returns the new entity, ``None`` to leave it as it is, or ``DELETE`` to remove it.
    """

    def raise_event(self, event: Event | Any) -> None:
        """Let a fact be known: it leaves with the unit of work, or not at all.

        Raises:
            InvalidMessageError: It is not an event.
            MessageTooLargeError: It can never fit its topic.
            DepthExceededError: It is caused by a chain of over 50 messages.
        """
        self._scope.raise_event(event)
