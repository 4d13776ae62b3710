"""Hooks that are told what happens: telemetry and tests listen here, hot paths stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sourceflow.bus.changes import Destination
    from sourceflow.bus.dead_letter import DeadLetter
    from sourceflow.bus.outcome import Outcome
    from sourceflow.bus.ports import Delivery
    from sourceflow.messages import Envelope

__all__ = ("Observer",)


class Observer:
    """Does nothing; override what you want to know. Methods must be quick and must not raise."""

    def sent(
        self, envelope: Envelope[Any], destination: Destination, error: Exception | None
    ) -> None:
        """A message left the process and was confirmed, or failed."""

    def received(self, delivery: Delivery) -> None:
        """A message arrived from a transport."""

    def settled(self, delivery: Delivery, outcome: Outcome, seconds: float) -> None:
        """The handling of an arrived message ended."""

    def handled(self, envelope: Envelope[Any], sequence: int | None, seconds: float) -> None:
        """A command's unit of work committed."""

    def projected(self, envelope: Envelope[Any], subscriber: str) -> None:
        """A subscriber's work on an event committed."""

    def failed(self, envelope: Envelope[Any], handler: str, error: BaseException) -> None:
        """A handler raised."""

    def duplicate(self, envelope: Envelope[Any]) -> None:
        """A message that was handled before came again."""

    def dead_lettered(self, letter: DeadLetter) -> None:
        """A message was given up."""


class Observers(Observer):
    """Tells several observers in turn."""

    __slots__ = ("_observers",)

    def __init__(self, observers: tuple[Observer, ...]) -> None:
        self._observers = observers

    def sent(
        self, envelope: Envelope[Any], destination: Destination, error: Exception | None
    ) -> None:
        """See ``Observer.sent``."""
        for observer in self._observers:
            observer.sent(envelope, destination, error)

    def received(self, delivery: Delivery) -> None:
        """See ``Observer.received``."""
        for observer in self._observers:
            observer.received(delivery)

    def settled(self, delivery: Delivery, outcome: Outcome, seconds: float) -> None:
        """See ``Observer.settled``."""
        for observer in self._observers:
            observer.settled(delivery, outcome, seconds)

    def handled(self, envelope: Envelope[Any], sequence: int | None, seconds: float) -> None:
        """See ``Observer.handled``."""
        for observer in self._observers:
            observer.handled(envelope, sequence, seconds)

    def projected(self, envelope: Envelope[Any], subscriber: str) -> None:
        """See ``Observer.projected``."""
        for observer in self._observers:
            observer.projected(envelope, subscriber)

    def failed(self, envelope: Envelope[Any], handler: str, error: BaseException) -> None:
        """See ``Observer.failed``."""
        for observer in self._observers:
            observer.failed(envelope, handler, error)

    def duplicate(self, envelope: Envelope[Any]) -> None:
        """See ``Observer.duplicate``."""
        for observer in self._observers:
            observer.duplicate(envelope)

    def dead_lettered(self, letter: DeadLetter) -> None:
        """See ``Observer.dead_lettered``."""
        for observer in self._observers:
            observer.dead_lettered(letter)
