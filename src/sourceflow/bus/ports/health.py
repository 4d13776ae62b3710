"""What stores, transports and services tell of how they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from contextlib import AbstractAsyncContextManager

    from sourceflow.bus.ports.stores import StoresContext
    from sourceflow.clock import Clock

__all__ = (
    "Finding",
    "HealthCheck",
    "HealthChecked",
    "HealthOptions",
    "HealthStatus",
    "InspectedIdempotency",
    "InspectedStores",
    "InspectedTransport",
)


class HealthStatus(StrEnum):
    """How something is; the worst of all parts is how the whole is."""

    HEALTHY = "healthy"
    """It works."""
    DEGRADED = "degraded"
    """It works, and somebody should look."""
    UNHEALTHY = "unhealthy"
    """It does not work."""


class Finding(NamedTuple):
    """What a check has found.

    Attributes:
        status: How it is.
        detail: Why, for people; it holds no value of a message and no secret.
    """

    status: HealthStatus
    detail: str

    @classmethod
    def healthy(cls, detail: str) -> Self:
        """Say that it works."""
        return cls(HealthStatus.HEALTHY, detail)

    @classmethod
    def degraded(cls, detail: str) -> Self:
        """Say that it works, and that somebody should look."""
        return cls(HealthStatus.DEGRADED, detail)

    @classmethod
    def unhealthy(cls, detail: str) -> Self:
        """Say that it does not work."""
        return cls(HealthStatus.UNHEALTHY, detail)


class HealthCheck(NamedTuple):
    """One thing to look at.

    Attributes:
        name: What it is called, the same each time: ``database``, ``queue orders.fifo``.
        look: Looks. What it raises counts as unhealthy, and so does taking more than two seconds;
            it is cancelled then.
    """

    name: str
    look: Callable[[], Awaitable[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthOptions:
    """From when on something counts as degraded or unhealthy.

    Attributes:
        outbox_age_degraded: The age of the oldest message in the outbox.
        outbox_age_unhealthy: Likewise.
        outbox_depth_degraded: How many messages wait in the outbox.
        outbox_depth_unhealthy: Likewise.
        listener_stalled: How long a listener may be held up before it is unhealthy.
        handling_degraded: How long a message may be handled: a handler that never returns keeps its
            message from all others, and those behind it of its group.

    Raises:
        TypeError: A value is of the wrong type.
        ValueError: A value is not more than nothing, or what is unhealthy is less than what is
            degraded.
    """

    outbox_age_degraded: timedelta = timedelta(minutes=1)
    outbox_age_unhealthy: timedelta = timedelta(minutes=10)
    outbox_depth_degraded: int = 10_000
    outbox_depth_unhealthy: int = 100_000
    listener_stalled: timedelta = timedelta(minutes=1)
    handling_degraded: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        for name in (
            "outbox_age_degraded",
            "outbox_age_unhealthy",
            "listener_stalled",
            "handling_degraded",
        ):
            value = getattr(self, name)
            if not isinstance(value, timedelta):
                raise TypeError(f"{name} is a timedelta, not {type(value).__name__}")
            if value <= timedelta(0):
                raise ValueError(f"{name} is more than nothing, not {value}")
        for name in ("outbox_depth_degraded", "outbox_depth_unhealthy"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} is a whole number, not {type(value).__name__}")
            if value < 1:
                raise ValueError(f"{name} is at least 1, not {value}")
        if self.outbox_age_unhealthy < self.outbox_age_degraded:
            raise ValueError("outbox_age_unhealthy is less than outbox_age_degraded")
        if self.outbox_depth_unhealthy < self.outbox_depth_degraded:
            raise ValueError("outbox_depth_unhealthy is less than outbox_depth_degraded")


@runtime_checkable
class HealthChecked(Protocol):
    """What tells how it is, while it is open: stores, a transport, an idempotency service may."""

    def health_checks(self, options: HealthOptions) -> Sequence[HealthCheck]:
        """Return what to look at now.

        They are all made side by side, for each report anew.

        Args:
            options: The App's thresholds.
        """
        ...


@runtime_checkable
class InspectedStores(HealthChecked, Protocol):
    """Stores that can be looked at by a process in which no App runs."""

    def inspect(self, context: StoresContext) -> AbstractAsyncContextManager[object]:
        """Open them to be looked at, and change nothing: ``health_checks`` works meanwhile.

        So do ``outbox.depth``, ``outbox.oldest`` and ``dead_letters.count``.
        """
        ...


@runtime_checkable
class InspectedIdempotency(HealthChecked, Protocol):
    """An idempotency service that can be looked at by a process in which no App runs."""

    def inspect(self) -> AbstractAsyncContextManager[object]:
        """Open it to be looked at, and change nothing: ``health_checks`` works meanwhile."""
        ...


@runtime_checkable
class InspectedTransport(HealthChecked, Protocol):
    """A transport that can be looked at by a process in which no App runs."""

    def inspect(
        self, *, app: str, subscribed: Collection[str], clock: Clock
    ) -> AbstractAsyncContextManager[object]:
        """Open it to be looked at, and make nothing: ``health_checks`` works meanwhile.

        Args:
            app: The App's name.
            subscribed: The wire names of events that somebody in it listens to.
            clock: The time.
        """
        ...
