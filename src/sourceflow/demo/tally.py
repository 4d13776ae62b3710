"""Counts what happens while the demo runs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sourceflow.bus.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.bus.dead_letter import DeadLetter
    from sourceflow.messages import Envelope

__all__ = ("Tally",)


class Tally(Observer):
    """Counts each command that is handled and each event that a subscriber has projected.

    Args:
        subscribers: For each event type's wire name, who projects it.
    """

    def __init__(self, subscribers: Mapping[str, frozenset[str]]) -> None:
        self._subscribers = subscribers
        self._handled: Counter[str] = Counter()
        self._projected: dict[str, Counter[str]] = {}
        self.duplicates = 0
        self.dead_letters = 0
        self.events_projected = 0
        self._overdone = False

    @property
    def commands_handled(self) -> int:
        """Distinct commands whose unit of work committed."""
        return len(self._handled)

    @property
    def each_once(self) -> bool:
        """Whether no command was handled twice and no event projected twice."""
        return not self._overdone

    def handled(self, envelope: Envelope[Any], sequence: int | None, seconds: float) -> None:  # noqa: ARG002 - the port's
        """Count a command."""
        self._handled[envelope.id] += 1
        if self._handled[envelope.id] > 1:
            self._overdone = True

    def projected(self, envelope: Envelope[Any], subscriber: str) -> None:
        """Count an event once all of its projections have committed."""
        done = self._projected.setdefault(envelope.id, Counter())
        done[subscriber] += 1
        if done[subscriber] > 1:
            self._overdone = True
        elif set(done) == self._subscribers[envelope.type_name]:
            self.events_projected += 1

    def duplicate(self, envelope: Envelope[Any]) -> None:  # noqa: ARG002 - the port's
        """Count a message that came again."""
        self.duplicates += 1

    def dead_lettered(self, letter: DeadLetter) -> None:  # noqa: ARG002 - the port's
        """Count a message that was given up."""
        self.dead_letters += 1
