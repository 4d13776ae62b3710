"""Walkers that take numbered steps: what they do is written into a diary outside of every store."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sourceflow import (
    App,
    Command,
    Entity,
    Event,
    Key,
    Saga,
    View,
    ViewModel,
    handles,
    projects,
)

if TYPE_CHECKING:
    from sourceflow.bus.ports import Transport
    from sourceflow.clock import Clock

__all__ = (
    "Diary",
    "Ground",
    "MemoryDiary",
    "Step",
    "Stepped",
    "Walk",
    "WalkRow",
    "WalkSaga",
    "Walks",
    "walkers",
)


class Step(Command):
    """The next step of one walk.

    Attributes:
        id: The walk.
        number: Which step it is.
        takes: Seconds of the clock that it takes.
        stumbles: How often its handling fails.
    """

    id: Key[str]
    number: int
    takes: float = 0.0
    stumbles: int = 0


class Stepped(Event):
    id: Key[str]
    number: int


class Walk(Entity):
    id: Key[str]
    number: int
    steps: int = 0


class WalkRow(ViewModel):
    id: Key[str]
    steps: int = 0


class Diary:
    """Outlives stores and processes; ``write`` returns when the line is safe."""

    def write(self, what: str, walk: str, number: int) -> None:
        """Write down that something was done."""
        raise NotImplementedError


class MemoryDiary(Diary):
    """A diary for one process.

    Attributes:
        lines: For each thing that is done, for each walk, the numbers in order.
    """

    def __init__(self) -> None:
        self.lines: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def write(self, what: str, walk: str, number: int) -> None:
        self.lines[what][walk].append(number)


class Ground:
    """Where walkers walk: steps take time, and so many are under way at once.

    Attributes:
        most: The most steps that were ever under way at once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._busy = 0
        self.most = 0

    async def take(self, seconds: float) -> None:
        """Let a step take so many seconds of the clock."""
        self._busy += 1
        self.most = max(self.most, self._busy)
        try:
            await self._clock.sleep(seconds)
        finally:
            self._busy -= 1


class WalkSaga(Saga[Walk]):
    def __init__(self, diary: Diary, ground: Ground) -> None:
        self.diary = diary
        self.ground = ground

    @handles
    async def step(self, walk: Walk | None, command: Step) -> Walk:
        if self.context.attempt <= command.stumbles:
            raise ValueError("it stumbled, as told")
        self.diary.write("handled", command.id, command.number)
        if command.takes:
            await self.ground.take(command.takes)
        self.raise_event(Stepped(id=command.id, number=command.number))
        steps = 0 if walk is None else walk.steps
        return Walk(id=command.id, number=command.number, steps=steps + 1)


class Walks(View[WalkRow], lifecycle="async"):
    def __init__(self, diary: Diary) -> None:
        self.diary = diary

    @projects
    def stepped(self, event: Stepped, row: WalkRow | None) -> WalkRow:
        self.diary.write("projected", event.id, event.number)
        return WalkRow(id=event.id, steps=(0 if row is None else row.steps) + 1)


def routed(bus):
    """Route walkers' messages through one FIFO queue and one topic, and listen to both."""
    return (
        bus.send.command(Step, queue="steps.fifo")
        .raise_.event(Stepped, topic="step-events")
        .listen.to.command_queue("steps.fifo")
        .subscribe.to.topic("step-events")
    )


def walkers(
    transport: Transport,
    diary: Diary,
    clock: Clock,
    *,
    ground: Ground | None = None,
    **more: Any,
) -> App:
    """Return the App; it takes ``more``."""
    services = [diary, ground or Ground(clock)]
    app = App([WalkSaga, Walks], name="walks", services=services, clock=clock, **more)
    return app.use(transport)
