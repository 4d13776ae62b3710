"""What there is on AWS, as the sender and the listeners need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Provisioned", "ProvisionedQueue", "ProvisionedTopic")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedQueue:
    """A queue.

    Attributes:
        name: Its full name.
        url: Its URL.
        arn: Its ARN.
        dead_letter_url: Its dead letter queue's URL; None where it has none.
        max_message_bytes: What a message in it takes at most.
    """

    name: str
    url: str
    arn: str
    dead_letter_url: str | None
    max_message_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedTopic:
    """A topic.

    Attributes:
        name: Its full name.
        arn: Its ARN.
        max_message_bytes: What a message in it takes at most.
    """

    name: str
    arn: str
    max_message_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """Everything there is, by the names that the bus uses.

    Attributes:
        queues: By name.
        topics: By name.
        event_queues: The names of queues that take events.
        subscribed_arns: ARNs of the topics that feed them.
        warnings: What differs from what would have been made; it is left as it is.
    """

    queues: Mapping[str, ProvisionedQueue]
    topics: Mapping[str, ProvisionedTopic]
    event_queues: tuple[str, ...]
    subscribed_arns: frozenset[str]
    warnings: tuple[str, ...]

    def feeding(self, dead_letter_url: str) -> frozenset[str]:
        """Return the ARNs of the queues whose dead letters come into a queue."""
        return frozenset(
            queue.arn for queue in self.queues.values() if queue.dead_letter_url == dead_letter_url
        )
