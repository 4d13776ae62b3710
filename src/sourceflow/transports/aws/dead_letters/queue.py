"""A dead letter queue, and the queue whose letters it keeps."""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Set as AbstractSet  # noqa: TC003 - a field of a dataclass
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sourceflow.transports.aws.names import is_fifo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.transports.aws.provisioning import Provisioned

__all__ = ("DeadLetterQueue", "dead_letter_queues")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterQueue:
    """The dead letters of one queue.

    Attributes:
        source: The queue, as the bus calls it.
        source_arn: Its ARN.
        source_url: Its URL.
        url: The URL of its dead letter queue.
        is_fifo: Whether both keep order.
        topics: ARNs of the topics whose notifications are believed; none for a command queue.
        destinations: ARNs of the queues and topics that its letters may be encrypted for.
        lock: One visit at a time: two of this process would hide letters from each other.
    """

    source: str
    source_arn: str
    source_url: str
    url: str
    is_fifo: bool
    topics: AbstractSet[str] = frozenset()
    destinations: AbstractSet[str] = frozenset()
    lock: Lock = field(default_factory=Lock, repr=False, compare=False)


def dead_letter_queues(
    listened: Sequence[str], provisioned: Provisioned
) -> dict[str, DeadLetterQueue]:
    """Return the dead letter queues of those that are listened to, by name; some may have none."""
    queues = {}
    for name in listened:
        queue = provisioned.queues[name]
        if queue.dead_letter_url is None:
            continue
        is_event = name in provisioned.event_queues
        topics = provisioned.subscribed_arns if is_event else frozenset()
        queues[name] = DeadLetterQueue(
            source=name,
            source_arn=queue.arn,
            source_url=queue.url,
            url=queue.dead_letter_url,
            is_fifo=is_fifo(name),
            topics=topics,
            destinations=topics | provisioned.feeding(queue.dead_letter_url),
        )
    return queues
