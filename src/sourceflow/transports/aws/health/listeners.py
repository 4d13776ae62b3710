"""Listeners: whether they receive, and get on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sourceflow.bus.ports import Finding
from sourceflow.transports.aws.listener_status import ListenerState

if TYPE_CHECKING:
    from sourceflow.transports.aws.listener_status import ListenerStatus

__all__ = ("look_at_listener",)

SLOW_ANSWER: Final = timedelta(seconds=30)
"""How much longer than it waits a receive may take before it is late: a time-out, and the next."""

_HELD_UP: Final = {
    ListenerState.PAUSED: "paused until a dependency is back",
    ListenerState.UNREACHABLE: "the queue does not answer",
}


async def look_at_listener(
    now: ListenerStatus | None, *, wait_time: timedelta, stalled: timedelta, handling: timedelta
) -> Finding:
    """See that a listener gets on; makes no call.

    Args:
        now: How it goes; None where there is no listener any more.
        wait_time: How long a receive waits for a message.
        stalled: How long it may be held up before it is unhealthy.
        handling: How long a message may be handled before somebody should look.
    """
    if now is None or now.state is ListenerState.STOPPED:
        return Finding.unhealthy("it is stopped")
    if now.state is ListenerState.MISCONFIGURED:
        return Finding.unhealthy(f"somebody has to mend it: {now.error}")
    seconds = f"{now.quiet.total_seconds():.0f} s"
    if now.state in _HELD_UP:
        kind = Finding.unhealthy if now.quiet > stalled else Finding.degraded
        return kind(f"{_HELD_UP[now.state]}, nothing was received for {seconds}: {now.error}")
    if now.quiet <= wait_time + SLOW_ANSWER + stalled:
        if now.longest > handling:
            return Finding.degraded(
                f"it receives; of {now.running} messages that are handled, one has been for "
                f"{now.longest.total_seconds():.0f} s"
            )
        return Finding.healthy(f"it receives; {now.running} messages are handled")
    if now.held:
        return Finding.degraded(
            f"its handlers have had no room for another message for {seconds}; "
            f"{now.running} are running, one of them for {now.longest.total_seconds():.0f} s"
        )
    return Finding.unhealthy(f"no receive was answered for {seconds}")
