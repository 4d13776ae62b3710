"""The task that watches the dead letter queues of an App."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from sourceflow.errors import AwsError
from sourceflow.transports.aws.dead_letters.alert import DeadLetterAlert
from sourceflow.transports.aws.dead_letters.letter import record_of
from sourceflow.transports.aws.dead_letters.visit import Visit, count_messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import SqsClient
    from sourceflow.transports.aws.dead_letters.alert import AlertHook
    from sourceflow.transports.aws.dead_letters.monitor import DeadLetterMonitor
    from sourceflow.transports.aws.dead_letters.queue import DeadLetterQueue
    from sourceflow.transports.aws.dead_letters.records import Records
    from sourceflow.transports.aws.leases import Lease

__all__ = ("DeadLetterWatch",)

log = logging.getLogger(__name__)

MAX_LOOKED_AT: Final = 1_000
"""Letters of one queue that a look sees at most: a hundred calls to receive them, and as many to
show them again."""


class DeadLetterWatch:
    """Looks into each dead letter queue in turn, again and again.

    Invariants:

    - A look removes nothing but, with ``delete_after``, what was recorded.
    - A letter is recorded before it is shown again: a redrive that marks its record as replayed
      comes after that, never in between.
    - No fault of AWS, of a store or of a hook ends it.

    Args:
        queues: What is watched.
        options: How.
        hooks: Are called with alerts.
        sqs: Calls SQS.
        records: Where letters are recorded.
        clock: The time.
        app: The App's name.
    """

    def __init__(
        self,
        queues: Sequence[DeadLetterQueue],
        options: DeadLetterMonitor,
        hooks: Sequence[AlertHook],
        *,
        sqs: SqsClient,
        records: Records,
        clock: Clock,
        app: str,
    ) -> None:
        self._queues = queues
        self._options = options
        self._hooks = hooks
        self._sqs = sqs
        self._records = records
        self._clock = clock
        self._app = app
        self._untold: dict[str, list[AlertHook]] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            for queue in self._queues:
                await self._look_safely(queue)
            await self._clock.sleep(self._options.interval.total_seconds())

    async def _look_safely(self, queue: DeadLetterQueue) -> None:
        try:
            await self.look(queue)
        except AwsError as error:
            log.warning("the dead letters of %s cannot be watched: %s", queue.source, error)
        except Exception:
            log.exception("a look at the dead letters of %s failed", queue.source)

    async def look(self, queue: DeadLetterQueue) -> None:
        """Count the letters of a queue, give the alert that is due, record what is new.

        Raises:
            AwsError: It cannot be read.
        """
        depth = sum(await count_messages(self._sqs, queue.url))
        await self._alert(queue, depth)
        if depth and self._options.store_records:
            await self._record(queue)

    async def _alert(self, queue: DeadLetterQueue, depth: int) -> None:
        if depth < self._options.alert_threshold:
            self._untold.pop(queue.source, None)
            return
        alert = DeadLetterAlert(
            app=self._app,
            queue=queue.source,
            depth=depth,
            threshold=self._options.alert_threshold,
            time=self._clock.now(),
        )
        if queue.source not in self._untold:
            log.warning("%s has %d dead letters", queue.source, depth)
        hooks = self._untold.get(queue.source, self._hooks)
        self._untold[queue.source] = [hook for hook in hooks if not await _call(hook, alert)]

    async def _record(self, queue: DeadLetterQueue) -> None:
        looked_at = 0
        async with Visit(queue, sqs=self._sqs, clock=self._clock) as visit:
            while looked_at < MAX_LOOKED_AT and not visit.is_full:
                received = await visit.look(self._options.batch_size)
                if not received:
                    break
                looked_at += len(received)
                await self._keep(queue, visit, received)

    async def _keep(self, queue: DeadLetterQueue, visit: Visit, leases: Sequence[Lease]) -> None:
        recorded = [
            lease for lease in leases if await self._records.keep(record_of(lease.message, queue))
        ]
        for lease in leases:
            visit.keep(lease)
        if self._options.delete_after:
            await visit.remove(recorded)


async def _call(hook: AlertHook, alert: DeadLetterAlert) -> bool:
    """Call a hook; return whether it passed the alert on."""
    try:
        await hook(alert)
    except Exception:
        log.exception("an alert about the dead letters of %s was not passed on", alert.queue)
        return False
    return True
