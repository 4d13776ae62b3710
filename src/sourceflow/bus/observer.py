"""Hooks that are told what happens: telemetry and tests listen here, hot paths stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


SIGNALS: Final = tuple(name for name in vars(Observer) if not name.startswith("_"))


class Observers(Observer):
    """Tells several observers in turn; those that leave a signal as it is cost nothing there."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        for signal in SIGNALS:
            listeners = [
                listener
                for listener in (getattr(observer, signal) for observer in observers)
                if getattr(listener, "__func__", None) is not getattr(Observer, signal)
            ]
            if listeners:
                setattr(self, signal, _tell_all(listeners))


def _tell_all(listeners: Sequence[Callable[..., None]]) -> Callable[..., None]:
    if len(listeners) == 1:
        return listeners[0]

    def tell(*arguments: object) -> None:
        for listener in listeners:
            listener(*arguments)

    return tell
