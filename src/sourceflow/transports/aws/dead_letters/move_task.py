"""SQS moves letters itself: for many of them, where that keeps what a redrive promises."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from sourceflow.errors import AwsConfigurationError, AwsError, AwsRequestError
from sourceflow.transports.aws.names import dead_letter_name

if TYPE_CHECKING:
    from sourceflow.bus.ports import DeadLetterFilter
    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import SqsClient
    from sourceflow.transports.aws.dead_letters.mover import MoveTarget
    from sourceflow.transports.aws.dead_letters.queue import DeadLetterQueue

__all__ = ("MoveTask", "can_move")

log = logging.getLogger(__name__)

LEAST: Final = 10_000
"""From how many letters on SQS moves them itself. Fewer take us seconds, and are moved exactly."""

MAX_RATE: Final = 500
"""Messages a second at most (SQS API reference, ``StartMessageMoveTask``)."""

LOOK: Final = 1.0
"""Seconds between two looks at how far it is."""

_OVER: Final = frozenset({"COMPLETED", "CANCELLED", "FAILED"})


def can_move(
    queue: DeadLetterQueue,
    *,
    to_source: bool,
    where: DeadLetterFilter | None,
    limit: int | None,
    rate: float | None,
) -> bool:
    """Whether SQS could do a redrive as it is promised.

    It takes no filter and no limit, and only whole rates. On FIFO queues AWS does not say which
    deduplication id a moved message has, nor that the order of a group outlives a task that fails.
    A dead letter queue of another name may have letters of other queues, which it would move too.
    """
    name = queue.source_arn.rpartition(":")[2]
    is_own = queue.url.rpartition("/")[2] == dead_letter_name(name)
    is_whole = rate is None or (rate == int(rate) and rate <= MAX_RATE)
    return (
        not queue.is_fifo
        and where is None
        and limit is None
        and is_whole
        and (is_own or not to_source)
    )


class MoveTask:
    """One move by SQS itself.

    It moves what fails again at once and comes back, for as long as it finds something: so it is
    cancelled when it has moved as many as there were. What it leaves is for others to move, and so
    is everything where SQS refuses the task.
    """

    def __init__(
        self,
        queue: DeadLetterQueue,
        target: MoveTarget,
        *,
        rate: float | None,
        sqs: SqsClient,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._target = target
        self._rate = rate
        self._sqs = sqs
        self._clock = clock

    async def run(self) -> int:
        """Move letters; return how many went, by the count of SQS.

        Raises:
            AwsError: It cannot be asked how far it is; it is cancelled then.
        """
        async with self._queue.lock:
            found = await self._sqs.get_queue_attributes(self._queue.url, ("QueueArn",))
            arn = found["QueueArn"]
            try:
                handle = await self._sqs.start_message_move_task(
                    arn,
                    destination_arn=self._target.arn,
                    rate=None if self._rate is None else int(self._rate),
                )
            except (AwsConfigurationError, AwsRequestError) as error:
                log.info(
                    "SQS does not move the letters of %s itself: %s", self._queue.source, error
                )
                return 0
            try:
                return await self._follow(arn, handle)
            except (AwsError, asyncio.CancelledError):
                await self._cancel(handle)
                raise

    async def _follow(self, arn: str, handle: str) -> int:
        """Wait until it is over; only one task of a queue is active, and it is the newest."""
        is_cancelled = False
        while True:
            (task, *_) = await self._sqs.list_message_move_tasks(arn, limit=1)
            moved = task.approximate_number_of_messages_moved
            if task.status in _OVER:
                return moved
            if moved >= task.approximate_number_of_messages_to_move and not is_cancelled:
                await self._cancel(handle)
                is_cancelled = True
            await self._clock.sleep(LOOK)

    async def _cancel(self, handle: str) -> None:
        try:
            await self._sqs.cancel_message_move_task(handle)
        except AwsError as error:  # it may have ended by itself
            log.info("the move of the letters of %s goes on: %s", self._queue.source, error)
