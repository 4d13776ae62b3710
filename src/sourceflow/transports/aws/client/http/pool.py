"""The connections of a client: who gets one, and when they are closed."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sourceflow.transports.aws.client.http.address import Origin
    from sourceflow.transports.aws.client.http.connection import Connection

__all__ = ("Pool",)

MAX_REST: Final = 15.0
"""Seconds after which a connection that nobody needs is closed.

A choice of ours: AWS does not say when it closes idle connections. The earliest that users report is
20 s (S3; hyperium/hyper#2136, vectordotdev/vector#9703), and whoever is earlier never meets one that is
just being closed.
"""


class Pool:
    """The connections of a client, up to a limit; requests beyond it get theirs in the order they came.

    A place is the right to have one connection in use. Invariants: no more places are taken than the
    limit allows, nor more connections open, those that rest included; and a place is free only while
    nobody waits, for it passes on to the first who does.

    Args:
        connect: Opens a connection to an origin, before a time of the loop's.
        connections: The limit.
        max_rest: Seconds after which a connection that nobody needs is closed.
    """

    __slots__ = (
        "_connect",
        "_is_closed",
        "_limit",
        "_loop",
        "_max_rest",
        "_open",
        "_resting",
        "_taken",
        "_waiting",
    )

    def __init__(
        self,
        connect: Callable[[Origin, float], Awaitable[Connection]],
        *,
        connections: int,
        max_rest: float = MAX_REST,
    ) -> None:
        self._connect = connect
        self._limit = connections
        self._max_rest = max_rest
        self._loop = asyncio.get_running_loop()
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._resting: defaultdict[Origin, list[Connection]] = defaultdict(list)
        self._open: set[Connection] = set()
        self._is_closed = False

    async def take(self, origin: Origin, deadline: float) -> Connection:
        """Return an open connection that nobody else has; ``give_back`` must follow.

        Args:
            origin: To whom.
            deadline: The time of the loop's until when it must be there.

        Raises:
            OSError: There is none; ``TimeoutError`` where it took too long.
        """
        if self._taken < self._limit:
            self._taken += 1
        else:
            await self._wait(deadline)
        try:
            # The one used last: those that are not needed rest on, until they are closed.
            resting = self._resting[origin]
            while resting:
                connection = resting.pop()
                if connection.is_fresh():
                    return connection
                connection.abort()
            return await self._open_new(origin, deadline)
        except BaseException:
            self._leave()
            raise

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """Return a connection: to others if it is open, for good if it is closed."""
        if connection.is_open:
            if self._is_closed:
                connection.abort()
            else:
                connection.rest(self._loop.time() + self._max_rest)
                self._resting[origin].append(connection)
        self._leave()

    async def aclose(self) -> None:
        """Close all connections, those in use as well, and turn away who waits for one."""
        self._is_closed = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(_closed())
                waiter.exception()  # who waits may be cancelled before it sees the error
        connections = list(self._open)
        for connection in connections:
            connection.abort()
        if connections:
            await asyncio.wait([connection.lost for connection in connections])

    async def _wait(self, deadline: float) -> None:
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._leave()  # a place came, and too late
            else:
                with suppress(ValueError):
                    self._waiting.remove(waiter)
            raise

    def _leave(self) -> None:
        """Pass a place on to the first who waits, or free it."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._taken -= 1

    async def _open_new(self, origin: Origin, deadline: float) -> Connection:
        self._refuse_if_closed()
        self._make_room()
        connection = await self._connect(origin, deadline)
        self._open.add(connection)
        connection.lost.add_done_callback(lambda _: self._forget(origin, connection))
        try:
            self._refuse_if_closed()
        except OSError:
            connection.abort()
            raise
        return connection

    def _make_room(self) -> None:
        """Close one that rests, to another origin, if all that are open would be too many."""
        resting = [one for each in self._resting.values() for one in each if one.is_open]
        if self._taken + len(resting) > self._limit:
            resting[0].abort()

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise _closed()

    def _forget(self, origin: Origin, connection: Connection) -> None:
        self._open.discard(connection)
        with suppress(ValueError):
            self._resting[origin].remove(connection)


def _closed() -> ConnectionAbortedError:
    return ConnectionAbortedError("the client was closed")
