"""Receives from one queue, with as many polls at a time as pay."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from sourceflow.errors import AwsConfigurationError, AwsError
from sourceflow.messages import new_message_id
from sourceflow.resilience.backoff import Backoff
from sourceflow.transports.aws.batcher import MAX_ENTRIES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sourceflow.transports.aws.client import ReceivedMessage
    from sourceflow.transports.aws.listener_options import ListenerOptions
    from sourceflow.transports.aws.places import Places

__all__ = ("MISCONFIGURED", "Pollers", "Receives")

log = logging.getLogger(__name__)

_UNREACHABLE: Final = Backoff(base=timedelta(milliseconds=200), cap=timedelta(seconds=20))
MISCONFIGURED: Final = Backoff(base=timedelta(seconds=10), cap=timedelta(seconds=60))
"""Waits for a person to mend a queue, a topic or a right."""


class Receives(Protocol):
    """Receives messages: SQS, or what stands before it."""

    async def receive_message(
        self,
        queue_url: str,
        *,
        max_messages: int,
        wait_time: timedelta,
        visibility_timeout: timedelta,
        attempt_id: str | None,
    ) -> Sequence[ReceivedMessage]:
        """See ``SqsClient``."""
        ...


class Pollers:
    """One long poll while a queue is idle, more while it is busy, one again when it is empty.

    A poll that brings a full batch is followed by one more beside it, up to one for each ten
    messages that may be handled at a time; a poll that brings nothing ends, but for the last.

    Attributes:
        count: Polls there are.
        error: Why the last receive failed; None where it did not.
        answered: When a receive was last answered; when it was made, before the first one was.

    Args:
        options: How the queue is listened to.
        sqs: Receives.
        places: Where messages go: a poll starts when there is room.
        take: Is given what was received.
        wait: Waits for a delay, or until the listener stops.
        monotonic: The time in seconds.
    """

    def __init__(
        self,
        options: ListenerOptions,
        *,
        sqs: Receives,
        places: Places,
        take: Callable[[Sequence[ReceivedMessage]], None],
        wait: Callable[[timedelta], Awaitable[None]],
        monotonic: Callable[[], float],
    ) -> None:
        self._options = options
        self._sqs = sqs
        self._places = places
        self._take = take
        self._wait = wait
        self._monotonic = monotonic
        self.answered = monotonic()
        self._stopped = False
        self._open = asyncio.Event()
        self._open.set()
        self.count = 0
        self.error: AwsError | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Poll until stopped; what a poll brings that was under way then is taken too."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._add()
        self._ended.set()

    async def ended(self) -> None:
        """Wait until no poll is under way, after ``stop``."""
        await self._ended.wait()

    def stop(self) -> None:
        """Begin no further poll."""
        self._stopped = True
        self._open.set()

    def pause(self) -> None:
        """Begin no poll until ``resume``."""
        self._open.clear()

    def resume(self) -> None:
        """Begin polls again."""
        self._open.set()

    def _add(self) -> None:
        assert self._tasks is not None
        self.count += 1
        self._tasks.create_task(self._poll(), name=f"sourceflow poll {self._options.name}")

    async def _poll(self) -> None:
        failures = 0
        attempt_id = None
        while True:
            await self._open.wait()
            reserved = await self._places.reserve()
            if not self._open.is_set():  # paused while it waited for room
                self._places.fill(reserved, 0)
                continue
            messages: Sequence[ReceivedMessage] = ()
            try:
                if self._stopped:
                    return
                # A receive that is repeated with its id gives the same messages: an answer that
                # got lost hides no group (SQS API reference, ReceiveMessage).
                attempt_id = attempt_id or (new_message_id() if self._options.is_fifo else None)
                messages = await self._receive(reserved, attempt_id)
                failures, attempt_id, self.error = 0, None, None
                self.answered = self._monotonic()
            except AwsError as error:
                await self._unreachable(error, failures)
                failures += 1
                continue
            finally:
                self._places.fill(reserved, len(messages))
            self._take(messages)
            if len(messages) == MAX_ENTRIES and self.count < self._most:
                self._add()
            elif not messages and self.count > 1:
                break
        self.count -= 1

    @property
    def _most(self) -> int:
        return -(-self._options.concurrency // MAX_ENTRIES)

    async def _receive(self, count: int, attempt_id: str | None) -> Sequence[ReceivedMessage]:
        return await self._sqs.receive_message(
            self._options.url,
            max_messages=count,
            wait_time=self._options.wait_time,
            visibility_timeout=self._options.visibility,
            attempt_id=attempt_id,
        )

    async def _unreachable(self, error: AwsError, failures: int) -> None:
        backoff = MISCONFIGURED if isinstance(error, AwsConfigurationError) else _UNREACHABLE
        delay = backoff.delay(failures)
        self.error = error
        log.warning(
            "%s cannot be received from, next try in %.1f s: %s",
            self._options.name,
            delay.total_seconds(),
            error,
        )
        await self._wait(delay)
