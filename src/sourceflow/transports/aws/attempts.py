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

    def of(self, message_id: str) -> Tally:
        """Return a message's tally, a new one where there is none."""
        return self._tallies.get(message_id) or Tally()

    def keep(self, message_id: str, tally: Tally) -> None:
        """Remember the tally of a message that will come again."""
        self._tallies.pop(message_id, None)
        self._tallies[message_id] = tally
        if len(self._tallies) > REMEMBERED:
            del self._tallies[next(iter(self._tallies))]

    def forget(self, message_id: str) -> None:
        """Forget a message that is settled."""
        self._tallies.pop(message_id, None)

    def __len__(self) -> int:
        return len(self._tallies)
