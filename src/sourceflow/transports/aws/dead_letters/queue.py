"""A dead letter queue, and the queue whose letters it keeps."""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Set as AbstractSet  # noqa: TC003 - a field of a dataclass
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from sourceflow.errors import AwsConfigurationError
from sourceflow.transports.aws.names import is_fifo

if TYPE_CHECKING:
    from sourceflow.transports.aws.provisioning import Provisioned

__all__ = ("DeadLetterQueue",)


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
        lock: One visit at a time: two of this process would hide letters from each other.
    """

    source: str
    source_arn: str
    source_url: str
    url: str
    is_fifo: bool
    topics: AbstractSet[str] = frozenset()
    lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @classmethod
    def of(cls, name: str, provisioned: Provisioned) -> Self:
        """Return the dead letters of a queue.

        Raises:
            AwsConfigurationError: It has no dead letter queue.
        """
        found = provisioned.queues[name]
        if found.dead_letter_url is None:
            raise AwsConfigurationError(
                f"{name} has no dead letter queue", code="NoDeadLetterQueue"
            )
        return cls(
            source=name,
            source_arn=found.arn,
            source_url=found.url,
            url=found.dead_letter_url,
            is_fifo=is_fifo(name),
            topics=provisioned.subscribed_arns if name in provisioned.event_queues else frozenset(),
        )
