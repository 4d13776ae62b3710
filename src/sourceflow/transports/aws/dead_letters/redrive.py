"""Dead letters go back to their queue, or to another one."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sourceflow.errors import AwsError, AwsRequestError, MessageError
from sourceflow.transports.aws.batcher import MAX_ENTRIES
from sourceflow.transports.aws.dead_letters.letter import belongs_to, record_of
from sourceflow.transports.aws.dead_letters.note import read_note
from sourceflow.transports.aws.dead_letters.visit import cut_group, group_of_lease

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from sourceflow.bus.ports import DeadLetterFilter
    from sourceflow.transports.aws.client import ReceivedMessage
    from sourceflow.transports.aws.dead_letters.mover import Move, Mover
    from sourceflow.transports.aws.dead_letters.queue import DeadLetterQueue
    from sourceflow.transports.aws.dead_letters.records import Records
    from sourceflow.transports.aws.dead_letters.visit import Visit
    from sourceflow.transports.aws.leases import Lease

__all__ = ("Redrive", "RedriveResult")

log = logging.getLogger(__name__)

CARRIERS: Final = 4
"""How many receives and sends are under way at once."""

MAX_GATHERED: Final = 100
"""Letters that a carrier has at once: ten of each of ten FIFO groups fill ten sends of ten."""

GATHERED_BYTES: Final = 2 * 1_048_576
"""Bytes of bodies from which on a carrier gathers no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveResult:
    """What a redrive did.

    Attributes:
        moved: Letters that were sent and are no longer dead letters.
        failed: Letters that their target refused; they are still dead letters.
        left: Letters that were looked at and left where they are: those that the filter does not
            match, that came back while it ran, or that stand behind a failed one of their group.
        error: Why the first of the failed was refused.
    """

    moved: int = 0
    failed: int = 0
    left: int = 0
    error: Exception | None = None


