"""Counts what an App's observer is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from sourceflow.bus.observer import Observer
from sourceflow.telemetry import names
from sourceflow.telemetry.otel.spans import error_type

if TYPE_CHECKING:
    from sourceflow.bus.dead_letter import DeadLetter
    from sourceflow.bus.wiring import Wiring
    from sourceflow.messages import Envelope
    from sourceflow.telemetry.otel.instruments import Cell, Instruments

__all__ = ("Counts",)


class Counts(Observer):
    """Counts what took effect, what failed and what was given up: once each, when it is certain.

    Args:
        instruments: Count.
        wiring: Who handles what.
        details: Whether handlers have spans, which are told the number of their command.
    """

    def __init__(self, instruments: Instruments, wiring: Wiring, *, details: bool) -> None:
        self._wiring = wiring
        self._details = details
        self._commands = instruments.counter(names.COMMANDS_EXECUTED)
        self._sagas = instruments.counter(names.SAGAS_EXECUTED)
        self._handled: dict[type[Any], tuple[Cell, ...]] = {}
        self._subscribers = instruments.counter(names.SUBSCRIBERS_EXECUTED)
        self._failed = instruments.counter(names.HANDLERS_FAILED)
        self._duplicates = instruments.counter(names.DUPLICATES)
        self._letters = instruments.counter(names.DEAD_LETTERS)

    def handled(self, envelope: Envelope[Any], sequence: int | None, seconds: float) -> None:  # noqa: ARG002 - the observer's
        """A command's unit of work committed."""
        message_type = type(envelope.message)
        cells = self._handled.get(message_type)
        if cells is None:
            cells = self._handled[message_type] = (
                self._commands.cell(envelope.type_name),
                self._sagas.cell(self._wiring.commands[message_type].name),
            )
        for cell in cells:
            cell.count += 1
        if self._details and sequence is not None:
            trace.get_current_span().set_attribute(names.SEQUENCE.name, sequence)

    def projected(self, envelope: Envelope[Any], subscriber: str) -> None:
        """A subscriber's work on an event committed."""
        self._subscribers.add(envelope.type_name, subscriber)

    def failed(self, envelope: Envelope[Any], handler: str, error: BaseException) -> None:
        """A handler raised."""
        self._failed.add(envelope.type_name, handler, error_type(error))

    def duplicate(self, envelope: Envelope[Any]) -> None:
        """A message that was handled before came again."""
        self._duplicates.add(envelope.type_name)

    def dead_lettered(self, letter: DeadLetter) -> None:
        """A message was given up."""
        info = self._wiring.registry.find(letter.type_name)
        self._letters.add(names.UNKNOWN if info is None else info.name, letter.reason)
