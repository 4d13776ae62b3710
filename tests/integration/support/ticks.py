"""A service that counts ticks, for tests of encryption: a command, an entity, an event and a row."""

from __future__ import annotations

from sourceflow import App, Command, Entity, Event, Key, Saga, View, ViewModel, handles
from sourceflow import projects as project
from sourceflow.transports.aws import AwsTransport

__all__ = (
    "Clockwork",
    "Tick",
    "TickViews",
    "Ticked",
    "Ticking",
    "Ticks",
    "only_raising",
    "only_sending",
    "tick_app",
    "ticking",
)


class Tick(Command):
    id: Key[str]


class Ticked(Event):
    id: Key[str]


class Clockwork(Entity):
    id: Key[str]
    attempt: int = 1


class Ticks(ViewModel):
    id: Key[str]
    attempt: int = 1


class Ticking(Saga[Clockwork]):
    @handles
    def tick(self, entity: Clockwork | None, command: Tick) -> Clockwork:
        self.raise_event(Ticked(id=command.id))
        return Clockwork(id=command.id, attempt=self.context.attempt)


class TickViews(View[Ticks]):
    @project
    def ticked(self, event: Ticked) -> Ticks:
        return Ticks(id=event.id, attempt=self.context.attempt)


def ticking(bus):
    return (
        bus.send.command(Tick, queue="ticks")
        .raise_.event(Ticked, topic="ticked")
        .listen.to.command_queue("ticks")
        .subscribe.to.topic("ticked")
    )


def only_sending(bus):
    return bus.send.command(Tick, queue="ticks")


def only_raising(bus):
    return bus.raise_.event(Ticked, topic="ticked").subscribe.to.topic("ticked")


def tick_app(options, configure=ticking, *, credentials, keys=None, components=None, **more):
    """Return an App that ticks, and its transport."""
    transport = AwsTransport(options, configure, credentials=credentials, keys=keys)
    parts = [Ticking, TickViews] if components is None else components
    return App(parts, name="ticker", **more).use(transport), transport
