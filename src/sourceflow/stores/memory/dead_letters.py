"""Dead letters in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sourceflow.bus.dead_letter import DeadLetter, DeadLetterFilter

__all__ = ("MemoryDeadLetters",)

LETTERS_KEPT: Final = 100_000
"""Records kept at most; the oldest make room."""


class MemoryDeadLetters:
    """See ``sourceflow.bus.ports.DeadLetters``."""

    __slots__ = ("_ids", "_letters")

    def __init__(self) -> None:
        self._letters: dict[str, DeadLetter] = {}
        self._ids: dict[tuple[str, str], str] = {}

    async def save(self, letter: DeadLetter) -> DeadLetter:
        """Keep a dead letter, once for each source and message id."""
        identity = (letter.source, letter.message_id)
        letter_id = self._ids.get(identity) or uuid4().hex
        saved = replace(letter, id=letter_id)
        self._letters.pop(letter_id, None)
        self._letters[letter_id] = saved
        self._ids[identity] = letter_id
        if len(self._letters) > LETTERS_KEPT:
            self._remove(next(iter(self._letters)))
        return saved

    async def get(self, letter_id: str) -> DeadLetter | None:
        """Return one record, or None."""
        return self._letters.get(letter_id)

    async def query(
        self, where: DeadLetterFilter, *, limit: int = 100, skip: int = 0
    ) -> Sequence[DeadLetter]:
        """Return records, newest first."""
        latest_first = reversed(self._matching(where))
        found = sorted(latest_first, key=lambda letter: letter.time, reverse=True)
        return found[skip : skip + limit]

    async def count(self, where: DeadLetterFilter) -> int:
        """Return how many records there are."""
        return len(self._matching(where))

    async def mark_replayed(self, letter_id: str, time: datetime) -> bool:
        """Note that it was sent again."""
        letter = self._letters.get(letter_id)
        if letter is None:
            return False
        self._letters[letter_id] = replace(letter, replayed_at=time)
        return True

    async def delete(self, letter_id: str) -> bool:
        """Remove a record."""
        if letter_id not in self._letters:
            return False
        self._remove(letter_id)
        return True

    async def delete_older_than(self, time: datetime) -> int:
        """Remove what was given up before a time."""
        old = [letter.id for letter in self._letters.values() if letter.time < time]
        for letter_id in old:
            self._remove(letter_id)
        return len(old)

    def _matching(self, where: DeadLetterFilter) -> list[DeadLetter]:
        return [letter for letter in self._candidates(where) if where.matches(letter)]

    def _candidates(self, where: DeadLetterFilter) -> Iterable[DeadLetter]:
        """Return what may match: a redrive asks for each of its letters, which must not cost a scan."""
        if where.source is None or where.message_id is None:
            return self._letters.values()
        letter_id = self._ids.get((where.source, where.message_id))
        return () if letter_id is None else (self._letters[letter_id],)

    def _remove(self, letter_id: str) -> None:
        letter = self._letters.pop(letter_id)
        del self._ids[letter.source, letter.message_id]
