"""The one message that asks whether a dependency is back, while all others wait elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sourceflow.transports.aws.leases import Lease

__all__ = ("Probe",)


class Probe:
    """At most one message of a queue probes a dependency that is away (ADR 0011).

    The probe stays leased and its tries are not counted: it is no fault of the message. All others
    are handed back, once, as nothing is received before the probe has got through.

    Args:
        pause: Stops receiving, and sends away who waits for a slot.
        resume: Receives again.
    """

    __slots__ = ("_lease", "_pause", "_resume", "error", "tries")

    def __init__(self, *, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pause = pause
        self._resume = resume
        self._lease: Lease | None = None
        self.tries = 0
        self.error: BaseException | None = None

    def begin(self, lease: Lease, error: BaseException) -> bool:
        """Note that a dependency is away; return whether this message is the probe."""
        if self._lease is None:
            self._lease = lease
            self._pause()
        if self._lease is not lease:
            return False
        self.error = error
        self.tries += 1
        return True

    def excludes(self, lease: Lease) -> bool:
        """Return whether another message is the probe."""
        return self._lease is not None and self._lease is not lease

    def end(self, lease: Lease) -> None:
        """Receive again, if this message is the probe: it got through, or is ours no longer."""
        if self._lease is lease:
            self._lease = None
            self.error = None
            self.tries = 0
            self._resume()
