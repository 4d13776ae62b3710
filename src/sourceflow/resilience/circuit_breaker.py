"""Stop asking what does not answer: a circuit breaker (M. Nygard, "Release It!", chapter 5)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = (
    "CircuitBreaker",
    "CircuitChange",
    "CircuitOptions",
    "CircuitState",
    "CircuitStatistics",
)

log = logging.getLogger(__name__)

PROBE_WAIT: Final = timedelta(seconds=1)
"""What a caller is told to wait while the probe is under way."""


class CircuitState(Enum):
    """What a circuit does with calls."""

    CLOSED = "closed"
    """All pass."""
    OPEN = "open"
    """None passes."""
    HALF_OPEN = "half-open"
    """One at a time passes, as a probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitChange:
    """A change of state.

    Attributes:
        name: The circuit.
        previous: The state before.
        state: The state now.
        error: The failure that caused it; None where there was none.
        at: When it was, in UTC. A circuit becomes half open by itself, as time passes: that is told
            as the state before the next change.
    """

    name: str
    previous: CircuitState
    state: CircuitState
    error: BaseException | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitOptions:
    """When calls to something are suspended.

    Attributes:
        failures: So many failures one after the other open a circuit.
        open_for: So long nothing passes then.
        successes: So many probes one after the other close it again.
        on_change: Is told each change, after it has taken place. What it raises is logged.

    Raises:
        ValueError: A number is below 1, or ``open_for`` is nothing.
    """

    failures: int = 5
    open_for: timedelta = timedelta(seconds=60)
    successes: int = 2
    on_change: Callable[[CircuitChange], None] | None = None

    def __post_init__(self) -> None:
        if self.failures < 1 or self.successes < 1 or self.open_for <= timedelta(0):
            raise ValueError("failures and successes are at least 1, open_for is more than nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitStatistics:
    """What a circuit has counted since it was made.

    Attributes:
        state: Its state now.
        succeeded: Calls that succeeded.
        failed: Calls that failed for a reason that counts.
        refused: Calls that were not made.
        opened: How often it opened.
        in_a_row: Failures one after the other while it is closed, successes while it is not.
        last_error: The last failure that counted.
        failed_at: When that was, in UTC; None where there was none.
        changed_at: When it was opened or closed for the last time; None where it never was.
    """

    state: CircuitState
    succeeded: int
    failed: int
    refused: int
    opened: int
    in_a_row: int
    last_error: BaseException | None
    failed_at: datetime | None = None
    changed_at: datetime | None = None


class CircuitBreaker:
    """Lets calls pass, or not.

    Whoever calls asks ``enter`` first and then says how it went, exactly once: ``succeed``,
    ``fail``, or ``leave`` where it says nothing about the other side (a cancellation, a fault of
    the message).

    Invariant: half-open, at most one call is under way. A call that began before the circuit
    opened changes nothing any more: it says nothing about how things are now.

    Args:
        name: What is called, for people.
        monotonic: The time in seconds.
        options: When it opens, and closes again.
        now: The time of day in UTC, for who wants to know when something was; the machine's where
            not given.
    """

    def __init__(
        self,
        name: str,
        *,
        monotonic: Callable[[], float],
        options: CircuitOptions | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self.name = name
        self._monotonic = monotonic
        self._now = partial(datetime.now, UTC) if now is None else now
        self._options = CircuitOptions() if options is None else options
        self._is_open = False
        self._opened_at = 0.0
        self._in_a_row = 0
        self._probing = False
        self._epoch = 0
        self._succeeded = self._failed = self._refused = self._opened = 0
        self._last_error: BaseException | None = None
        self._failed_at: datetime | None = None
        self._changed_at: datetime | None = None

    @property
    def state(self) -> CircuitState:
        """The state now: an open circuit is half-open when its time is over, called or not."""
        if not self._is_open:
            return CircuitState.CLOSED
        return CircuitState.HALF_OPEN if self._left() <= 0 else CircuitState.OPEN

    @property
    def statistics(self) -> CircuitStatistics:
        """What it has counted."""
        return CircuitStatistics(
            state=self.state,
            succeeded=self._succeeded,
            failed=self._failed,
            refused=self._refused,
            opened=self._opened,
            in_a_row=self._in_a_row,
            last_error=self._last_error,
            failed_at=self._failed_at,
            changed_at=self._changed_at,
        )

    def enter(self) -> timedelta | int:
        """Ask whether a call may be made.

        Returns:
            A ticket to say with how it went, or, as a ``timedelta``, how long to wait before
            asking again.
        """
        if self._is_open:
            left = self._left()
            if left > 0 or self._probing:
                self._refused += 1
                return max(timedelta(seconds=left), PROBE_WAIT)
            self._probing = True
        return self._epoch

    def succeed(self, ticket: int) -> None:
        """Say that a call succeeded."""
        self._succeeded += 1
        if ticket != self._epoch:
            return
        if not self._is_open:
            self._in_a_row = 0
            return
        self._probing = False
        self._in_a_row += 1
        if self._in_a_row >= self._options.successes:
            self._close()

    def fail(self, ticket: int, error: BaseException) -> None:
        """Say that a call failed for a reason that lies on the other side."""
        self._failed += 1
        self._last_error = error
        self._failed_at = self._now()
        if ticket != self._epoch:
            return
        self._in_a_row += 1
        if self._is_open or self._in_a_row >= self._options.failures:
            self._open(error)

    def leave(self, ticket: int) -> None:
        """Say that a call ended without telling anything about the other side."""
        if ticket == self._epoch:
            self._probing = False

    def trip(self) -> None:
        """Open it by hand."""
        self._open(None)

    def reset(self) -> None:
        """Close it by hand."""
        self._close()

    def _left(self) -> float:
        return self._opened_at + self._options.open_for.total_seconds() - self._monotonic()

    def _open(self, error: BaseException | None) -> None:
        previous = self.state
        self._is_open = True
        self._opened += 1
        self._opened_at = self._monotonic()
        self._begin_epoch(previous, error)

    def _close(self) -> None:
        previous = self.state
        self._is_open = False
        self._begin_epoch(previous, None)

    def _begin_epoch(self, previous: CircuitState, error: BaseException | None) -> None:
        self._epoch += 1
        self._in_a_row = 0
        self._probing = False
        if previous is self.state:
            return
        self._changed_at = self._now()
        if self._options.on_change is None:
            return
        change = CircuitChange(
            name=self.name, previous=previous, state=self.state, error=error, at=self._changed_at
        )
        try:
            self._options.on_change(change)
        except Exception:  # the listener's own fault must not become the call's
            log.exception("a listener of the circuit %s failed", self.name)
