"""Deletes what has expired, again and again."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from sourceflow.bus.ports import Expiring
    from sourceflow.clock import Clock

__all__ = ("keep_clean",)

log = logging.getLogger(__name__)

TRY_AGAIN: Final = timedelta(minutes=1)
"""How long to wait after a cleaning that failed, at most."""


async def keep_clean(expiring: Expiring, clock: Clock) -> NoReturn:
    """Clean now and in each interval, until cancelled.

    The first cleaning is at once: a process that never lives for a whole interval cleans too. One
    that fails is logged and tried again; it ends nothing else.
    """
    while True:
        pause = expiring.cleanup_interval
        try:
            count = await expiring.clean()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next cleaning may succeed
            pause = min(pause, TRY_AGAIN)
            log.warning("%r was not cleaned and is tried again in %s: %r", expiring, pause, error)
        else:
            if count:
                log.debug("%r forgot %d entries that had expired", expiring, count)
        await clock.sleep(pause.total_seconds())
