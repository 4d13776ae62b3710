"""What is left in queues when everything should be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sourceflow.transports.aws.client import SqsClient

__all__ = ("left_in_queues",)


async def left_in_queues(sqs: SqsClient, *names: str) -> dict[str, tuple[int, int]]:
    """Return how many messages are visible and hidden in each queue that is not empty."""
    left = {}
    for name in names:
        found = await sqs.get_queue_attributes(await sqs.get_queue_url(name))
        visible, hidden = (
            int(found[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible")
        )
        if visible or hidden:
            left[name] = (visible, hidden)
    return left
