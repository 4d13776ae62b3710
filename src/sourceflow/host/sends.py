"""How callers at the edge send commands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from sourceflow.domain.context import handling
from sourceflow.errors import UseSelfSendError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from sourceflow.bus.ports import ScheduledCommand
    from sourceflow.host.engine import Engine
    from sourceflow.messages import Command

__all__ = ("Sends",)


class Sends(ABC):
    """The part of an App that sends, now or later."""

    @property
    @abstractmethod
    def _running(self) -> Engine:
        """What runs while the App does; raises ``NotRunningError`` where it does not."""

    async def send(
        self,
        command: Command | Any,
        *,
        message_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        delay: timedelta | None = None,
        at: datetime | None = None,
    ) -> str:
        """Send a command from outside of any handler, now or later.

        A routed command returns when its queue has confirmed it. Any other is handled now: the
        call returns after its commit, and raises what its handler raised; what it causes runs
        afterwards.

        With ``delay`` or ``at`` the call returns when the command is kept in the stores. It waits
        there until it is due, then one instance of the App sends it where its route leads at that
        time, or handles it. For who handles it, it was sent when it was due: that is its
        ``context.time``. Sending with the id of one that still waits moves it.

        Args:
            command: What is asked for.
            message_id: The id of the command; one id means one effect. Made up where not given.
            headers: Own metadata that travels along.
            delay: How long it waits.
            at: Until when it waits; a time that is past means now.

        Returns:
            The id of the command.

        Raises:
            InvalidMessageError: The command, its id or a header cannot be sent.
            MessageTooLargeError: It can never fit its queue.
            NoHandlerError: It has neither a handler nor a route.
            RejectedError: Its handler rejected it.
            UseSelfSendError: The call stands inside a handler.
            AwsError: The queue did not confirm it.
            NotRunningError: The App is not running.
            ValueError: Both ``delay`` and ``at`` are given, the delay is negative, or the time
                has no zone.
        """
        self._check_edge()
        return await self._running.dispatcher.send(
            command, message_id=message_id, headers=headers, delay=delay, at=at
        )

    async def cancel(self, message_id: str) -> bool:
        """Take back a command that was sent with ``delay`` or ``at``, from outside of any handler.

        Args:
            message_id: The id that ``send`` returned.

        Returns:
            Whether it still waited, and will never be sent. False means that it was sent when it
            was due, was taken back before, or is not known.

        Raises:
            UseSelfSendError: The call stands inside a handler.
            DependencyError: The stores do not answer.
        """
        self._check_edge("cancel", "cancel_send")
        return await self._running.stores.schedule.cancel(message_id)

    async def scheduled(
        self, *, limit: int = 100, after: ScheduledCommand | None = None
    ) -> Sequence[ScheduledCommand]:
        """Return the commands of this App that wait until they are due, those due first before others.

        Args:
            limit: How many at most.
            after: The last one of the page before; only those behind it are returned.

        Raises:
            ValueError: The limit is negative.
        """
        if limit < 0:
            raise ValueError(f"limit is 0 or more, not {limit}")
        return await self._running.stores.schedule.page(limit=limit, after=after)

    async def send_many(self, commands: Sequence[Command | Any]) -> list[str]:
        """Send commands, routed ones in full batches.

        Returns:
            Their ids, in order.

        Raises:
            SendManyError: Some were not sent, or not handled; the others were.
            InvalidMessageError: One of them cannot be sent; none was.
            NoHandlerError: One of them has neither a handler nor a route; none was sent.
        """
        self._check_edge()
        return await self._running.dispatcher.send_many(commands)

    def _check_edge(self, called: str = "send", instead: str = "send") -> None:
        if handling.get() is not None:
            raise UseSelfSendError(called, instead)
