"""Amazon SQS: the calls that carry messages; those about queues are in ``sqs_queues``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from sourceflow.transports.aws.client.json_protocol import read_answer
from sourceflow.transports.aws.client.shapes import AttributeValue, BatchResult
from sourceflow.transports.aws.client.sqs_messages import (
    DeleteEntry,
    ReceivedMessage,
    SendEntry,
    VisibilityEntry,
)
from sourceflow.transports.aws.client.sqs_queues import SqsQueues

__all__ = ("SqsClient",)


class SqsClient(SqsQueues):
    """Calls SQS; every method raises a subclass of ``AwsError``, see ``ServiceClient``."""

    async def send_message_batch(self, queue_url: str, entries: Sequence[SendEntry]) -> BatchResult:
        """Send 1 to 10 messages of at most 1 MiB together; they enter a FIFO queue in this order.

        Returns:
            What became of each entry: some may fail while others are sent.
        """
        wire = [_to_wire(entry) for entry in entries]
        return await self._batch("SendMessageBatch", _Batch(queue_url, wire), entries)

    async def receive_message(
        self,
        queue_url: str,
        *,
        max_messages: int = 10,
        wait_time: timedelta = timedelta(0),
        visibility_timeout: timedelta | None = None,
        attempt_id: str | None = None,
    ) -> list[ReceivedMessage]:
        """Receive messages, perhaps none.

        Args:
            queue_url: The queue.
            max_messages: 1 to 10; SQS may return fewer while it has more.
            wait_time: How long to wait for a first message, up to 20 seconds.
            visibility_timeout: How long the messages are hidden from others; None leaves it to the queue.
            attempt_id: On FIFO queues, makes a receive that is repeated within 5 minutes return the same messages.
        """
        waiting = _seconds(wait_time)
        request = _Receive(
            queue_url=queue_url,
            max_number_of_messages=max_messages,
            wait_time_seconds=waiting,
            visibility_timeout=None if visibility_timeout is None else _seconds(visibility_timeout),
            receive_request_attempt_id=attempt_id,
            message_attribute_names=_ALL,
            message_system_attribute_names=_SYSTEM_ATTRIBUTES,
        )
        answer = await self._call("ReceiveMessage", _ENCODER.encode(request), waiting=waiting)
        return read_answer(_RECEIVED, answer, "ReceiveMessage").messages

    async def delete_message_batch(
        self, queue_url: str, entries: Sequence[DeleteEntry]
    ) -> BatchResult:
        """Delete 1 to 10 messages.

        Returns:
            What became of each entry. A standard queue says success for a handle that no longer counts.
        """
        return await self._batch("DeleteMessageBatch", _Batch(queue_url, entries), entries)

    async def change_message_visibility_batch(
        self, queue_url: str, entries: Sequence[VisibilityEntry]
    ) -> BatchResult:
        """Set anew how long 1 to 10 messages stay hidden; at most 12 hours from their receive.

        Returns:
            What became of each entry.
        """
        wire = [
            _VisibilityEntry(entry.id, entry.receipt_handle, _seconds(entry.visibility_timeout))
            for entry in entries
        ]
        return await self._batch("ChangeMessageVisibilityBatch", _Batch(queue_url, wire), entries)

    async def _batch(
        self,
        operation: str,
        request: _Batch,
        entries: Sequence[SendEntry | DeleteEntry | VisibilityEntry],
    ) -> BatchResult:
        answer = await self._call(operation, _ENCODER.encode(request))
        result = read_answer(_RESULT, answer, operation)
        if len(result.successful) + len(result.failed) == len(entries):
            return result
        return result.completed(entry.id for entry in entries)


class _SendEntry(msgspec.Struct, rename="pascal", omit_defaults=True, gc=False):
    id: str
    message_body: str
    message_attributes: dict[str, AttributeValue] | None = None
    message_group_id: str | None = None
    message_deduplication_id: str | None = None
    delay_seconds: int | None = None


class _VisibilityEntry(msgspec.Struct, rename="pascal"):
    id: str
    receipt_handle: str
    visibility_timeout: int


class _Batch(msgspec.Struct, rename="pascal"):
    queue_url: str
    entries: Sequence[_SendEntry | DeleteEntry | _VisibilityEntry]


class _Receive(msgspec.Struct, rename="pascal", omit_defaults=True, kw_only=True):
    queue_url: str
    max_number_of_messages: int
    wait_time_seconds: int
    visibility_timeout: int | None = None
    receive_request_attempt_id: str | None = None
    # These two always go along, so they are no defaults that could be left out.
    message_attribute_names: tuple[str, ...]
    message_system_attribute_names: tuple[str, ...]


class _Received(msgspec.Struct, rename="pascal"):
    messages: list[ReceivedMessage] = []


_ALL = ("All",)
_SYSTEM_ATTRIBUTES = (
    "ApproximateReceiveCount",
    "SentTimestamp",
    "ApproximateFirstReceiveTimestamp",
    "MessageGroupId",
    "MessageDeduplicationId",
    "SequenceNumber",
    "DeadLetterQueueSourceArn",
)

_ENCODER = msgspec.json.Encoder()
# SQS writes the numbers among the system attributes as strings.
_RECEIVED = msgspec.json.Decoder(_Received, strict=False)
_RESULT = msgspec.json.Decoder(BatchResult)


def _to_wire(entry: SendEntry) -> _SendEntry:
    attributes = {
        name: AttributeValue("String", value) if isinstance(value, str) else value
        for name, value in entry.attributes.items()
    }
    return _SendEntry(
        entry.id,
        entry.body,
        attributes or None,
        entry.group_id,
        entry.deduplication_id,
        None if entry.delay is None else _seconds(entry.delay),
    )


def _seconds(duration: timedelta) -> int:
    return -(-duration // timedelta(seconds=1))  # rounded up: half a second must not become none
