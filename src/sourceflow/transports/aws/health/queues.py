"""Queues: whether they are there, what may send to them, and what was given up from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.bus.ports import Finding
from sourceflow.errors import AwsError
from sourceflow.transports.aws.dead_letters import count_messages
from sourceflow.transports.aws.health.judging import is_denied, judge, not_looked_at
from sourceflow.transports.aws.provisioning import is_missing, may_allow

if TYPE_CHECKING:
    from collections.abc import Collection

    from sourceflow.transports.aws.client import SqsClient
    from sourceflow.transports.aws.health.once import Once

__all__ = ("look_at_dead_letters", "look_at_queue")


async def look_at_queue(attributes: Once[dict[str, str]], *, topics: Collection[str]) -> Finding:
    """See that a queue is there, and that its policy lets topics send to it.

    Actions: ``sqs:GetQueueAttributes`` on the queue.

    Args:
        attributes: The queue's: ``QueueArn``, and ``Policy`` where there are topics.
        topics: ARNs of the topics that feed it; none for a command queue.
    """
    try:
        found = await attributes.get()
    except AwsError as error:
        return judge(error, missing="the queue does not exist")
    kept_out = [
        arn for arn in topics if not may_allow(found.get("Policy", ""), found["QueueArn"], arn)
    ]
    if kept_out:
        return Finding.unhealthy(
            f"its policy does not let {', '.join(sorted(kept_out))} send to it: no event arrives"
        )
    return Finding.healthy("the queue is there")


async def look_at_dead_letters(sqs: SqsClient, url: str | None) -> Finding:
    """See whether a dead letter queue holds anything, also what somebody looks at just now.

    Actions: ``sqs:GetQueueAttributes`` on the dead letter queue.

    Args:
        sqs: Asks.
        url: The dead letter queue; None where there is none.
    """
    if url is None:
        return Finding.degraded(
            "there is no dead letter queue: what is given up stays in its queue"
        )
    try:
        count = sum(await count_messages(sqs, url))
    except AwsError as error:
        if is_denied(error):
            return not_looked_at(error)
        if is_missing(error):
            return Finding.degraded(
                "the dead letter queue does not exist: what is given up stays in its queue"
            )
        return judge(error, missing="")
    if count:
        return Finding.degraded(f"{count} dead letters, by the estimate of SQS")
    return Finding.healthy("no dead letters")
