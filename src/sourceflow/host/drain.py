"""Waiting until an App has nothing left to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sourceflow.errors import AwsThrottledError, AwsTransientError, DependencyError

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

    What cannot be looked at for a passing reason is looked at again until the time is up.

    Raises:
        TimeoutError: Something is left.
    """
    clock = engine.clock
    deadline = clock.monotonic() + limit.total_seconds()
    pause = FIRST_LOOK
    quiet = 0
    while True:
        look = await _look(engine)
        quiet = quiet + 1 if _is_quiet(engine, look) else 0
        if quiet == 2:  # noqa: PLR2004 - queues' numbers are approximate: look twice
            return
        if clock.monotonic() >= deadline:
            raise TimeoutError(f"not drained within {limit}: {_left(engine, look)}")
        await clock.sleep(FIRST_LOOK if quiet else pause)
        pause = min(pause * 1.5, SLOWEST_LOOK)


class _Look(NamedTuple):
    depths: Sequence[Depth] = ()
    unsent: int = 0
    unseen: str | None = None


async def _look(engine: Engine) -> _Look:
    """Return what waits in the outbox and in queues, or why that cannot be had now."""
    try:
        unsent = await engine.stores.outbox.depth()
        depths = () if engine.transport is None else await engine.transport.depths()
    except (AwsThrottledError, AwsTransientError) as error:
        return _Look(unseen=f"the queues cannot be looked at: {error}")
    except DependencyError as error:
        return _Look(unseen=f"the outbox cannot be looked at: {error}")
    return _Look(depths, unsent)


def _is_quiet(engine: Engine, look: _Look) -> bool:
    return (
        look.unseen is None
        and look.unsent == 0
        and engine.relay.waiting == 0
        and not engine.timer.is_late
        and engine.receiver.running == 0
        and not engine.relay.expected
        and not any(depth.total for depth in look.depths)
    )


def _left(engine: Engine, look: _Look) -> str:
    parts = [
        f"{count} message(s) on their way to {name}" for name, count in engine.relay.left().items()
    ]
    if look.unsent > engine.relay.waiting:
        parts.append(f"{look.unsent} message(s) in the outbox, those of other instances included")
    if engine.timer.is_late:
        parts.append("scheduled commands that are due")
    if engine.receiver.running:
        parts.append(f"{engine.receiver.running} message(s) being handled")
    if engine.relay.expected:
        parts.append(f"{len(engine.relay.expected)} published event(s) that have not come back")
    parts += [
        f"queue {depth.name}: {depth.visible} visible, {depth.in_flight} in flight, "
        f"{depth.delayed} delayed"
        for depth in look.depths
        if depth.total
    ]
    if look.unseen is not None:
        parts.append(look.unseen)
    return "; ".join(parts) or "it only just became quiet"
