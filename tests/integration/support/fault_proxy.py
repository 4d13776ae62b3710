"""Stands before an AWS, over real connections, and does to calls what a plan says."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final, Self

from aws_connection import Connection, Reply, Request
from batch_surgery import read_batch
from fault_plan import BATCHES, Fault
from sourceflow.transports.aws.client import Credentials
from sourceflow.transports.aws.client.signer import RequestTemplate, Signer

if TYPE_CHECKING:
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
        self._connections: set[Connection] = set()
        self._deserted = asyncio.Event()
        self._listening = asyncio.Event()
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
        self._listening.set()

    async def listening(self) -> None:
        """Wait until it is not away."""
        await self._listening.wait()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            accepted, _ = listener.accept()
            accepted.setblocking(False)
            loop = asyncio.get_running_loop()
            connecting = loop.connect_accepted_socket(lambda: Connection(self), accepted)
            assert self._tasks is not None
            self._tasks.create_task(connecting)

    def _hang_up(self) -> None:
        self._listening.clear()
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

    def start(self, connection: Connection, request: Request) -> asyncio.Task[None]:
        """Begin to answer a request."""
        assert self._tasks is not None
        return self._tasks.create_task(self._serve(connection, request))

    def opened(self, connection: Connection) -> None:
        """Note a connection; one that was accepted at the last moment is reset."""
        self._connections.add(connection)
        self._deserted.clear()
        if self._listener is None:
            connection.reset()

    def closed(self, connection: Connection) -> None:
        """Forget it."""
        self._connections.discard(connection)
        if not self._connections:
            self._deserted.set()

    async def _serve(self, connection: Connection, request: Request) -> None:
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
        if self.plan is not None and self.plan.doubles(request.operation):
            await self._pass_on(request, read_batch(request.operation, request.body).copy())
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
