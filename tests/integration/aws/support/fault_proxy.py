"""Stands before an AWS, over real connections, and does to calls what a plan says."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from batch_surgery import read_batch
from fault_plan import BATCHES, Fault
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.face import json_fault, xml_fault
from sourceflow.transports.aws.client import Credentials
from sourceflow.transports.aws.client.signer import RequestTemplate, Signer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fault_plan import FaultPlan
    from hurried_clock import HurriedClock
    from sourceflow.transports.aws.client import HttpClient

__all__ = ("FaultProxy", "TemporaryCredentials")

LATE: Final = 5.0
"""Seconds of the clock that a late answer takes: less than any time-out."""

AWAY: Final = 10.0
"""Seconds of the clock that nothing listens."""

SKEWS: Final = (timedelta(0), timedelta(hours=1), timedelta(hours=-1))

TOLERATED_SKEW: Final = timedelta(minutes=15)

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
            return Reply(*json_fault(fault))
        return Reply(*xml_fault(self.service, fault))


class Reply(NamedTuple):
    """What is answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TemporaryCredentials:
    """Credentials with a session token, which the proxy lets expire."""

    def __init__(self, access_key: str, secret_key: str) -> None:
        self._keys = (access_key, secret_key)
        self._issued = 0
        self.valid = self.current = Credentials(*self._keys, "token-0")

    def expire(self) -> None:
        """Let the present token expire; whoever refreshes gets the next one."""
        self._issued += 1
        self.valid = Credentials(*self._keys, f"token-{self._issued}")

    async def get(self) -> Credentials:
        """Return what the client signs with."""
        return self.current

    async def refresh(self, refused: Credentials) -> Credentials:
        """Return the valid ones."""
        if self.current is refused:
            self.current = self.valid
        return self.current


