"""What any stores tell of how work gets on: the outbox, and what was given up."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from sourceflow.bus.ports import DeadLetterFilter, Finding, HealthCheck

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sourceflow.bus.ports import HealthOptions, Stores
    from sourceflow.clock import Clock

__all__ = ("store_checks",)

REMEMBERED: Final = timedelta(days=14)
"""How long records of dead letters count: no queue keeps the letters themselves for longer."""


def store_checks(stores: Stores, options: HealthOptions, clock: Clock) -> Sequence[HealthCheck]:
    """Return the checks of stores that are open, whatever keeps them."""
    return (
        HealthCheck("outbox", partial(_look_at_outbox, stores, options, clock)),
        HealthCheck("dead letters", partial(_look_at_letters, stores, clock)),
    )


async def _look_at_outbox(stores: Stores, options: HealthOptions, clock: Clock) -> Finding:
    """See that messages leave."""
    depth, oldest = await stores.outbox.depth(), await stores.outbox.oldest()
    age = _age(oldest, clock)
    text = f"{depth} messages wait, the oldest for {age.total_seconds():.0f} s"
    if age > options.outbox_age_unhealthy or depth > options.outbox_depth_unhealthy:
        return Finding.unhealthy(text)
    if age > options.outbox_age_degraded or depth > options.outbox_depth_degraded:
        return Finding.degraded(text)
    return Finding.healthy(text if depth else "nothing waits")


def _age(oldest: datetime | None, clock: Clock) -> timedelta:
    return timedelta(0) if oldest is None else max(clock.now() - oldest, timedelta(0))


async def _look_at_letters(stores: Stores, clock: Clock) -> Finding:
    """See whether anything was given up that nobody has sent again."""
    wanted = DeadLetterFilter(replayed=False, since=clock.now() - REMEMBERED)
    count = await stores.dead_letters.count(wanted)
    if count:
        return Finding.degraded(f"{count} messages were given up in 14 days and not sent again")
    return Finding.healthy("nothing was given up in 14 days that was not sent again")
