"""One connection to a server, for one request at a time."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Final, Self, cast

from sourceflow.transports.aws.client.http.alarm import Alarm
from sourceflow.transports.aws.client.http.answer import AnswerReader, BrokenAnswerError
from sourceflow.transports.aws.client.http.port import CONNECT_TIMEOUT

if TYPE_CHECKING:
    import ssl

    from sourceflow.transports.aws.client.http.address import Origin
    from sourceflow.transports.aws.client.http.port import Answer

__all__ = ("Connection",)

PIECE: Final = 64 * 1024
"""Bytes of a body that are handed to the transport at once; it asks to wait when it holds as many."""

BUFFER: Final = 64 * 1024
"""Bytes that are read at once. Whole answers to hot calls fit; a ``Protocol`` would have the loop make
room for 256 KiB at each read, which costs four times as much as the read itself."""

_TRUSTED_REST = 1.0
"""Seconds a connection may rest until the kernel is asked whether the server has closed it."""


class Connection(asyncio.BufferedProtocol):
    """One connection to a server, for one request at a time.

    Invariant: a connection that is open and has no request under way has written every request whole and
    read every answer to its last byte. Whatever else happens closes it at once and for good: a
    cancellation, a time limit, an answer that came before its request was written, a byte that nobody
    waits for. So a late answer is never read as the answer to the next request.
    """

    __slots__ = (
        "_alarm",
        "_buffer",
        "_is_paused",
        "_loop",
        "_reader",
        "_rested_at",
        "_transport",
        "_unwritten",
        "_waiter",
        "is_open",
        "lost",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._alarm = Alarm(loop, self._on_alarm)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._reader: AnswerReader | None = None
        self._buffer = memoryview(bytearray(BUFFER))
        self._unwritten = memoryview(b"")
        self._is_paused = False
        self._rested_at = 0.0
        self.is_open = False
        self.lost: asyncio.Future[None] = loop.create_future()
        """Done when the socket is closed."""

    @classmethod
    async def open(cls, origin: Origin, *, tls: ssl.SSLContext | None, deadline: float) -> Self:
        """Connect.

        Args:
            origin: To whom.
            tls: How the server is verified; None speaks plaintext.
            deadline: The time of the loop's until when it must be open, unless ``CONNECT_TIMEOUT`` ends earlier.

        Raises:
            OSError: There is no connection; its subclass says why, ``TimeoutError`` among them.
        """
        loop = asyncio.get_running_loop()
        connection = cls(loop)
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + CONNECT_TIMEOUT)):
                await loop.create_connection(lambda: connection, origin.host, origin.port, ssl=tls)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def exchange(self, head: bytes, body: bytes, deadline: float) -> Answer:
        """Send a request and return the answer; the connection is closed if there is none.

        Args:
            head: The request up to its body.
            body: The rest of it.
            deadline: The time of the loop's until when the whole answer must be here.

        Raises:
            TimeoutError: It was not.
            ConnectionError: The connection was closed before, or what came is no answer.
        """
        if not self.is_open:
            raise ConnectionResetError("the server closed the connection")
        self._reader = AnswerReader()
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        self._waiter = waiter
        self._alarm.move(deadline)
        self._write(head, body)
        try:
            return await waiter
        except BaseException:  # a cancellation first of all: the answer is still to come
            self.abort()
            raise

    def rest(self, until: float) -> None:
        """Wait for the next request, and close if none has come until then.

        Args:
            until: A time of the loop's.
        """
        self._rested_at = self._loop.time()
        self._alarm.move(until)

    def is_fresh(self) -> bool:
        """Return whether the connection is open, as far as can be known without writing to it.

        The loop tells that the server has closed it, but only when it gets round to that: after a
        handler has blocked it for long, the kernel knows more.
        """
        if not self.is_open or self._loop.time() - self._rested_at < _TRUSTED_REST:
            return self.is_open
        assert self._transport is not None  # it is open
        with selectors.DefaultSelector() as selector:
            selector.register(self._transport.get_extra_info("socket"), selectors.EVENT_READ)
            return not selector.select(0)

    def abort(self) -> None:
        """Close without a further word; a request under way fails."""
        self._end(ConnectionAbortedError("the connection was closed"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be told by the loop that the connection is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses
        self.is_open = True

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's wish, not ours
        """Give the loop the room for what arrives."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Be told by the loop that so many bytes have arrived."""
        reader = self._reader
        if reader is None:
            self.abort()
            return
        try:
            answer = reader.feed(bytes(self._buffer[:nbytes]))
        except BrokenAnswerError as error:
            self._end(error)
            return
        if answer is not None:
            self._finish(answer, reader)

    def eof_received(self) -> None:
        """Be told by the loop that the server sends no more."""
        reader = self._reader
        if reader is None:
            self.abort()
            return
        try:
            answer = reader.end()
        except BrokenAnswerError as error:
            self._end(error)
        else:
            self._finish(answer, reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """Be told by the loop that the socket is closed."""
        self._end(exc or ConnectionResetError("the server closed the connection"))
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        """Be told by the loop that the server takes no more for now."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Be told by the loop that the server takes more."""
        self._is_paused = False
        self._write_on()

    def _write(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None  # it is open
        if len(body) <= PIECE:
            self._transport.write(head + body)
            return
        self._transport.write(head)
        self._unwritten = memoryview(body)
        self._write_on()

    def _write_on(self) -> None:
        while self._unwritten and not self._is_paused and self._transport is not None:
            if self._transport.is_closing():
                return
            piece = self._unwritten[:PIECE]
            self._unwritten = self._unwritten[PIECE:]
            self._transport.write(piece)

    def _finish(self, answer: Answer, reader: AnswerReader) -> None:
        waiter, self._waiter, self._reader = self._waiter, None, None
        if not reader.keep_alive or reader.is_followed or self._unwritten:
            self.abort()
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)

    def _on_alarm(self) -> None:
        self._end(TimeoutError("the answer did not come in time"))

    def _end(self, error: Exception) -> None:
        waiter, self._waiter, self._reader = self._waiter, None, None
        self.is_open = False
        self._unwritten = memoryview(b"")
        self._alarm.stop()
        if self._transport is not None:
            self._transport.abort()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
            waiter.exception()  # whoever waits may be cancelled before it sees the error: that is no fault
