"""Waiting until an App has nothing left to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sourceflow.errors import AwsThrottledError, AwsTransientError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from sourceflow.bus.ports import Depth
    from sourceflow.host.engine import Engine

__all__ = ("wait_until_drained",)

FIRST_LOOK: Final = 0.02
SLOWEST_LOOK: Final = 0.25
"""Seconds between two looks: queues are asked rarely while they are busy."""


async def wait_until_drained(engine: Engine, limit: timedelta) -> None:
    """Wait until an engine is drained; see ``App.drained``.

    Queues that cannot be looked at for a passing reason are looked at again until the time is up.

    Raises:
        TimeoutError: Something is left.
    """
    clock = engine.clock
    deadline = clock.monotonic() + limit.total_seconds()
    pause = FIRST_LOOK
    quiet = 0
    while True:
        depths, unseen = await _look(engine)
        quiet = quiet + 1 if unseen is None and _is_quiet(engine, depths) else 0
        if quiet == 2:  # noqa: PLR2004 - queues' numbers are approximate: look twice
            return
        if clock.monotonic() >= deadline:
            raise TimeoutError(f"not drained within {limit}: {_left(engine, depths, unseen)}")
        await clock.sleep(FIRST_LOOK if quiet else pause)
        pause = min(pause * 1.5, SLOWEST_LOOK)


async def _look(engine: Engine) -> tuple[Sequence[Depth], Exception | None]:
    """Return the depths of the queues, or why they cannot be had now."""
    if engine.transport is None:
        return (), None
    try:
        return await engine.transport.depths(), None
    except (AwsThrottledError, AwsTransientError) as error:
        return (), error


def _is_quiet(engine: Engine, depths: Sequence[Depth]) -> bool:
    return (
        engine.relay.waiting == 0
        and engine.receiver.running == 0
        and engine.relay.expected == 0
        and not any(depth.total for depth in depths)
    )


def _left(engine: Engine, depths: Sequence[Depth], unseen: Exception | None) -> str:
    parts = [
        f"{count} message(s) on their way to {name}" for name, count in engine.relay.left().items()
    ]
    if engine.receiver.running:
        parts.append(f"{engine.receiver.running} message(s) being handled")
    if engine.relay.expected:
        parts.append(f"{engine.relay.expected} published event(s) that have not come back")
    parts += [
        f"queue {depth.name}: {depth.visible} visible, {depth.in_flight} in flight, "
        f"{depth.delayed} delayed"
        for depth in depths
        if depth.total
    ]
    if unseen is not None:
        parts.append(f"the queues cannot be looked at: {unseen}")
    return "; ".join(parts) or "it only just became quiet"
