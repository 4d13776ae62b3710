"""Waits that end early when something else happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from sourceflow.clock import Clock

__all__ = ("sleep_unless",)


async def sleep_unless(event: asyncio.Event, delay: timedelta, clock: Clock) -> None:
    """Wait for a delay, or until an event is set.

    Args:
        event: Ends the wait.
        delay: How long it is.
        clock: Whose time it is.
    """
    sleeping = asyncio.ensure_future(clock.sleep(delay.total_seconds()))
    happening = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((sleeping, happening), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeping.cancel()
        happening.cancel()