class Redrive:
    """Moves letters of one dead letter queue, for one run.

    Several carriers each receive some letters, send them, delete what is confirmed. SQS hands out
    no further letter of a FIFO group while one of it is in flight, so a group has one carrier at a
    time, in this process and over all.

    Invariants:

    - A letter is deleted only after its target has confirmed it: a crash or a cancellation in
      between leaves it in both queues, never in none.
    - Letters of a FIFO group are sent in their order.
    - A letter is moved once in a run: one that fails again at once comes back as a new letter, is
      known by the copy that it was, and stays. So a run ends though everything fails again.

    What is left is held until the run ends, each looked at once. On a FIFO queue that would hide
    what stands behind it: while a look at a group brings letters not seen before, those that are
    left are shown again for the next look. SQS hands out ten of a group at a time: what stands
    behind ten letters that are all left cannot be reached.
    """

    def __init__(
        self,
        queue: DeadLetterQueue,
        visit: Visit,
        mover: Mover,
        records: Records,
        *,
        where: DeadLetterFilter | None,
        limit: int | None,
        own_only: bool,
    ) -> None:
        self._queue = queue
        self._visit = visit
        self._mover = mover
        self._records = records
        self._where = where
        self._open = limit
        self._own_only = own_only
        self._copies: set[str] = set()
        self._seen: set[str] = set()
        self._moved = 0
        self._failed = 0
        self._left = 0
        self._refusal: Exception | None = None
        self._stopped_by: Exception | None = None

    async def run(self) -> RedriveResult:
        """Move letters until there are none, or the limit is reached.

        Raises:
            AwsError: A queue can't be used; what was moved until then is moved.
        """
        async with asyncio.TaskGroup() as carriers:
            for at in range(CARRIERS):
                carriers.create_task(self._carry(), name=f"sourceflow redrive {at}")
        if self._stopped_by is not None:
            self._stopped_by.add_note(f"{self._moved} letter(s) were moved before")
            raise self._stopped_by
        if self._visit.is_full:
            log.warning(
                "the redrive of %s ends early: it left %d letters in place and can hold no more",
                self._queue.source,
                self._left,
            )
        return RedriveResult(
            moved=self._moved, failed=self._failed, left=self._left, error=self._refusal
        )

    async def _carry(self) -> None:
        while self._stopped_by is None and (most := self._reserve()):
            moved = 0
            try:
                answers = await self._gather(most)
                moved = await self._handle(answers, most)
            except AwsError as error:
                self._stopped_by = error
                return
            finally:
                self._give_back(most - moved)
            if not answers:
                return

    async def _gather(self, most: int) -> list[list[Lease]]:
        """Receive letters, on a FIFO queue of ten groups if there are as many.

        An answer often has one group only, and a send takes one letter of a group.
        """
        answers: list[list[Lease]] = []
        found = await self._visit.receive()
        while found:
            answers.append(found)
            leases = [lease for answer in answers for lease in answer]
            if (
                not self._queue.is_fifo
                or len(found) < MAX_ENTRIES
                or len(leases) >= most
                or len(_groups(leases)) >= self._mover.most
                or sum(len(lease.message.body) for lease in leases) >= GATHERED_BYTES
                or self._visit.is_full
            ):
                break
            found = await self._visit.receive_more()
        return answers

    def _reserve(self) -> int:
        """Return how many letters may be moved next, and keep others from moving them."""
        if self._visit.is_full:
            return 0
        most = MAX_GATHERED if self._queue.is_fifo else MAX_ENTRIES
        if self._open is None:
            return most
        most = min(most, self._open)
        self._open -= most
        return most

    def _give_back(self, count: int) -> None:
        if self._open is not None:
            self._open += count

    async def _handle(self, answers: Sequence[Sequence[Lease]], most: int) -> int:
        """Move what is wanted of some letters, up to so many; return how many."""
        found = [lease for answer in answers for lease in answer]
        cut = {cut_group(answer) for answer in answers}
        wanted = [lease for lease in found if self._wants(lease.message)]
        chosen, excess = wanted[:most], wanted[most:]
        unwanted = [lease for lease in found if lease not in wanted]
        unseen = {lease.message.message_id for lease in unwanted} - self._seen
        news = _groups(wanted) | _groups(
            lease for lease in unwanted if lease.message.message_id in unseen
        )
        self._seen |= unseen
        self._left += len(unseen)
        moved = await self._move(chosen)
        await self._visit.show(excess)
        await self._put_aside(unwanted, news | cut)
        return moved

    def _wants(self, message: ReceivedMessage) -> bool:
        if self._own_only and not belongs_to(message, self._queue):
            return False
        if not self._copies.isdisjoint(_former_copies(message)):
            return False
        return self._where is None or self._where.matches(record_of(message, self._queue))

    async def _move(self, leases: Sequence[Lease]) -> int:
        """Send letters, and delete those that are confirmed ten at a time, or at the given rate."""
        moves: list[Move] = []
        sent: list[Move] = []
        count = 0
        async with aclosing(self._mover.move(leases)) as batches:
            async for batch in batches:
                moves += batch
                self._copies.update(move.copy for move in batch)
                sent += [move for move in batch if move.error is None]
                if len(sent) >= self._mover.most:
                    count += await self._settle(sent)
                    sent = []
        count += await self._settle(sent)
        self._note_failures([move for move in moves if move.error is not None])
        self._note_others(leases, {move.lease for move in moves})
        return count

    async def _settle(self, sent: Sequence[Move]) -> int:
        self._moved += len(sent)
        await self._visit.remove([move.lease for move in sent])
        for move in sent:
            await self._records.mark_replayed(record_of(move.lease.message, self._queue))
        return len(sent)

    def _note_others(self, leases: Sequence[Lease], tried: set[Lease]) -> None:
        """Hold letters behind a failed one of their group; those that are lost others have."""
        for lease in leases:
            if lease.lost:
                self._visit.forget(lease)
            elif lease not in tried:
                self._left += 1
                self._visit.keep(lease)

    def _note_failures(self, failed: Sequence[Move]) -> None:
        """Count what was refused; where it is no fault of the letter, the run ends."""
        for move in failed:
            self._visit.keep(move.lease)
            if isinstance(move.error, (AwsRequestError, MessageError)):
                self._failed += 1
                self._refusal = self._refusal or move.error
            else:
                self._stopped_by = self._stopped_by or move.error

    async def _put_aside(
        self, unwanted: Sequence[Lease], unfinished: AbstractSet[str | None]
    ) -> None:
        """Hold what is left, or show it again where more may stand behind it.

        The groups before one that is cut off are complete: each look brings something new of them
        or settles them, so the looks come to an end.
        """
        again: list[Lease] = []
        if self._queue.is_fifo:
            again = [lease for lease in unwanted if group_of_lease(lease) in unfinished]
        for lease in unwanted:
            if lease not in again:
                self._visit.keep(lease)
        await self._visit.show(again)


def _former_copies(message: ReceivedMessage) -> set[str]:
    """Return what a letter may have been called in the queue that it was given up from.

    SQS keeps the id of a message that it moves itself, and makes it the deduplication id.
    """
    note = read_note(message)
    copies = {
        message.message_id,
        message.system.message_deduplication_id.rpartition(".")[2],
        "" if note is None else note.copy,
    }
    return copies - {""}


def _groups(leases: Iterable[Lease]) -> set[str | None]:
    return {group_of_lease(lease) for lease in leases}
