"""The limits of one queue that is listened to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sourceflow.transports.aws.bus import ListenedQueue
from sourceflow.transports.aws.encryption import requires_encryption

if TYPE_CHECKING:
    from datetime import timedelta

    from sourceflow.transports.aws.options import AwsOptions

__all__ = ("QueueLimits",)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """A queue's limits: its own, or those of the options.

    Attributes:
        own_concurrency: Messages of it handled at a time; None shares the options' places.
        visibility: How long its messages are hidden before their lease is renewed.
        max_attempts: How often the handling of a message may fail.
        timeout: How long one handling may take; None sets no limit.
        requires_encryption: Whether messages in clear are refused.
    """

    own_concurrency: int | None
    visibility: timedelta
    max_attempts: int
    timeout: timedelta | None
    requires_encryption: bool

    @classmethod
    def of(cls, options: AwsOptions, override: ListenedQueue | None) -> Self:
        """Return the limits of a queue; None is an event queue, which has none of its own."""
        own = override or ListenedQueue(name="")
        return cls(
            own_concurrency=own.max_concurrent_calls,
            visibility=own.visibility_timeout or options.visibility_timeout,
            max_attempts=own.max_attempts or options.max_attempts,
            timeout=own.timeout,
            requires_encryption=requires_encryption(options, override),
        )
