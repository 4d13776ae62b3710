"""One connection to a server: a request, then its answer, then perhaps the next request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from sourceflow.errors import AwsTransientError
from sourceflow.transports.aws.client.http.response import AnswerReader, BadAnswerError

if TYPE_CHECKING:
    from sourceflow.transports.aws.client.http.response import Answer

__all__ = ("Connection",)


class Connection(asyncio.Protocol):
    """Carries one request at a time.

    Invariant: an answer is read only as the answer to the request under way, so it may be used
    again only while ``is_usable``: nobody waits, nothing came unasked, all that was sent has left,
    and the last answer was read to its end and did not close it. Whoever stops waiting for an
    answer, by a time-out or a cancellation, closes it.

    Attributes:
        is_usable: Whether it may carry a request.
        idle_since: The loop's second at which its last answer was whole.
    """

    __slots__ = (
        "_closed",
        "_loop",
        "_reader",
        "_transport",
        "_waiter",
        "idle_since",
        "is_usable",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._reader = AnswerReader()
        self._waiter: asyncio.Future[Answer] | None = None
        self._closed: asyncio.Future[None] = loop.create_future()
        self.is_usable = False
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_usable = True
        self.idle_since = self._loop.time()

    async def exchange(self, request: bytes, *, ends: float, timeout: float) -> Answer:  # noqa: ASYNC109 - for the error's text
        """Send a request and return its answer.

        The request is handed over as a whole: it is in memory anyway, so there is nothing to gain
        from waiting until parts of it have left.

        Args:
            request: Head and body.
            ends: The loop's second until which to wait for the answer.
            timeout: How long the caller waits in all.

        Raises:
            AwsTransientError: No whole answer came.
        """
        assert self._transport is not None
        assert self.is_usable
        self.is_usable = False
        self._reader = AnswerReader()
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        self._waiter = waiter
        expiry = self._loop.call_at(ends, self._expire, timeout)
        try:
            self._transport.write(request)
            return await waiter
        finally:
            expiry.cancel()
            self._waiter = None
            if not self.is_usable:
                self.close()

    def _expire(self, timeout: float) -> None:
        self._fail(AwsTransientError(f"no answer within {timeout:g} s", code="Timeout"))

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        if self._waiter is None or self._waiter.done():  # nobody asked
            self.close()
            return
        try:
            answer = self._reader.feed(data)
        except BadAnswerError as error:
            self._fail(_broken(error))
            return
        if answer is not None:
            self._settle(answer)

    def _settle(self, answer: Answer) -> None:
        assert self._waiter is not None
        assert self._transport is not None
        self.is_usable = (
            answer.keeps_alive
            and not self._transport.get_write_buffer_size()
            and not self._transport.is_closing()
        )
        self.idle_since = self._loop.time()
        self._waiter.set_result(answer)

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self.close()

    def eof_received(self) -> None:
        """See ``asyncio.Protocol``; the transport closes itself then."""
        self.is_usable = False
        if self._waiter is None or self._waiter.done():
            return
        try:
            self._settle(self._reader.end())
        except BadAnswerError as error:
            self._fail(_broken(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self.is_usable = False
        if self._waiter is not None and not self._waiter.done():
            text = "the connection was closed" if exc is None else str(exc)
            self._waiter.set_exception(
                AwsTransientError(text or type(exc).__name__, code="ConnectionFailed")
            )
        if not self._closed.done():
            self._closed.set_result(None)

    def close(self) -> None:
        """Close it at once; what has not been sent is dropped."""
        self.is_usable = False
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Wait until it is closed."""
        await self._closed


def _broken(error: BadAnswerError) -> AwsTransientError:
    return AwsTransientError(f"no whole answer came: {error}", code="ConnectionFailed")
