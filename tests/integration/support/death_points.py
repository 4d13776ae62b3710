"""The boundaries in a message's journey at which a process may die: at each of them, it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from death import DeathPoint, after, after_call, before, under_way
from sourceflow.bus import command_bus, event_bus
from sourceflow.stores.sql.database import postgres, sqlite
from sourceflow.stores.sql.outbox import SqlOutbox
from sourceflow.stores.sql.unit_of_work import SqlUnitOfWork
from sourceflow.transports.aws import AwsTransport
from sourceflow.transports.aws.client import SqsClient
from trails import Count, Step, Stepped

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("DEATH_POINTS", "die_at")


def _of_steps(_uow: Any, stream: Any, *_: Any) -> bool:
    return bool(stream.entity == "Hike")


def _handles(message_type: type[Any]) -> Callable[..., bool]:
    return lambda _wiring, _handler, _scope, message: isinstance(message, message_type)


def _commits_step(_uow: Any, changes: Any) -> bool:
    step = changes.stream
    return step is not None and isinstance(step.command.message, Step)


def _commits_arrival(_uow: Any, changes: Any) -> bool:
    """Whether it is the unit of work of an event that came through its queue."""
    return bool(changes.stream is None and changes.events)


def _deletes_from(queue: str) -> Callable[..., bool]:
    return lambda _sqs, url, _entries: url.endswith(f"/{queue}")


def _forgets(*, local: bool) -> Callable[..., bool]:
    return lambda _outbox, rows: any(row.destination.is_local is local for row in rows)


_STEPS, _EVENTS = _deletes_from("steps.fifo"), _deletes_from("trails-events.fifo")
_REMOTE, _LOCAL = _forgets(local=False), _forgets(local=True)
_UOW, _OUTBOX = SqlUnitOfWork, SqlOutbox

DEATH_POINTS: Final[dict[str, tuple[DeathPoint, ...]]] = {
    "before the claim and the head of a command are read": (
        DeathPoint(_UOW, "head", before, _of_steps),
    ),
    "after the handler of a command": (
        DeathPoint(command_bus, "call_handler", after, _handles(Step)),
    ),
    "before the commit of a command": (DeathPoint(_UOW, "commit", before, _commits_step),),
    "in the middle of a commit": (
        DeathPoint(sqlite, "run_steps", after_call, nth=5),
        DeathPoint(postgres.PostgresDatabase, "_run", under_way, nth=5),
    ),
    "after the commit of a command": (DeathPoint(_UOW, "commit", after, _commits_step),),
    "before the acknowledgement of a command": (
        DeathPoint(SqsClient, "delete_message_batch", before, _STEPS),
    ),
    "after the acknowledgement of a command": (
        DeathPoint(SqsClient, "delete_message_batch", after, _STEPS),
    ),
    "before the claims of an event are read": (DeathPoint(_UOW, "claimed", before),),
    "after the subscriber of an event": (
        DeathPoint(event_bus, "call_handler", after, _handles(Stepped)),
    ),
    "before the commit of an event": (DeathPoint(_UOW, "commit", before, _commits_arrival),),
    "after the commit of an event": (DeathPoint(_UOW, "commit", after, _commits_arrival),),
    "before the acknowledgement of an event": (
        DeathPoint(SqsClient, "delete_message_batch", before, _EVENTS),
    ),
    "after the acknowledgement of an event": (
        DeathPoint(SqsClient, "delete_message_batch", after, _EVENTS),
    ),
    "before a row is sent": (DeathPoint(AwsTransport, "send", before),),
    "after a row is sent": (DeathPoint(AwsTransport, "send", after),),
    "before a row that was sent is forgotten": (
        DeathPoint(_OUTBOX, "sent", before, _REMOTE, nth=1),
    ),
    "after a row that was sent is forgotten": (DeathPoint(_OUTBOX, "sent", after, _REMOTE, nth=1),),
    "before a row is handled in the process": (
        DeathPoint(command_bus, "call_handler", before, _handles(Count)),
    ),
    "after a row is handled in the process": (
        DeathPoint(command_bus, "call_handler", after, _handles(Count)),
    ),
    "before a row that was handled in the process is forgotten": (
        DeathPoint(_OUTBOX, "sent", before, _LOCAL, nth=1),
    ),
    "after a row that was handled in the process is forgotten": (
        DeathPoint(_OUTBOX, "sent", after, _LOCAL, nth=1),
    ),
    "before rows are taken over": (DeathPoint(_OUTBOX, "take", before, nth=1),),
    "after rows are taken over": (DeathPoint(_OUTBOX, "take", after, nth=1),),
}
"""Boundaries by name."""


def die_at(name: str) -> None:
    """Let this process die at a boundary."""
    for point in DEATH_POINTS[name]:
        point.set()
