"""Alerts: a queue has many dead letters, and somebody should look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec reads the hints
from typing import TYPE_CHECKING, Protocol

import msgspec

from sourceflow.transports.aws.client import PublishEntry
from sourceflow.transports.aws.names import check_topic_name, is_fifo

if TYPE_CHECKING:
    from sourceflow.transports.aws.client import SnsClient

__all__ = ("AlertHook", "DeadLetterAlert", "SnsAlert")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterAlert:
    """A queue has so many dead letters that somebody should look.

    Attributes:
        app: The App that says so.
        queue: The queue whose dead letters they are, as the bus calls it.
        depth: How many there are, by SQS's estimate.
        threshold: From how many on this is said.
        time: When they were counted.
    """

    app: str
    queue: str
    depth: int
    threshold: int
    time: datetime


class AlertHook(Protocol):
    """Is called with an alert; what it raises is logged, and it is called again at the next look."""

    async def __call__(self, alert: DeadLetterAlert, /) -> None:
        """Pass an alert on."""
        ...


@dataclass(frozen=True, slots=True)
class SnsAlert:
    """Publishes alerts to an SNS topic, as JSON with the fields of ``DeadLetterAlert``.

    The topic is made and found like those of events, the ``resource_prefix`` before its name.

    Attributes:
        topic: Its name.

    Raises:
        ValueError: It cannot be the name of a standard topic.
    """

    topic: str

    def __post_init__(self) -> None:
        check_topic_name(self.topic)
        if is_fifo(self.topic):
            raise ValueError(f"alerts go to a standard topic, not to {self.topic!r}")

    def to(self, sns: SnsClient, arn: str) -> AlertHook:
        """Return the hook that publishes to the topic of this ARN."""

        async def publish(alert: DeadLetterAlert) -> None:
            entry = PublishEntry(id="0", body=msgspec.json.encode(alert).decode())
            result = await sns.publish_batch(arn, [entry])
            for failure in result.failed:
                raise failure.to_error("PublishBatch")

        return publish
