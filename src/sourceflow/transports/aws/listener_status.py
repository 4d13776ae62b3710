"""How it goes with a queue that is listened to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ("ListenerState", "ListenerStatus")


class ListenerState(Enum):
    """What a listener does."""

    RECEIVING = "receiving"
    """It receives, or waits for a message."""
    PAUSED = "paused"
    """A dependency of a handler is away: one message probes it."""
    UNREACHABLE = "unreachable"
    """The queue does not answer, or asks for fewer calls; it is tried again soon."""
    MISCONFIGURED = "misconfigured"
    """The queue is gone, or access to it is denied: somebody has to mend it; it is tried slowly."""
    STOPPED = "stopped"
    """It receives nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerStatus:
    """How it goes with a queue that is listened to.

    Attributes:
        queue: Its name, without prefix.
        state: What its listener does.
        error: Why it does not receive; None where it does.
        running: Messages that are handled.
        held: Messages that are handled, wait for their turn, or are being deleted.
        waiting: Messages that wait for another try, with those behind them in their groups.
        polls: Receives under way, or about to be.
        quiet: How long it is since a receive was answered, also where it brought nothing; or since
            the listener began.
        longest: How long the message has been handled that has been handled the longest; nothing
            where none is handled.
    """

    queue: str
    state: ListenerState
    error: BaseException | None
    running: int
    held: int
    waiting: int
    polls: int
    quiet: timedelta
    longest: timedelta
