"""Letters go to another queue, in order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from sourceflow.transports.aws.batcher import MAX_ENTRIES
from sourceflow.transports.aws.client import SendEntry
from sourceflow.transports.aws.dead_letters.patience import patient_policy
from sourceflow.transports.aws.dead_letters.sender import copy_id
from sourceflow.transports.aws.entries import see_entries_through
from sourceflow.transports.aws.wire import TYPE_ATTRIBUTE, envelope_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from sourceflow.clock import Clock
    from sourceflow.messages import Kind
    from sourceflow.transports.aws.client import BatchResult, ReceivedMessage, SqsClient
    from sourceflow.transports.aws.dead_letters.edit import Edited
    from sourceflow.transports.aws.dead_letters.pacer import Pacer
    from sourceflow.transports.aws.leases import Lease

__all__ = ("Move", "MoveTarget", "Mover")


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTarget:
    """Where letters go.

    Attributes:
        url: The queue's URL.
        arn: Its ARN.
        is_fifo: Whether it keeps order.
        max_bytes: What a batch takes at most.
        kind: What it takes.
    """

    url: str
    arn: str
    is_fifo: bool
    max_bytes: int
    kind: Kind = "command"


class Move(NamedTuple):
    """What became of a letter that was sent.

    Attributes:
        lease: The letter.
        copy: What SQS calls it in its new queue; empty where it was not sent.
        error: Why it was not.
    """

    lease: Lease
    copy: str
    error: Exception | None


class Mover:
    """Sends letters on, body and attributes as they are, the note included.

    Invariant: of a FIFO group, a letter is sent after the one before it is confirmed, and none
    after one that was not: no retry and no failure changes the order of a group. Every entry has
    the deduplication id of its copy in all tries, so that a FIFO queue takes it once also when an
    answer got lost.
    """

    def __init__(self, target: MoveTarget, *, sqs: SqsClient, pacer: Pacer, clock: Clock) -> None:
        self._target = target
        self._sqs = sqs
        self._pacer = pacer
        self._policy = patient_policy("SendMessageBatch", clock)

    @property
    def most(self) -> int:
        """How many letters go at once."""
        return min(MAX_ENTRIES, self._pacer.burst or MAX_ENTRIES)

    async def move(self, leases: Sequence[Lease]) -> AsyncGenerator[list[Move], None]:
        """Send letters in batches; tell of each what became of those that were sent or failed.

        Letters behind a failed one of their group, or whose lease was lost, are not among them.
        """
        lanes = self._lanes(leases)
        while lanes:
            heads = {name: lane.popleft() for name, lane in lanes.items()}
            stuck = set(heads)
            for batch in self._batches(list(heads.items())):
                moves = await self._send(batch)
                stuck -= {name for name, move in moves if move.error is None}
                yield [move for _, move in moves]
            lanes = {name: lane for name, lane in lanes.items() if lane and name not in stuck}

    def _lanes(self, leases: Sequence[Lease]) -> dict[str, deque[Lease]]:
        lanes: dict[str, deque[Lease]] = {}
        for lease in leases:
            message = lease.message
            name = message.system.message_group_id if self._target.is_fifo else message.message_id
            lanes.setdefault(name, deque()).append(lease)
        return lanes

    def _batches(self, heads: Sequence[tuple[str, Lease]]) -> Iterator[list[tuple[str, Lease]]]:
        batch: list[tuple[str, Lease]] = []
        size = 0
        for head in heads:
            more = _size(head[1].message)
            if batch and (len(batch) == self.most or size + more > self._target.max_bytes):
                yield batch
                batch, size = [], 0
            batch.append(head)
            size += more
        yield batch

    async def _send(self, batch: Sequence[tuple[str, Lease]]) -> list[tuple[str, Move]]:
        await self._pacer.take(len(batch))
        batch = [(name, lease) for name, lease in batch if not lease.lost]
        if not batch:
            return []
        copies: dict[int, str] = {}

        async def call(places: Sequence[int]) -> BatchResult:
            entries = [self._entry(str(at), batch[at][1].message) for at in places]
            result = await self._sqs.send_message_batch(self._target.url, entries)
            copies.update({int(each.id): each.message_id for each in result.successful})
            return result

        errors = await see_entries_through(call, len(batch), self._policy)
        return [
            (name, Move(lease, copies.get(at, ""), errors[at]))
            for at, (name, lease) in enumerate(batch)
        ]

    async def send(self, edited: Edited, letter: ReceivedMessage) -> None:
        """Send an edited message with the attributes of the letter whose place it takes.

        Raises:
            AwsError: It was not sent.
        """
        entry = SendEntry(
            id="0",
            body=edited.body.decode(),
            attributes={**letter.attributes, TYPE_ATTRIBUTE: edited.type_name},
            group_id=edited.group or letter.system.message_group_id or None,
            deduplication_id=edited.id,
        )
        if not self._target.is_fifo:
            entry = msgspec.structs.replace(entry, group_id=None, deduplication_id=None)
        (error,) = await see_entries_through(
            lambda _: self._sqs.send_message_batch(self._target.url, [entry]), 1, self._policy
        )
        if error is not None:
            raise error

    def _entry(self, entry_id: str, message: ReceivedMessage) -> SendEntry:
        message_id = envelope_id(message.body.encode()) or message.message_id
        return SendEntry(
            id=entry_id,
            body=message.body,
            attributes=message.attributes,
            group_id=message.system.message_group_id or None,
            deduplication_id=copy_id(message_id, message) if self._target.is_fifo else None,
        )


def _size(message: ReceivedMessage) -> int:
    """Return the bytes that SQS counts."""
    return len(message.body.encode()) + sum(
        len(name.encode())
        + len(value.data_type)
        + len((value.string_value or "").encode())
        + len(value.binary_value or b"")
        for name, value in message.attributes.items()
    )
