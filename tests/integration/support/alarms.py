"""Alarms that are set to ring a little later, each once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sourceflow import App, Command, Entity, Key, Saga, handles

if TYPE_CHECKING:
    from sourceflow.bus.ports import Stores
    from sourceflow.clock import Clock

__all__ = ("ALARMS", "Alarm", "Ring", "SetAlarm", "alarms", "set_all")

ALARMS = tuple(f"a-{number}" for number in range(5))

WAIT = timedelta(milliseconds=200)
"""How long an alarm waits."""


class SetAlarm(Command):
    id: Key[str]


class Ring(Command):
    id: Key[str]


class Alarm(Entity):
    id: Key[str]
    rung: int = 0


class AlarmSaga(Saga[Alarm]):
    @handles(creates=True)
    async def set_alarm(self, command: SetAlarm) -> Alarm:
        await self.send(Ring(id=command.id), delay=WAIT)
        return Alarm(id=command.id)

    @handles
    def ring(self, alarm: Alarm, command: Ring) -> Alarm:
        return replace(alarm, rung=alarm.rung + 1)


def alarms(stores: Stores, clock: Clock) -> App:
    """Return the App."""
    return App([AlarmSaga], name="alarms", stores=stores, clock=clock)


async def set_all(app: App) -> None:
    """Set all alarms; those that are set already stay so, as each command has an id of its own."""
    for alarm in ALARMS:
        await app.send(SetAlarm(id=alarm), message_id=f"set-{alarm}")
