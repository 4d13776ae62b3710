"""What is left in queues when everything should be done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sourceflow.transports.aws.client import SqsClient

__all__ = ("left_in_queues", "left_in_the_end")

PATIENCE: Final = 30.0
"""Seconds that queues may take to be empty."""


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


async def left_in_the_end(sqs: SqsClient, *names: str) -> dict[str, tuple[int, int]]:
    """Return what is left when all queues are empty, or when patience is at its end."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while (left := await left_in_queues(sqs, *names)) and loop.time() < deadline:  # noqa: ASYNC110 - others empty them
        await asyncio.sleep(0.02)
    return left
