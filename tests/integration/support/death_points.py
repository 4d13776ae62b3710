"""The boundaries in a message's journey at which a process may die: at each of them, it does."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from itertools import count
from typing import Any, Final, NamedTuple

from sourceflow.bus import command_bus, event_bus
from sourceflow.stores.sql.database import postgres, sqlite
from sourceflow.stores.sql.outbox import SqlOutbox
from sourceflow.stores.sql.unit_of_work import SqlUnitOfWork
from sourceflow.transports.aws import AwsTransport
from sourceflow.transports.aws.client import SqsClient
from trails import Count, Step, Stepped

__all__ = ("DEATH_POINTS", "die_at")

Call = Callable[..., Awaitable[Any]]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _before(call: Call, *args: Any) -> Any:
    _die()
    return await call(*args)


async def _after(call: Call, *args: Any) -> Any:
    result = await call(*args)
    _die()
    return result


async def _under_way(call: Call, *args: Any) -> Any:
    task = asyncio.ensure_future(call(*args))
    await asyncio.sleep(0)  # the statement is on its way to the server, its answer is not here
    _die()
    return await task


def _after_call(call: Callable[..., Any], *args: Any) -> Any:
    result = call(*args)
    _die()
    return result


class _Point(NamedTuple):
    """Where to die.

    Attributes:
        owner: What has the function: a class, or a module.
        name: The function.
        death: Is called in its place.
        when: Whether a call of it counts.
        nth: Which of the calls that count is the last.
    """

    owner: Any
    name: str
    death: Callable[..., Any]
    when: Callable[..., bool] = lambda *_: True
    nth: int = 2

    def set(self) -> None:
        """Let the process die here."""
        original = getattr(self.owner, self.name)
        counted = count(1)

        @wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            call = partial(original, **kwargs)
            if self.when(*args) and next(counted) == self.nth:
                return self.death(call, *args)
            return call(*args)

        setattr(self.owner, self.name, watched)


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

DEATH_POINTS: Final[dict[str, tuple[_Point, ...]]] = {
    "before the claim and the head of a command are read": (
        _Point(_UOW, "head", _before, _of_steps),
    ),
    "after the handler of a command": (
        _Point(command_bus, "call_handler", _after, _handles(Step)),
    ),
    "before the commit of a command": (_Point(_UOW, "commit", _before, _commits_step),),
    "in the middle of a commit": (
        _Point(sqlite, "run_steps", _after_call, nth=5),
        _Point(postgres.PostgresDatabase, "_run", _under_way, nth=5),
    ),
    "after the commit of a command": (_Point(_UOW, "commit", _after, _commits_step),),
    "before the acknowledgement of a command": (
        _Point(SqsClient, "delete_message_batch", _before, _STEPS),
    ),
    "after the acknowledgement of a command": (
        _Point(SqsClient, "delete_message_batch", _after, _STEPS),
    ),
    "before the claims of an event are read": (_Point(_UOW, "claimed", _before),),
    "after the subscriber of an event": (
        _Point(event_bus, "call_handler", _after, _handles(Stepped)),
    ),
    "before the commit of an event": (_Point(_UOW, "commit", _before, _commits_arrival),),
    "after the commit of an event": (_Point(_UOW, "commit", _after, _commits_arrival),),
    "before the acknowledgement of an event": (
        _Point(SqsClient, "delete_message_batch", _before, _EVENTS),
    ),
    "after the acknowledgement of an event": (
        _Point(SqsClient, "delete_message_batch", _after, _EVENTS),
    ),
    "before a row is sent": (_Point(AwsTransport, "send", _before),),
    "after a row is sent": (_Point(AwsTransport, "send", _after),),
    "before a row that was sent is forgotten": (_Point(_OUTBOX, "sent", _before, _REMOTE),),
    "after a row that was sent is forgotten": (_Point(_OUTBOX, "sent", _after, _REMOTE),),
    "before a row is handled in the process": (
        _Point(command_bus, "call_handler", _before, _handles(Count)),
    ),
    "after a row is handled in the process": (
        _Point(command_bus, "call_handler", _after, _handles(Count)),
    ),
    "before a row that was handled in the process is forgotten": (
        _Point(_OUTBOX, "sent", _before, _LOCAL),
    ),
    "after a row that was handled in the process is forgotten": (
        _Point(_OUTBOX, "sent", _after, _LOCAL),
    ),
    "before rows are taken over": (_Point(_OUTBOX, "take", _before, nth=1),),
    "after rows are taken over": (_Point(_OUTBOX, "take", _after, nth=1),),
}
"""Boundaries by name."""


def die_at(name: str) -> None:
    """Let this process die at a boundary."""
    for point in DEATH_POINTS[name]:
        point.set()
