"""Messages as they go to SQS and come from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from sourceflow.messages.body import bodiless_repr, bodiless_rich_repr
from sourceflow.transports.aws.client.shapes import AttributeValue

__all__ = ("DeleteEntry", "ReceivedMessage", "SendEntry", "SystemAttributes", "VisibilityEntry")


class SendEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message to send.

    Attributes:
        id: Names the entry within its batch: up to 80 letters, digits, ``-`` and ``_``.
        body: The text; SQS refuses control characters other than tab, line feed and carriage return.
        attributes: Message attributes; a str is sent as a ``String``.
        group_id: The message group; required on FIFO queues, a tenant for fair queueing on others.
        deduplication_id: On FIFO queues, what makes two sends within 5 minutes one message.
        delay: How long the message stays hidden, up to 15 minutes; None leaves it to the queue. FIFO
            queues refuse it. SQS counts in seconds: parts of one are rounded up, here and everywhere.
    """

    id: str
    body: str
    attributes: Mapping[str, str | AttributeValue] = {}
    group_id: str | None = None
    deduplication_id: str | None = None
    delay: timedelta | None = None

    __repr__ = bodiless_repr
    __rich_repr__ = bodiless_rich_repr


class DeleteEntry(msgspec.Struct, frozen=True, rename="pascal", gc=False):
    """A message to delete.

    Attributes:
        id: Names the entry within its batch.
        receipt_handle: The handle of the receive that got it.
    """

    id: str
    receipt_handle: str


class VisibilityEntry(msgspec.Struct, frozen=True, gc=False):
    """A message to hide for longer, or to show again.

    Attributes:
        id: Names the entry within its batch.
        receipt_handle: The handle of the receive that got it.
        visibility_timeout: How long from now it stays hidden; zero shows it at once.
    """

    id: str
    receipt_handle: str
    visibility_timeout: timedelta


class SystemAttributes(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    """What SQS knows about a received message.

    Attributes:
        approximate_receive_count: How often it was received, this time included.
        sent_timestamp: When it was sent, in milliseconds since 1970.
        approximate_first_receive_timestamp: When it was first received, likewise.
        message_group_id: Its group; empty where it has none.
        message_deduplication_id: Its deduplication id; empty where it has none.
        sequence_number: Its number on a FIFO queue; empty on others.
        dead_letter_queue_source_arn: In a dead letter queue, the queue that SQS moved it from; else empty.
    """

    approximate_receive_count: int = 1
    sent_timestamp: int = 0
    approximate_first_receive_timestamp: int = 0
    message_group_id: str = ""
    message_deduplication_id: str = ""
    sequence_number: str = ""
    dead_letter_queue_source_arn: str = ""


class ReceivedMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message that was received and is hidden from others for a while.

    Attributes:
        message_id: What SQS calls it.
        receipt_handle: Deletes or extends this receive of it.
        body: The text.
        system: What SQS knows about it.
        attributes: The message attributes of its sender.
    """

    message_id: str = msgspec.field(name="MessageId")
    receipt_handle: str = msgspec.field(name="ReceiptHandle")
    body: str = msgspec.field(name="Body")
    system: SystemAttributes = msgspec.field(name="Attributes", default_factory=SystemAttributes)
    attributes: dict[str, AttributeValue] = msgspec.field(
        name="MessageAttributes", default_factory=dict
    )

    __repr__ = bodiless_repr
    __rich_repr__ = bodiless_rich_repr
