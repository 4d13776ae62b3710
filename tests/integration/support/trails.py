"""Trails on which every step leaves a mark in each place that a message can reach.

A place keeps the numbers that have reached it, in order: an effect that is missing, comes twice or
comes too early shows in the state itself, whatever processes have lived through::

    Step ─ steps.fifo ─> Hike ─┬─ Stepped ─ topic ─> Arrivals (view)
                               │              └────> Guide.arrived ─ Photograph ─ photos.fifo ─> Album
                               └─ Marked ────> Marks (inline view), LaterMarks (asynchronous view)
                                       └─────> Guide.marked ─ Count ─> Tally
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow import (
    Aggregate,
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
    subscribes,
)

if TYPE_CHECKING:
    from sourceflow.bus.ports import Stores, Transport
    from sourceflow.clock import Clock

__all__ = (
    "DEAD_LETTER_QUEUES",
    "ENTITIES",
    "MESSAGES",
    "QUEUES",
    "VIEW_MODELS",
    "Step",
    "only_sent",
    "routed",
    "trails",
    "walkers",
)


class Step(Command):
    """The next step on a trail.

    Attributes:
        id: The trail.
        number: Which step it is.
        takes: Seconds of the clock that it takes.
    """

    id: Key[str]
    number: int
    takes: float = 0.0


class Photograph(Command):
    id: Key[str]
    number: int


class Count(Command):
    id: Key[str]
    number: int


class Stepped(Event):
    id: Key[str]
    number: int


class Marked(Event):
    id: Key[str]
    number: int


class Hike(Entity):
    id: Key[str]
    numbers: tuple[int, ...] = ()


class Album(Entity):
    id: Key[str]
    numbers: tuple[int, ...] = ()


class Tally(Entity):
    id: Key[str]
    numbers: tuple[int, ...] = ()


class ArrivalRow(ViewModel):
    id: Key[str]
    numbers: tuple[int, ...] = ()


class MarkRow(ViewModel):
    id: Key[str]
    numbers: tuple[int, ...] = ()


class LaterMarkRow(ViewModel):
    id: Key[str]
    numbers: tuple[int, ...] = ()


MESSAGES = (Step, Photograph, Count, Stepped, Marked)
ENTITIES = (Hike, Album, Tally)
VIEW_MODELS = (ArrivalRow, MarkRow, LaterMarkRow)
QUEUES = ("steps.fifo", "photos.fifo", "trails-events.fifo")
DEAD_LETTER_QUEUES = ("steps-dlq.fifo", "photos-dlq.fifo", "trails-events-dlq.fifo")


def _grown(state: Any, message: Any) -> tuple[int, ...]:
    before: tuple[int, ...] = () if state is None else state.numbers
    return (*before, message.number)


class Pace:
    """How long steps take.

    Attributes:
        clock: The time.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock


class Hikes(Saga[Hike]):
    def __init__(self, pace: Pace) -> None:
        self._clock = pace.clock

    @handles
    async def step(self, hike: Hike | None, command: Step) -> Hike:
        if command.takes:
            await self._clock.sleep(command.takes)
        self.raise_event(Stepped(id=command.id, number=command.number))
        self.raise_event(Marked(id=command.id, number=command.number))
        return Hike(id=command.id, numbers=_grown(hike, command))


class Albums(Saga[Album]):
    @handles
    def photograph(self, album: Album | None, command: Photograph) -> Album:
        return Album(id=command.id, numbers=_grown(album, command))


class Tallies(Saga[Tally]):
    @handles
    def count(self, tally: Tally | None, command: Count) -> Tally:
        return Tally(id=command.id, numbers=_grown(tally, command))


class Guide(Aggregate[Hike]):
    @subscribes
    async def arrived(self, event: Stepped) -> None:
        await self.send(Photograph(id=event.id, number=event.number))

    @subscribes
    async def marked(self, event: Marked) -> None:
        await self.send(Count(id=event.id, number=event.number))


class Arrivals(View[ArrivalRow], lifecycle="async"):
    @projects
    def arrived(self, event: Stepped, row: ArrivalRow | None) -> ArrivalRow:
        return ArrivalRow(id=event.id, numbers=_grown(row, event))


class Marks(View[MarkRow]):
    @projects
    def marked(self, event: Marked, row: MarkRow | None) -> MarkRow:
        return MarkRow(id=event.id, numbers=_grown(row, event))


class LaterMarks(View[LaterMarkRow], lifecycle="async"):
    @projects
    def marked(self, event: Marked, row: LaterMarkRow | None) -> LaterMarkRow:
        return LaterMarkRow(id=event.id, numbers=_grown(row, event))


def routed(bus: Any) -> Any:
    """Route steps and photographs by queues, and arrivals by a topic; listen to all of it."""
    return (
        bus.send.command(Step, queue="steps.fifo")
        .command(Photograph, queue="photos.fifo")
        .raise_.event(Stepped, topic="arrivals.fifo")
        .listen.to.command_queue("steps.fifo")
        .command_queue("photos.fifo")
        .subscribe.to.topic("arrivals.fifo")
    )


def walkers(transport: Transport, clock: Clock) -> App:
    """Return an App that only sends."""
    return App([], name="walkers", clock=clock).use(transport)


def only_sent(bus: Any) -> Any:
    """Route steps to their queue."""
    return bus.send.command(Step, queue="steps.fifo")


def trails(transport: Transport, stores: Stores, clock: Clock, **more: Any) -> App:
    """Return the App; it takes ``more``."""
    components = [Hikes, Albums, Tallies, Guide, Arrivals, Marks, LaterMarks]
    services = [Pace(clock)]
    app = App(components, name="trails", stores=stores, services=services, clock=clock, **more)
    return app.use(transport)