class FaultProxy:
    """A server on a loopback port that passes requests on, or not.

    It checks dates and session tokens as AWS does, and signs anew what it passes on. Until
    ``plan`` is set, and after it is taken away, it only passes on.

    Args:
        upstream: Answers what is passed on.
        url: Where that is.
        credentials: Whose requests come here; the same keys are good upstream.
        clock: The time.

    Attributes:
        plan: Which calls meet a fault.
        skew: How far AWS's clock is ahead of ours.
    """

    def __init__(
        self,
        upstream: HttpClient,
        url: str,
        *,
        credentials: TemporaryCredentials,
        clock: HurriedClock,
    ) -> None:
        self.credentials = credentials
        self.plan: FaultPlan | None = None
        self.skew = timedelta(0)
        self._upstream = upstream
        self._url = url.rstrip("/")
        self._clock = clock
        self._port = 0
        self._listener: socket.socket | None = None
        self._is_closing = False
        self._connections: set[_Connection] = set()
        self._deserted = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._signers: dict[tuple[str, str], Signer] = {}
        self._templates: dict[tuple[str, ...], RequestTemplate] = {}

    @property
    def endpoint_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._listen()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._is_closing = True
        self._hang_up()
        assert self._tasks is not None
        await self._tasks.__aexit__(None, None, None)
        if self._connections:
            await self._deserted.wait()

    def _listen(self) -> None:
        """Open the port; not by an ``asyncio.Server``, which closes badly while one connects."""
        listener = self._listener = socket.create_server(("127.0.0.1", self._port))
        listener.setblocking(False)
        self._port = listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            accepted, _ = listener.accept()
            accepted.setblocking(False)
            loop = asyncio.get_running_loop()
            connecting = loop.connect_accepted_socket(lambda: _Connection(self), accepted)
            assert self._tasks is not None
            self._tasks.create_task(connecting)

    def _hang_up(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        for connection in list(self._connections):
            connection.reset()

    async def _away(self) -> None:
        self._hang_up()
        await self._clock.sleep(AWAY)
        if not self._is_closing:
            self._listen()

    def start(self, connection: _Connection, request: Request) -> asyncio.Task[None]:
        """Begin to answer a request."""
        assert self._tasks is not None
        return self._tasks.create_task(self._serve(connection, request))

    def opened(self, connection: _Connection) -> None:
        """Note a connection; one that was accepted at the last moment is reset."""
        self._connections.add(connection)
        self._deserted.clear()
        if self._listener is None:
            connection.reset()

    def closed(self, connection: _Connection) -> None:
        """Forget it."""
        self._connections.discard(connection)
        if not self._connections:
            self._deserted.set()

    async def _serve(self, connection: _Connection, request: Request) -> None:
        fault = None if self.plan is None else self.plan.draw(request.operation)
        match fault:
            case Fault.DROPPED_BEFORE:
                connection.reset()
                return
            case Fault.AWAY:
                if self._listener is not None:
                    assert self._tasks is not None
                    self._tasks.create_task(self._away())
                else:
                    connection.reset()
                return
            case Fault.SKEWED_CLOCK:
                assert self.plan is not None
                self.skew = self.plan.random.choice([s for s in SKEWS if s != self.skew])
            case Fault.EXPIRED_TOKEN:
                self.credentials.expire()
        refusal = self._refusal(request) or _refused(request, fault)
        reply = refusal or await self._take_effect(request, fault)
        match fault:
            case Fault.DROPPED_AFTER:
                connection.reset()
            case Fault.CUT_SHORT:
                connection.answer(reply, self._date(), cut=True)
                connection.close()
            case Fault.NEVER:
                await asyncio.Event().wait()  # until the client hangs up
            case Fault.CLOSED_AFTERWARDS:
                connection.answer(reply, self._date())
                connection.close()
            case _:
                connection.answer(reply, self._date())

    def _refusal(self, request: Request) -> Reply | None:
        """Check date and token; without a plan, whoever signs by the machine's clock is welcome."""
        date = request.headers["x-amz-date"]
        signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        off = abs(signed - (self._clock.now() + self.skew))
        if self.plan is not None and off > TOLERATED_SKEW:
            code = "SignatureDoesNotMatch" if request.service == "sqs" else "RequestExpired"
            return request.refusal(code, "Signature expired or not yet current", 403)
        if request.headers.get("x-amz-security-token") != self.credentials.valid.token:
            code = "ExpiredTokenException" if request.service == "sqs" else "ExpiredToken"
            return request.refusal(code, "The security token in the request is expired", 403)
        return None

    async def _take_effect(self, request: Request, fault: Fault | None) -> Reply:
        if fault in {Fault.SOME_FAILED_BEFORE, Fault.SOME_FAILED_AFTER}:
            return await self._with_failed_entries(request, fault)
        reply = await self._pass_on(request, request.body)
        if fault is Fault.LATE:
            await self._clock.sleep(LATE)
        if fault is Fault.INTERNAL_ERROR:
            return request.refusal("InternalError", "Something went wrong.", 500)
        return reply

    async def _with_failed_entries(self, request: Request, fault: Fault) -> Reply:
        assert self.plan is not None
        assert request.operation in BATCHES
        batch = read_batch(request.operation, request.body)
        count = self.plan.random.randint(1, len(batch.ids))
        failed = self.plan.random.sample(batch.ids, count)
        if fault is Fault.SOME_FAILED_AFTER:
            reply = await self._pass_on(request, request.body)
        elif count < len(batch.ids):
            reply = await self._pass_on(request, batch.without(failed))
        else:
            reply = Reply(200, {}, batch.answer_without_success(None, []))
        if reply.status != 200:
            return reply
        return reply._replace(body=batch.answer_without_success(reply.body, failed))

    async def _pass_on(self, request: Request, body: bytes) -> Reply:
        signer = self._signers.setdefault(
            (request.service, request.region),
            Signer(service=request.service, region=request.region),
        )
        named = {
            name: request.headers[name]
            for name in ("content-type", "x-amz-target")
            if name in request.headers
        }
        kind = (request.path, request.service, *named.values())
        template = self._templates.get(kind)
        if template is None:
            template = RequestTemplate(self._url + request.path, named)
            self._templates[kind] = template
        headers = signer.sign(template, body, self.credentials.valid, self._clock.now())
        status, answered, body = await self._upstream.post(template.url, headers, body, 60)
        kept = {
            name: value
            for name, value in answered.items()
            if name.lower() in {"content-type", "x-amzn-query-error", "x-amzn-requestid"}
        }
        return Reply(status, kept, body)

    def _date(self) -> str:
        return format_datetime(self._clock.now() + self.skew, usegmt=True)


def _refused(request: Request, fault: Fault | None) -> Reply | None:
    match fault:
        case Fault.UNAVAILABLE:
            return Reply(503, {"Content-Type": "text/html"}, b"<html>Service Unavailable</html>")
        case Fault.THROTTLED_400:
            return request.refusal("ThrottlingException", "Rate exceeded", 400)
        case Fault.THROTTLED_403:
            return request.refusal("RequestThrottled", "Request is throttled.", 403)
        case Fault.THROTTLED_429:
            return Reply(429, {}, b"")
    return None


class _Connection(asyncio.Protocol):
    """One connection: HTTP/1.1 as far as clients of AWS speak it, one request at a time."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._proxy.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._proxy.closed(self)
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
        self._task = self._proxy.start(self, request)
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
