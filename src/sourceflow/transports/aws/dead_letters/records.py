"""The records of dead letters, beside the letters in their queues."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.errors import DependencyError

if TYPE_CHECKING:
    from datetime import datetime

    from sourceflow.bus.ports import DeadLetter, DeadLetters
    from sourceflow.clock import Clock

__all__ = ("Records",)

log = logging.getLogger(__name__)

PAGE: Final = 500
"""Records that are read at once."""


class Records:
    """Finds and keeps the records of letters; a store that is away never holds a letter up."""

    def __init__(self, records: DeadLetters, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def mark_replayed(self, letter: DeadLetter) -> None:
        """Note that a letter was sent again, if there is a record of it."""
        try:
            record = await self._find(letter)
            if record is not None:
                await self._records.mark_replayed(record.id, self._clock.now())
        except DependencyError as error:
            log.warning("dead letter %s is not marked as replayed: %s", letter.message_id, error)

    async def mark_all_replayed(self, source: str, *, until: datetime) -> None:
        """Note that all letters of a queue were sent again that were given up before a time."""
        where = DeadLetterFilter(source=source, until=until, replayed=False)
        try:
            while records := await self._records.query(where, limit=PAGE):
                now = self._clock.now()
                if not any([await self._records.mark_replayed(each.id, now) for each in records]):
                    return  # others have removed them
        except DependencyError as error:
            log.warning("the dead letters of %s are not marked as replayed: %s", source, error)

    async def keep(self, letter: DeadLetter) -> bool:
        """Record a letter that lies in its queue, once; return whether it is recorded now.

        The record that its sender made says more, and stays. One that is marked as replayed is
        of an earlier time: the letter is back.
        """
        try:
            record = await self._find(letter)
            if record is None or record.replayed_at is not None:
                await self._records.save(letter)
        except DependencyError as error:
            log.warning("dead letter %s is not recorded: %s", letter.message_id, error)
            return False
        return True

    async def _find(self, letter: DeadLetter) -> DeadLetter | None:
        where = DeadLetterFilter(source=letter.source, message_id=letter.message_id)
        found = await self._records.query(where, limit=1)
        return found[0] if found else None
