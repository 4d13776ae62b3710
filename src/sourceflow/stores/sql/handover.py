"""The way of committed outbox rows to who sends them, in order."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sourceflow.errors import StatementError
from sourceflow.stores.sql.database import Unfulfilled
from sourceflow.stores.sql.vault import KeysMissing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from datetime import datetime

    from sourceflow.bus.changes import Destination, OutboxRow
    from sourceflow.clock import Clock

__all__ = ("Handover", "Placed")

LATE: Final = timedelta(minutes=1)
"""How much later a commit that was cut off may still take effect."""


_Id = tuple[str, str, "Destination"]


class Placed(NamedTuple):
    """A row and its place in the outbox.

    Attributes:
        position: Rows of one lane leave in this order.
        row: The row.
    """

    position: int
    row: OutboxRow


class Handover:
    """Gives the rows that this instance owns to the relay: each once, those of a lane in order.

    Most rows go at once to who committed them. Two things would break the order: older rows of
    the lane are just being taken over and reach the relay later, or nobody here knows of them,
    because their commit was cut off or its caller was cancelled. Then rows are held back, and
    leave with those that are taken over next.

    Invariant: when a row is given, all older rows of its lane that this instance owns have been.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given: dict[_Id, set[int]] = {}
        self._gone: list[tuple[_Id, set[int]]] = []
        self._commits: set[asyncio.Future[None]] = set()
        self._held: dict[int, Placed] = {}
        self._taking = False
        self._lost = 0
        self._found = 0
        self._look_again: datetime | None = None

    @property
    def holds_back(self) -> bool:
        """Whether rows must wait for the next taking over."""
        return self._taking or self._lost != self._found

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Stand around a commit and the ``give`` of its rows."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._commits.add(ended)
        try:
            yield
        except (Unfulfilled, StatementError, KeysMissing):  # nothing was written
            raise
        except BaseException:
            self._lose()
            raise
        finally:
            self._commits.discard(ended)
            ended.set_result(None)

    def give(self, rows: Sequence[Placed]) -> Sequence[OutboxRow]:
        """Return what may leave now of the rows of a commit; keep the others back."""
        if self.holds_back:
            self._hold(rows)
            return ()
        return self._hand_out(rows)

    def positions(self, rows: Sequence[OutboxRow]) -> list[int]:
        """Return the places of rows that the relay has.

        A message that was sent twice with one id has two places: it has arrived, and with it both.
        """
        return [place for row in rows for place in self._given.get(row.id, ())]

    def sent(self, rows: Sequence[OutboxRow], positions: Sequence[int]) -> None:
        """Note that the relay is done with rows, which ``positions`` told the places of."""
        places = set(positions)
        self._gone += [(row.id, places) for row in rows]
        if not self._taking:  # what is being read may still show them
            self._forget()

    def _forget(self) -> None:
        for row_id, places in self._gone:
            left = self._given.pop(row_id, set()) - places
            if left:
                self._given[row_id] = left
        self._gone = []

    async def take(
        self, read: Callable[[bool], Awaitable[Sequence[Placed]]]
    ) -> Sequence[OutboxRow]:
        """Take rows over.

        Args:
            read: Makes them this instance's and returns them; if told to, with all other rows
                that this instance owns.

        Returns:
            What is to be sent: rows that were found, and those held back meanwhile.
        """
        lost = self._lost
        self._taking = True
        try:
            self._hold(await self._read(read, every=self._found != lost or self._is_late()))
            if self._commits:  # theirs may be older than what was found
                await asyncio.wait(tuple(self._commits))
            if self._lost != lost:  # one more cut off: what is missing may be older, too
                return ()
            self._found = lost
            placed = [each for _, each in sorted(self._held.items())]
            self._held = {}
            return self._hand_out(placed)
        finally:
            self._taking = False
            self._forget()

    async def _read(
        self, read: Callable[[bool], Awaitable[Sequence[Placed]]], *, every: bool
    ) -> Sequence[Placed]:
        try:
            return await read(every)
        except BaseException:
            self._lose()
            raise

    def _is_late(self) -> bool:
        """Whether it is time to look once more for commits that were cut off."""
        if self._look_again is None or self._clock.now() < self._look_again:
            return False
        self._look_again = None
        return True

    def _lose(self) -> None:
        self._lost += 1
        self._look_again = self._clock.now() + LATE

    def _hold(self, rows: Sequence[Placed]) -> None:
        for each in rows:
            if each.position not in self._given.get(each.row.id, ()):
                self._held[each.position] = each

    def _hand_out(self, placed: Sequence[Placed]) -> Sequence[OutboxRow]:
        for each in placed:
            self._given.setdefault(each.row.id, set()).add(each.position)
        return [each.row for each in placed]
