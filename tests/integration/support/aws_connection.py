"""One connection of a client of AWS: HTTP/1.1 as far as they speak it."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.face import json_fault, xml_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("Connection", "Reply", "Request", "Server")

_SCOPE: Final = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/")


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came in whole.

    Attributes:
        path: Its path.
        headers: Its headers, names in lower case.
        body: Its body.
        region: The region it is signed for.
        service: The service it is signed for.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes
    region: str
    service: str

    @property
    def operation(self) -> str:
        """The API operation."""
        target = self.headers.get("x-amz-target")
        if target is not None:
            return target.partition(".")[2]
        return parse_qs(self.body.decode())["Action"][0]

    def refusal(self, code: str, message: str, status: int) -> Reply:
        """Return an error in the protocol of the service."""
        fault = AwsFault(code, message, status=status)
        if "x-amz-target" in self.headers:
            return Reply(*json_fault("sqs", fault))
        return Reply(*xml_fault(self.service, fault))


class Reply(NamedTuple):
    """What is answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Server(Protocol):
    """Whom a connection belongs to."""

    def opened(self, connection: Connection) -> None:
        """Note a connection."""
        ...

    def closed(self, connection: Connection) -> None:
        """Forget it."""
        ...

    def start(self, connection: Connection, request: Request) -> asyncio.Task[None]:
        """Begin to answer a request."""
        ...


class Connection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.closed(self)
        if self._task is not None:
            self._task.cancel()  # a poll that nobody waits for must not take messages

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._task is None:
            self._next()

    def _next(self) -> None:
        head, found, _ = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (h.partition(":") for h in lines)
        }
        start, length = len(head) + 4, int(headers.get("content-length", "0"))
        if len(self._received) < start + length:
            return
        body = bytes(self._received[start : start + length])
        del self._received[: start + length]
        scope = _SCOPE.search(headers.get("authorization", ""))
        assert scope is not None, "a request that is not signed"
        path = urlsplit(line.split(" ")[1]).path
        request = Request(path, headers, body, scope["region"], scope["service"])
        self._task = self._server.start(self, request)
        self._task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and self._transport is not None:
            self._next()

    def answer(self, reply: Reply, date: str, *, cut: bool = False) -> None:
        """Write an answer, or only its first half."""
        assert self._transport is not None
        headers = {**reply.headers, "Date": date, "Content-Length": str(len(reply.body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        written = f"HTTP/1.1 {reply.status} -\r\n{lines}\r\n".encode() + reply.body
        self._transport.write(
            written[: len(written) - len(reply.body) // 2 - 1] if cut else written
        )

    def close(self) -> None:
        """Close the connection when what was written is sent."""
        assert self._transport is not None
        self._transport.close()

    def reset(self) -> None:
        """Break the connection."""
        assert self._transport is not None
        with suppress(OSError):
            self._transport.abort()
