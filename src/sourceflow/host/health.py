"""Looks at everything that an App depends on, side by side, and sums it up."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sourceflow.bus.dead_letter import describe_error
from sourceflow.bus.ports import Finding, HealthStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sourceflow.bus.ports import HealthCheck
    from sourceflow.clock import Clock
    from sourceflow.resilience.task_scope import TaskScope

__all__ = ("LIMIT", "HealthEntry", "HealthReport", "HealthRunner")

LIMIT: Final = 2.0
"""Seconds that a check may take; all run at the same time, so a report takes no longer."""

_ORDER: Final = tuple(HealthStatus)
"""From the best to the worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthEntry:
    """How one part is.

    Attributes:
        name: What was looked at: ``database``, ``queue orders.fifo``.
        status: How it is.
        detail: Why, for people; without values of messages.
        seconds: How long it took to find out.
    """

    name: str
    status: HealthStatus
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """How an App is.

    Attributes:
        status: The worst of all entries.
        entries: Each thing that was looked at.
    """

    status: HealthStatus
    entries: tuple[HealthEntry, ...]

    @classmethod
    def of(cls, entries: Sequence[HealthEntry]) -> HealthReport:
        """Sum entries up."""
        worst = max((entry.status for entry in entries), key=_ORDER.index)
        return cls(status=worst, entries=tuple(entries))

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain dicts, lists, texts and numbers, ready for JSON."""
        return {
            "status": self.status.value,
            "entries": [{**asdict(entry), "status": entry.status.value} for entry in self.entries],
        }


class _Look(NamedTuple):
    """What a check has found, and how long it took."""

    finding: Finding
    seconds: float


class HealthRunner:
    """Makes checks, each within the limit, whatever they do.

    What has not answered is cancelled and not waited for: something may hold it up even then. A
    check of which earlier runs have not ended begins when they have, so those that hang do not
    become more with each report.

    Args:
        tasks: Runs the checks; before the scope is left, ``cancel`` ends those under way.
        clock: The time.
    """

    def __init__(self, tasks: TaskScope, clock: Clock) -> None:
        self._tasks = tasks
        self._clock = clock
        self._late: dict[str, set[asyncio.Task[_Look]]] = {}
        self._running: set[asyncio.Task[_Look]] = set()

    async def run(
        self, checks: Iterable[HealthCheck], *, limit: float = LIMIT
    ) -> list[HealthEntry]:
        """Make checks side by side; return an entry for each, in their order.

        Args:
            checks: What to look at.
            limit: Seconds that each may take.
        """
        checks = tuple(checks)
        if not checks:
            return []
        begun = self._clock.monotonic()
        running = [self._start(check) for check in checks]
        over = asyncio.ensure_future(self._clock.sleep(limit))
        ended = asyncio.ensure_future(asyncio.wait(running))
        try:
            await asyncio.wait((over, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            ended.cancel()
            for check, task in zip(checks, running, strict=True):
                self._end(check.name, task)
        took = self._clock.monotonic() - begun
        return [
            _entry(check.name, task, took, limit)
            for check, task in zip(checks, running, strict=True)
        ]

    def cancel(self) -> None:
        """End the checks that are under way."""
        for task in self._running:
            task.cancel()

    def _start(self, check: HealthCheck) -> asyncio.Task[_Look]:
        look = _look(check, frozenset(self._late.get(check.name, ())), self._clock)
        task = self._tasks.create_task(look, name=f"sourceflow health {check.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _end(self, name: str, task: asyncio.Task[_Look]) -> None:
        if task.done():
            return

        late = self._late.setdefault(name, set())
        late.add(task)
        task.add_done_callback(late.discard)
        task.cancel()


async def _look(check: HealthCheck, late: Collection[asyncio.Task[_Look]], clock: Clock) -> _Look:
    """Make a check when its late runs have ended; whatever it raises is a finding."""
    begun = clock.monotonic()
    if late:
        await asyncio.wait(late)
    try:
        finding = await check.look()
    except Exception as error:  # noqa: BLE001 - no check's error escapes: it is what was found
        finding = Finding.unhealthy(describe_error(error))
    return _Look(finding, clock.monotonic() - begun)


def _entry(name: str, task: asyncio.Task[_Look], took: float, limit: float) -> HealthEntry:
    if not task.done():
        look = _Look(Finding.unhealthy(f"it did not answer within {limit:g} s"), took)
    elif task.cancelled():
        look = _Look(Finding.unhealthy("what it asked was closed meanwhile"), took)
    else:
        look = task.result()
    status, detail = look.finding
    return HealthEntry(name=name, status=status, detail=detail, seconds=round(look.seconds, 6))
