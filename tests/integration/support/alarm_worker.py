"""A worker that sets alarms and lets them ring, and may die at a boundary that it is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from asyncpg.transaction import Transaction

from alarms import Ring, alarms, set_all
from death import DeathPoint, after, after_call, before, under_way
from sourceflow.bus import command_bus
from sourceflow.bus.relay import Relay
from sourceflow.stores.sql.database import sqlite_session
from sourceflow.stores.sql.outbox import SqlOutbox
from sourceflow.stores.sql.schedule import SqlSchedule
from sourceflow.stores.sql.unit_of_work import SqlUnitOfWork

if TYPE_CHECKING:
    from databases import SqlDatabase
    from sourceflow.clock import Clock

__all__ = ("ALARM_DEATHS", "work")


def _schedules(_uow: Any, changes: Any) -> bool:
    return bool(changes.schedule)


def _rings(*arguments: Any) -> bool:
    return any(isinstance(each, Ring) for each in arguments)


def _commits_ring(_uow: Any, changes: Any) -> bool:
    return changes.stream is not None and isinstance(changes.stream.command.message, Ring)


def _has_rows(_relay: Any, rows: Any, *_: Any) -> bool:
    return bool(rows)


_UOW, _SCHEDULE = SqlUnitOfWork, SqlSchedule

ALARM_DEATHS: Final[dict[str, tuple[DeathPoint, ...]]] = {
    "before the commit that schedules": (DeathPoint(_UOW, "commit", before, _schedules),),
    "in the middle of the commit that schedules": (
        DeathPoint(_UOW, "commit", under_way, _schedules),
    ),
    "after the commit that schedules": (DeathPoint(_UOW, "commit", after, _schedules),),
    "before due commands are moved": (DeathPoint(_SCHEDULE, "fire", before, nth=1),),
    "when they have left the schedule": (DeathPoint(_SCHEDULE, "_move", before, nth=1),),
    "when they stand in the outbox": (DeathPoint(_SCHEDULE, "_move", after, nth=1),),
    "in the middle of the commit that moves them": (
        DeathPoint(sqlite_session.SqliteSession, "end", after_call, nth=2),
        DeathPoint(Transaction, "commit", under_way, nth=2),
    ),
    "after the commit that moves them": (DeathPoint(_SCHEDULE, "fire", after, nth=1),),
    "when the relay has them": (DeathPoint(Relay, "take", after_call, _has_rows, nth=1),),
    "before one is handled": (DeathPoint(command_bus, "call_handler", before, _rings),),
    "after one is handled": (DeathPoint(command_bus, "call_handler", after, _rings),),
    "after the commit of one": (DeathPoint(_UOW, "commit", after, _commits_ring),),
    "before rows that arrived are forgotten": (DeathPoint(SqlOutbox, "sent", before, nth=1),),
    "after rows that arrived are forgotten": (DeathPoint(SqlOutbox, "sent", after, nth=1),),
}
"""Boundaries of a scheduled send, by name."""


def work(database: SqlDatabase, clock: Clock, boundary: str | None = None) -> None:
    """Work in this process, until it is ended or dies.

    Args:
        database: Where everything is kept.
        clock: The time.
        boundary: Where to die; None to live on.
    """
    if boundary is not None:
        for point in ALARM_DEATHS[boundary]:
            point.set()
    asyncio.run(_work(database, clock))


async def _work(database: SqlDatabase, clock: Clock) -> None:
    async with alarms(database.stores(), clock) as app:
        await set_all(app)
        await asyncio.Event().wait()
