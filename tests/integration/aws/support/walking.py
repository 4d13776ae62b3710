"""Walkers that take numbered steps: what they do is written into a diary outside of every store."""

from __future__ import annotations

from collections import defaultdict

from hurried_clock import HurriedClock  # noqa: TC001 - the App finds services by these hints
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

__all__ = (
    "Diary",
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


class WalkSaga(Saga[Walk]):
    def __init__(self, diary: Diary, clock: HurriedClock) -> None:
        self.diary = diary
        self.clock = clock

    @handles
    async def step(self, walk: Walk | None, command: Step) -> Walk:
        if self.context.attempt <= command.stumbles:
            raise ValueError("it stumbled, as told")
        self.diary.write("handled", command.id, command.number)
        if command.takes:
            await self.clock.sleep(command.takes)
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


def walkers(transport, diary: Diary, clock: HurriedClock) -> App:
    """Return the App."""
    return App([WalkSaga, Walks], name="walks", services=[diary, clock], clock=clock).use(transport)
