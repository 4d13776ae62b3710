"""How often the handling of a message failed here: what AWS counts are receives, not failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ("Attempts", "Tally")

REMEMBERED: Final = 100_000
"""Messages whose failures are remembered at most; the oldest are forgotten first."""


@dataclass(slots=True)
class Tally:
    """The failures of one message.

    Attributes:
        failed: How often its handling failed.
        asked: How often a handler asked for a later try.
    """

    failed: int = 0
    asked: int = 0

    @property
    def handled(self) -> int:
        """How often it was handled."""
        return self.failed + self.asked


class Attempts:
    """The tallies of messages that come again, by SQS message id."""

    __slots__ = ("_tallies",)

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    def handled(self, message_id: str) -> int:
        """Return how often a message was handled and is to come again."""
        tally = self._tallies.get(message_id)
        return 0 if tally is None else tally.handled

    def count(self, message_id: str, *, asked: bool) -> Tally:
        """Count one more failure of a message, and remember it as the newest; return its tally.

        Args:
            message_id: The message.
            asked: Whether a handler asked for a later try.
        """
        tally = self._tallies.pop(message_id, None) or Tally()
        if asked:
            tally.asked += 1
        else:
            tally.failed += 1
        self._tallies[message_id] = tally
        if len(self._tallies) > REMEMBERED:
            del self._tallies[next(iter(self._tallies))]
        return tally

    def forget(self, message_id: str) -> None:
        """Forget a message that is settled."""
        self._tallies.pop(message_id, None)

    def __len__(self) -> int:
        return len(self._tallies)
