"""Messages as queues keep them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.testing.local_aws.attributes import MessageAttribute

__all__ = ("QueueMessage", "Sent")


@dataclass(slots=True, eq=False)
class QueueMessage:
    """One message in a queue.

    Attributes:
        queue_id: What tells its queue's receipt handles from those of others.
        id: What SQS calls it.
        body: The text.
        body_md5: The digest of the text.
        attributes: What the sender put beside it.
        attributes_md5: Their digest; empty where there are none.
        sent: When it was first sent, in seconds.
        order: Its place among all messages of the queue.
        group: Its message group, or None.
        deduplication_id: Its deduplication id, or None.
        trace: The X-Ray header, or None.
        received: How often it was received.
        first_received: When it was first received.
        last_received: When it was last received.
        hidden_until: When it shows again; None while it is visible. Kept by ``Hidden``.
        hiding: How often it was hidden. Kept by ``Hidden``.
        source_arn: The queue that it was moved here from.
        gone: Whether it was deleted.
    """

    queue_id: str
    id: str
    body: str
    body_md5: str
    attributes: Mapping[str, MessageAttribute]
    attributes_md5: str
    sent: float
    order: int
    group: str | None = None
    deduplication_id: str | None = None
    trace: str | None = None
    received: int = 0
    first_received: float = 0.0
    last_received: float = 0.0
    hidden_until: float | None = None
    hiding: int = 0
    source_arn: str | None = None
    gone: bool = field(default=False)

    @property
    def receipt_handle(self) -> str:
        """The handle of the newest receive; every receive makes another."""
        return f"{self.queue_id}.{self.id}.{self.received}"

    @property
    def sequence_number(self) -> str:
        """Its number on a FIFO queue: 20 digits that grow."""
        return f"{18_800_000_000_000_000_000 + self.order * 256}"


@dataclass(frozen=True, slots=True)
class Sent:
    """What the sender of a message is told.

    Attributes:
        message_id: The message's id; on a FIFO queue maybe of one that was sent before.
        sequence_number: Its number.
        body_md5: The digest of the body that was sent now.
        attributes_md5: The digest of the attributes that were sent now.
    """

    message_id: str
    sequence_number: str
    body_md5: str
    attributes_md5: str
