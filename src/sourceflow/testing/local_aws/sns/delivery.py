"""A message on its way from a topic to a queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sourceflow.testing.local_aws.attributes import MessageAttribute

__all__ = ("Deliver", "Delivery")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message on its way from a topic to a queue.

    Attributes:
        queue_arn: Where to.
        topic_arn: Where from: the queue's policy is asked about it.
        body: The text.
        attributes: What stands beside it; none where delivery is not raw.
        group_id: The message group, or None.
        deduplication_id: For FIFO queues, or None.
    """

    queue_arn: str
    topic_arn: str
    body: str
    attributes: Mapping[str, MessageAttribute]
    group_id: str | None = None
    deduplication_id: str | None = None


Deliver = Callable[[Delivery], bool]
"""Takes a message in; False if the queue does not exist or its policy says no."""
