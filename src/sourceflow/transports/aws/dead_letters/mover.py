"""Letters go to another queue, in order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from sourceflow.errors import DependencyError, MessageError
from sourceflow.transports.aws.batcher import MAX_ENTRIES
from sourceflow.transports.aws.client import SendEntry
from sourceflow.transports.aws.dead_letters.patience import patient_policy
from sourceflow.transports.aws.dead_letters.sender import copy_id
from sourceflow.transports.aws.encryption import CONTENT_TYPE
from sourceflow.transports.aws.entries import see_entries_through
from sourceflow.transports.aws.wire import (
    CONTENT_TYPE_ATTRIBUTE,
    TYPE_ATTRIBUTE,
    envelope_id,
    group_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from sourceflow.clock import Clock
    from sourceflow.messages import Kind
    from sourceflow.transports.aws.client import BatchResult, ReceivedMessage, SqsClient
    from sourceflow.transports.aws.dead_letters.edit import Edited
    from sourceflow.transports.aws.dead_letters.letter_cipher import LetterCipher
    from sourceflow.transports.aws.dead_letters.pacer import Pacer
    from sourceflow.transports.aws.leases import Lease

__all__ = ("Move", "MoveTarget", "Mover")

MORE_ENCRYPTED: Final = 2_048
"""Bytes that a letter may grow by when it is encrypted for another queue, with another key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTarget:
    """Where letters go.

    Attributes:
        url: The queue's URL.
        arn: Its ARN.
        is_fifo: Whether it keeps order.
        max_bytes: What a batch takes at most.
        kind: What it takes.
        encrypts: Whether what this App sends to it travels encrypted.
    """

    url: str
    arn: str
    is_fifo: bool
    max_bytes: int
    kind: Kind = "command"
    encrypts: bool = False


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

    An encrypted letter that goes to another queue than its own is encrypted for that one: it would
    be refused there as it is.

    Invariant: of a FIFO group, a letter is sent after the one before it is confirmed, and none
    after one that was not: no retry and no failure changes the order of a group. Every entry has
    the deduplication id of its copy in all tries, so that a FIFO queue takes it once also when an
    answer got lost.
    """

    def __init__(
        self,
        target: MoveTarget,
        *,
        sqs: SqsClient,
        pacer: Pacer,
        clock: Clock,
        cipher: LetterCipher,
        is_own: bool,
    ) -> None:
        self._target = target
        self._cipher = cipher
        self._is_own = is_own
        self._more = 0 if is_own else MORE_ENCRYPTED
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
            more = _size(head[1].message) + self._more
            if batch and (len(batch) == self.most or size + more > self._target.max_bytes):
                yield batch
                batch, size = [], 0
            batch.append(head)
            size += more
        yield batch

    async def _send(self, batch: Sequence[tuple[str, Lease]]) -> list[tuple[str, Move]]:
        await self._pacer.take(len(batch))
        moves: list[tuple[str, Move]] = []
        ready: list[tuple[str, Lease]] = []
        entries: list[SendEntry] = []
        for name, lease in batch:
            if lease.lost:
                continue
            try:
                entries.append(await self._entry(str(len(entries)), lease.message))
            except (MessageError, DependencyError) as error:
                moves.append((name, Move(lease, "", error)))
            else:
                ready.append((name, lease))
        if ready:
            moves += await self._post(ready, entries)
        return moves

    async def _post(
        self, batch: Sequence[tuple[str, Lease]], entries: Sequence[SendEntry]
    ) -> list[tuple[str, Move]]:
        copies: dict[int, str] = {}

        async def call(places: Sequence[int]) -> BatchResult:
            result = await self._sqs.send_message_batch(
                self._target.url, [entries[at] for at in places]
            )
            copies.update({int(each.id): each.message_id for each in result.successful})
            return result

        errors = await see_entries_through(call, len(batch), self._policy)
        return [
            (name, Move(lease, copies.get(at, ""), errors[at]))
            for at, (name, lease) in enumerate(batch)
        ]

    async def send(self, edited: Edited, letter: ReceivedMessage) -> None:
        """Send an edited message with the attributes of the letter whose place it takes.

        It travels encrypted if its letter did, or if its queue wants that.

        Raises:
            AwsError: It was not sent.
            DependencyError: There is no data key to encrypt it with now.
        """
        encrypted = self._target.encrypts or self._cipher.is_encrypted(letter)
        body = edited.body.decode()
        attributes: dict[str, Any] = {**letter.attributes, TYPE_ATTRIBUTE: edited.type_name}
        if encrypted:
            body = await self._cipher.encrypt(edited, self._target.arn)
            attributes[CONTENT_TYPE_ATTRIBUTE] = CONTENT_TYPE
        group = edited.envelope and group_of(edited.envelope, hidden=encrypted)
        entry = SendEntry(
            id="0",
            body=body,
            attributes=attributes,
            group_id=group or letter.system.message_group_id or None,
            deduplication_id=edited.id,
        )
        if not self._target.is_fifo:
            entry = msgspec.structs.replace(entry, group_id=None, deduplication_id=None)
        (error,) = await see_entries_through(
            lambda _: self._sqs.send_message_batch(self._target.url, [entry]), 1, self._policy
        )
        if error is not None:
            raise error

    async def _entry(self, entry_id: str, message: ReceivedMessage) -> SendEntry:
        message_id = envelope_id(message.body.encode()) or message.message_id
        body = message.body
        if not self._is_own:
            body = await self._cipher.body_for(message, self._target.arn)
        return SendEntry(
            id=entry_id,
            body=body,
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
