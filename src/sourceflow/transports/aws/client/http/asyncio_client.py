"""``HttpClient`` over bare asyncio: only what calls to AWS need, at the least cost."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.parse import urlsplit

from sourceflow.errors import AwsConfigurationError, AwsTransientError
from sourceflow.transports.aws.client.http.connection import Connection
from sourceflow.transports.aws.client.http.port import CONNECT_TIMEOUT
from sourceflow.transports.aws.client.http.tls import tls_context
from sourceflow.transports.aws.client.signer import host_header

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ("AsyncioClient",)

MAX_IDLE: Final = 15.0
"""Seconds after which an idle connection is not used any more. Servers close theirs some time; one that
does so while a request is on its way leaves open whether the request took effect. Our choice: below
the 20 seconds of the shortest keep-alive that is met in front of AWS services."""

_PORTS: Final = {"http": 80, "https": 443}


class _Origin(NamedTuple):
    """A server."""

    host: str
    port: int
    is_secure: bool


class _Target(NamedTuple):
    """A URL, and what of requests to it is always the same."""

    origin: _Origin
    first_line: str
    host_line: str


class AsyncioClient:
    """``HttpClient`` with a pool of keep-alive connections of its own.

    Nothing is sent twice: a connection that turns out to be closed before the request was written is
    replaced; anything later is an error, as the request may have taken effect (RFC 9110, section
    9.2.2), and whoever called decides.

    Long polls hold a connection each: give receiving a client of its own, so that it never starves
    sending. It knows no proxies: see ``http_client_for``.

    Args:
        connections: The most requests that are under way at a time, each on a connection of its own.
    """

    __slots__ = ("_connections", "_idle", "_open", "_places", "_targets", "_tls")

    def __init__(self, *, connections: int = 100) -> None:
        if connections <= 0:
            raise ValueError(f"connections must be positive, not {connections}")
        self._connections = connections
        self._places = asyncio.Semaphore(connections)
        self._targets: dict[str, _Target] = {}
        self._idle: dict[_Origin, list[Connection]] = {}
        self._open: set[Connection] = set()
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,  # noqa: ASYNC109 - every implementation can bound a request better than a cancellation from outside
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Post a body; see ``HttpClient.post``."""
        target = self._targets.get(url) or self._learn(url)
        request = _request(target, headers, body)
        origin = target.origin
        ends = asyncio.get_running_loop().time() + timeout
        await self._enter(timeout)
        try:
            connection = self._reuse(origin) or await self._connect(origin, timeout, ends)
            try:
                answer = await connection.exchange(request, ends=ends, timeout=timeout)
            finally:
                if connection.is_usable:
                    self._idle[origin].append(connection)
                else:
                    self._open.discard(connection)
        finally:
            self._places.release()
        return answer.status, answer.headers, answer.body

    async def _enter(self, timeout: float) -> None:  # noqa: ASYNC109 - as in post
        """Take a place; waiting for one counts."""
        if not self._places.locked():
            await self._places.acquire()  # does not wait
            return
        try:
            async with asyncio.timeout(timeout):
                await self._places.acquire()
        except TimeoutError as error:
            raise AwsTransientError(
                f"no connection became free within {timeout:g} s", code="Timeout"
            ) from error

    def _learn(self, url: str) -> _Target:
        parts = urlsplit(url)
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        target = self._targets[url] = _Target(
            _Origin(
                parts.hostname or "", parts.port or _PORTS[parts.scheme], parts.scheme == "https"
            ),
            f"POST {path} HTTP/1.1\r\n",
            f"Host: {host_header(url)}\r\n",
        )
        self._idle.setdefault(target.origin, [])
        return target

    def _reuse(self, origin: _Origin) -> Connection | None:
        """Return the idle connection that was used last, so that those that are not needed age."""
        idle = self._idle[origin]
        oldest = asyncio.get_running_loop().time() - MAX_IDLE
        while idle:
            connection = idle.pop()
            if connection.is_usable and connection.idle_since >= oldest:
                return connection
            connection.close()
            self._open.discard(connection)
        return None

    async def _connect(self, origin: _Origin, timeout: float, ends: float) -> Connection:  # noqa: ASYNC109 - as in post
        loop = asyncio.get_running_loop()
        if origin.is_secure and self._tls is None:
            self._tls = await asyncio.to_thread(tls_context)  # reads files
        left = ends - loop.time()
        try:
            async with asyncio.timeout(min(left, CONNECT_TIMEOUT)):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop),
                    origin.host,
                    origin.port,
                    ssl=self._tls if origin.is_secure else None,
                )
        except TimeoutError as error:
            raise AwsTransientError(f"no answer within {timeout:g} s", code="Timeout") from error
        except ssl.CertificateError as error:
            raise AwsConfigurationError(
                f"the certificate of {origin.host} is not trusted: {error}",
                code="UntrustedCertificate",
            ) from error
        except OSError as error:
            raise AwsTransientError(
                f"{origin.host}:{origin.port} cannot be reached: {error}", code="ConnectionFailed"
            ) from error
        self._open.add(connection)
        return connection

    async def aclose(self) -> None:
        """Close the connections; a later ``post`` opens new ones."""
        connections, self._open = self._open, set()
        for idle in self._idle.values():
            idle.clear()
        for connection in connections:
            connection.close()
        for connection in connections:
            await connection.closed()


def _request(target: _Target, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a request as it goes on the wire.

    Raises:
        ValueError: A header holds a line break, which would begin another one, or a character that
            no header can hold.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a header of a request holds a line break")
    host = "" if "Host" in headers else target.host_line
    head = (
        f"{target.first_line}{host}{lines}"
        f"User-Agent: sourceflow\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("latin-1") + body
