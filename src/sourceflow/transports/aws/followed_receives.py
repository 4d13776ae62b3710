"""Receives that telemetry knows of."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sourceflow.transports.aws.wire import trace_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.bus.instrumentation import Place, WireInstrumentation
    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import ReceivedMessage
    from sourceflow.transports.aws.pollers import Receives

__all__ = ("FollowedReceives",)


class FollowedReceives:
    """Receives from one queue, and says how it went.

    Args:
        sqs: Receives.
        place: The queue.
        wire: Is told.
        clock: The time.
    """

    def __init__(
        self, sqs: Receives, *, place: Place, wire: WireInstrumentation, clock: Clock
    ) -> None:
        self._sqs = sqs
        self._place = place
        self._wire = wire
        self._clock = clock

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
        began = self._clock.monotonic()
        try:
            messages = await self._sqs.receive_message(
                queue_url,
                max_messages=max_messages,
                wait_time=wait_time,
                visibility_timeout=visibility_timeout,
                attempt_id=attempt_id,
            )
        except Exception as error:
            self._wire.called("receive", self._place, self._clock.monotonic() - began, 0, error)
            raise
        seconds = self._clock.monotonic() - began
        self._wire.called("receive", self._place, seconds, len(messages), None)
        if messages:
            traces = [trace_of(message.attributes) for message in messages]
            self._wire.received(self._place, seconds, traces, self._longest_wait(messages))
        return messages

    def _longest_wait(self, messages: Sequence[ReceivedMessage]) -> timedelta:
        """Return how long the oldest was in its queue, by the clocks of SQS and of this machine."""
        first = min(message.system.sent_timestamp for message in messages)
        waited = self._clock.now().timestamp() - first / 1000
        return timedelta(seconds=max(0.0, waited if first else 0.0))
