"""Takes the commands of callers at the edge where they belong: to a queue, a handler, the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sourceflow.bus.changes import Changes, Stream
from sourceflow.bus.middleware import around
from sourceflow.errors import (
    Discard,
    DuplicateError,
    NotRunningError,
    Reject,
    RejectedError,
    SendManyError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from sourceflow.bus.instrumentation import Handle
    from sourceflow.bus.middleware import Middleware
    from sourceflow.bus.ports import Outgoing, Stores
    from sourceflow.bus.relay import Relay
    from sourceflow.bus.router import Router
    from sourceflow.bus.timer import Timer
    from sourceflow.messages import Envelope

__all__ = ("Dispatcher",)

NO_STREAM: Final = ""
"""Stands for the source stream of commands that are scheduled at the edge: those of one key leave
in the order they are due."""


class Dispatcher:
    """Sends what callers at the edge send, or handles it.

    Args:
        router: Makes envelopes, knows where they go.
        handle: Handles what has no route.
        stores: Keep what is sent later.
        timer: Is told what was scheduled.
        relay: Takes what handling has caused.
        send: Hands messages to the transport.
        middleware: Hooks around each command.
        handles: Whether commands are handled here; where not, those without a route are left in
            the schedule to an instance that does.
    """

    def __init__(
        self,
        *,
        router: Router,
        handle: Handle,
        stores: Stores,
        timer: Timer,
        relay: Relay,
        send: Callable[[Sequence[Outgoing]], Awaitable[Sequence[Exception | None]]],
        middleware: Sequence[Middleware],
        handles: bool,
    ) -> None:
        self._router = router
        self._handle_command = handle
        self._stores = stores
        self._timer = timer
        self._relay = relay
        self._send = send
        self._take = self._handle if handles else self._leave
        self._dispatch = around(middleware, "dispatch_command", self._send_or_take)
        self._dispatch_later = around(middleware, "dispatch_command", self._schedule)
        self._dispatch_many = around(middleware, "dispatch_command", self._sort)

    async def send(
        self,
        command: object,
        *,
        message_id: str | None,
        headers: Mapping[str, str] | None,
        delay: timedelta | None,
        at: datetime | None,
    ) -> str:
        """See ``App.send``."""
        due = self._router.due(delay, at)
        envelope = self._router.command(command, message_id=message_id, headers=headers, due=due)
        await (self._dispatch if due is None else self._dispatch_later)(envelope)
        return envelope.id

    async def _schedule(self, command: Envelope[Any]) -> None:
        row = self._router.command_row(command, Stream(NO_STREAM, command.key))
        changes = Changes(schedule={command.id: row})
        async with self._stores.begin() as uow:
            await uow.commit(changes)
        self._timer.note(changes.schedule)

    async def _send_or_take(self, command: Envelope[Any]) -> None:
        queue = self._router.queue_of(type(command.message))
        if queue is None:
            await self._take(command)
            return
        (error,) = await self._send((self._router.outgoing(command, queue),))
        if error is not None:
            raise error

    async def _handle(self, command: Envelope[Any]) -> None:
        await self._relay.room()
        try:
            rows = await self._handle_command(command)
        except (DuplicateError, Discard):
            return
        except Reject as reject:
            raise RejectedError(reject.reason) from reject
        self._relay.take(rows)

    async def _leave(self, command: Envelope[Any]) -> None:
        """Leave a command to an instance that handles: the schedule is where all of them look."""
        if not self._stores.durable:
            raise NotRunningError(
                f"the command {command.type_name} has no route, nothing is handled here, and the "
                "stores are in memory, where no other instance finds it"
            )
        await self._schedule(command)

    async def send_many(self, commands: Sequence[object]) -> list[str]:
        """See ``App.send_many``."""
        envelopes = [self._router.command(command) for command in commands]
        outgoing: list[Outgoing] = []
        local: list[Envelope[Any]] = []
        for envelope in envelopes:
            await self._dispatch_many(envelope, outgoing, local)
        failed = await self._send_sorted(outgoing, local)
        if failed:
            raise SendManyError(failed)
        return [envelope.id for envelope in envelopes]

    async def _sort(
        self, command: Envelope[Any], outgoing: list[Outgoing], local: list[Envelope[Any]]
    ) -> None:
        """Write a routed command for the wire; leave any other to be handled here."""
        queue = self._router.queue_of(type(command.message))
        if queue is None:
            local.append(command)
        else:
            outgoing.append(self._router.outgoing(command, queue))

    async def _send_sorted(
        self, outgoing: Sequence[Outgoing], local: Sequence[Envelope[Any]]
    ) -> dict[str, Exception]:
        failed: dict[str, Exception] = {}
        errors = await self._send(outgoing) if outgoing else ()
        for each, error in zip(outgoing, errors, strict=True):
            if error is not None:
                failed[each.envelope.id] = error
        for command in local:
            try:
                await self._take(command)
            except Exception as error:  # noqa: BLE001 - collected for the caller
                failed[command.id] = error
        return failed
