"""Commands that wait until they are due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sourceflow.bus.changes import OutboxRow, Stream
    from sourceflow.messages import Envelope

__all__ = ("Fired", "Schedule", "ScheduledCommand")


class ScheduledCommand(NamedTuple):
    """A command that waits until it is due.

    Attributes:
        message_id: Its id.
        type_name: The wire name of its type.
        key: The key of what it is about, as text.
        due: When it is sent, in UTC.
        position: Tells the order of those that are due at the same time.
    """

    message_id: str
    type_name: str
    key: str
    due: datetime
    position: int


class Fired(NamedTuple):
    """What a look for due commands has brought.

    Attributes:
        moved: How many have left the schedule.
        rows: Those of them that may leave at once, as ``UnitOfWork.commit`` gives them out.
    """

    moved: int
    rows: Sequence[OutboxRow]


class Schedule(Protocol):
    """Commands that wait until they are due: units of work put them there.

    It shows the commands of the App that the stores were opened for; those of other Apps are
    theirs. One message id has one place in it: putting it there again moves it.
    """

    async def first(self, *, after: datetime | None = None) -> datetime | None:
        """Return when the first command is due, of those due after a time; None without any."""
        ...

    async def fire(
        self, now: datetime, route: Callable[[Envelope[Any], Stream], OutboxRow], *, limit: int
    ) -> Fired:
        """Move commands that are due to the outbox, those due first before the others.

        That is one transaction: a command stands in the schedule or in the outbox, whatever
        happens. Several instances that call it at once move each command once. A command that
        this instance cannot read goes to the outbox as it was routed when it was scheduled.

        Args:
            now: The time.
            route: Makes the outbox row; it never raises.
            limit: How many at most.

        Raises:
            DependencyError: The store does not answer; what was moved leaves with the outbox.
        """
        ...

    async def cancel(self, message_id: str) -> bool:
        """Take a command back; return whether it still waited. It is never sent then."""
        ...

    async def waits(self, message_id: str) -> bool:
        """Return whether a command waits."""
        ...

    async def page(
        self, *, limit: int = 100, after: ScheduledCommand | None = None
    ) -> Sequence[ScheduledCommand]:
        """Return commands that wait, those due first before the others.

        Args:
            limit: How many at most.
            after: The last one of the page before.
        """
        ...
