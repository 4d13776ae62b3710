"""SQS and SNS themselves: whether they answer, and know whose calls these are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow.bus.ports import Finding
from sourceflow.errors import AwsError, AwsThrottledError
from sourceflow.transports.aws.health.judging import answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.transports.aws.health.once import Once

__all__ = ("look_at_service",)


async def look_at_service(calls: Sequence[Once[Any]]) -> Finding:
    """See that a service answers, whatever it says about a queue or topic.

    It makes no call of its own: it reads what the checks of queues and topics ask anyway, up to
    the first that was answered. So it needs no right like ``sns:ListTopics``.

    Args:
        calls: Those of this report; at least one.
    """
    failed: AwsError | None = None
    for call in calls:
        try:
            await call.get()
        except AwsError as error:
            if isinstance(error, AwsThrottledError):
                return Finding.degraded(f"it asks to slow down: {error.code}")
            if answers(error):
                return Finding.healthy("it answers")
            failed = error
        else:
            return Finding.healthy("it answers")
    return Finding.unhealthy(f"{type(failed).__name__}: {failed}")
