"""How one queue is listened to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sourceflow.transports.aws.options import CRASHES_PER_ATTEMPT

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta

    from sourceflow.messages import Kind

__all__ = ("ListenerOptions",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerOptions:
    """How one queue is listened to.

    Attributes:
        name: The queue's name, for people.
        url: Its URL.
        kind: What it takes.
        is_fifo: Whether it keeps the order of groups.
        overlaps: Whether the next message of a FIFO group may start before the delete of the one
            before is confirmed.
        wait_time: How long a receive waits for a first message.
        visibility: How long a message is hidden before its lease is renewed.
        max_attempts: How often the handling of a message may fail.
        concurrency: Messages of it handled at a time, at most.
        capacity: Messages held at most, running or not.
        topics: ARNs of the topics whose notifications are believed.
        timeout: How long one handling may take; None sets no limit.
    """

    name: str
    url: str
    kind: Kind
    is_fifo: bool
    wait_time: timedelta
    visibility: timedelta
    max_attempts: int
    concurrency: int
    capacity: int
    overlaps: bool = False
    topics: Collection[str] = ()
    timeout: timedelta | None = None

    @property
    def max_receive_count(self) -> int:
        """After so many receives SQS itself gives a message up."""
        return CRASHES_PER_ATTEMPT * self.max_attempts
