"""Sends scheduled commands when they are due."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sourceflow.bus.waits import sleep_unless
from sourceflow.errors import DependencyError
from sourceflow.resilience.backoff import Backoff
from sourceflow.resilience.uncut import uncut

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sourceflow.bus.changes import OutboxRow
    from sourceflow.bus.ports import Stores
    from sourceflow.bus.relay import Relay
    from sourceflow.bus.router import Router
    from sourceflow.clock import Clock

__all__ = ("BATCH", "POLL", "Timer")

log = logging.getLogger(__name__)

BATCH: Final = 100
"""Commands that leave the schedule in one transaction at most."""

POLL: Final = timedelta(seconds=5)
"""How often the schedule is looked through for what other instances have put there."""

_BACKOFF: Final = Backoff(base=timedelta(milliseconds=500), cap=timedelta(seconds=20))


class Timer:
    """Moves commands from the schedule to the outbox when they are due, and on to the relay.

    Invariant: what has left the schedule is in the relay, or in the outbox for whoever takes it
    over. So a batch that has begun is moved and handed to the relay as a whole, also when the
    timer is cancelled meanwhile.
    """

    def __init__(self, *, stores: Stores, router: Router, relay: Relay, clock: Clock) -> None:
        self._stores = stores
        self._router = router
        self._relay = relay
        self._clock = clock
        self._next: datetime | None = None
        self._is_looking = False
        self._woken = asyncio.Event()

    def note(self, schedule: Mapping[str, OutboxRow | None]) -> None:
        """Note what this process has put into the schedule."""
        for row in schedule.values():
            if row is None:
                continue
            due = row.envelope.time
            if self._next is None or due < self._next:
                self._next = due
                self._woken.set()
            elif self._is_looking:  # what it has read may not show this one yet
                self._woken.set()

    @property
    def is_late(self) -> bool:
        """Whether a command is due, as far as this process knows, that has not left yet."""
        return self._next is not None and self._next <= self._clock.now()

    async def run(self) -> None:
        """Send what is due, then wait for what is due next, until cancelled."""
        failures = 0
        while True:
            self._woken.clear()  # what is noted from here on ends the pause
            self._is_looking = True
            try:
                pause = await self._send_due()
                failures = 0
            except DependencyError as error:
                pause = _BACKOFF.delay(failures)
                failures += 1
                log.warning("scheduled commands wait, the store does not answer: %s", error)
            self._is_looking = False
            if pause is None:
                await self._woken.wait()
            else:
                await sleep_unless(self._woken, pause, self._clock)

    async def _send_due(self) -> timedelta | None:
        """Send a batch of what is due.

        Returns:
            How long there is nothing more to do; None for ever, unless this process finds some.
        """
        now = self._clock.now()
        first = await self._stores.schedule.first()
        if first is not None and first <= now:
            self._next = first
            await self._relay.room()
            if await uncut(self._move(now)):
                return timedelta(0)
            # Another instance is just moving those: they are its.
            first = await self._stores.schedule.first(after=now)
        return self._pause(first, now)

    async def _move(self, now: datetime) -> int:
        """Move a batch and hand it to the relay; return how many have left."""
        fired = await self._stores.schedule.fire(now, self._router.due_row, limit=BATCH)
        self._relay.take(fired.rows)
        return fired.moved

    def _pause(self, first: datetime | None, now: datetime) -> timedelta | None:
        if not self._woken.is_set():  # else something earlier may have been noted meanwhile
            self._next = first
        until_next = None if first is None else first - now
        if not self._stores.durable:  # what only this process knows, it is told of
            return until_next
        return POLL if until_next is None else min(POLL, until_next)
