"""SQS, SNS and KMS in memory behind their real protocols, on a loopback port."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web

from sourceflow.clock import SystemClock
from sourceflow.testing.local_aws.address import place, refusal
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.face import (
    JSON_TARGETS,
    Answer,
    form_of,
    json_answer,
    json_fault,
    xml_answer,
    xml_fault,
)
from sourceflow.testing.local_aws.identities import Identities
from sourceflow.testing.local_aws.kms.service import Kms
from sourceflow.testing.local_aws.refusals import Refusals
from sourceflow.testing.local_aws.signature import SignatureCheck
from sourceflow.testing.local_aws.sns.service import Sns
from sourceflow.testing.local_aws.sqs.service import PendingReceive, Sqs
from sourceflow.testing.local_aws.sse import Sse
from sourceflow.testing.local_aws.sts import call_sts
from sourceflow.transports.aws.client import StaticCredentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from sourceflow.clock import Clock
    from sourceflow.testing.local_aws.identities import Identity, PolicyDocument
    from sourceflow.testing.local_aws.kms.key import Key
    from sourceflow.testing.local_aws.sqs.queue import Queue

__all__ = ("LocalAws",)

MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes of a request: ten messages of 1 MiB written as JSON would still be refused by SQS itself."""


class LocalAws:
    """A small AWS of one's own: SQS, SNS and KMS with AWS's rules, and nothing outside this process.

    ``async with LocalAws() as aws:`` serves ``aws.endpoint_url``. ``post`` answers the same
    requests without a socket, and may stand in for the client's HTTP.

    Args:
        port: The loopback port; 0 takes a free one.
        host: The address to bind, a name or a number of IPv4 or IPv6; only loopback makes sense.
        clock: The time: tests hand in a ``ManualClock``.
        region: The region that ARNs name.
        account_id: The account that ARNs name.
        credentials: Access key ids and their secrets; ``test`` and ``test`` where not given.
        policy: The IAM policy, or policies, that say what callers may do; see ``restrict``.

    Raises:
        ValueError: The host is empty, or a policy cannot be evaluated.

    Attributes:
        calls: How often each operation was called, for tests that count.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        clock: Clock | None = None,
        region: str = "us-east-1",
        account_id: str = "000000000000",
        credentials: Mapping[str, str] | None = None,
        policy: PolicyDocument | Sequence[PolicyDocument] | None = None,
    ) -> None:
        if not host:
            raise ValueError("host is an address of this machine, such as '127.0.0.1', not empty")
        self._port = port
        self._host = host
        self._clock: Clock = SystemClock() if clock is None else clock
        self._account_id = account_id
        self._credentials = dict(credentials or {"test": "test"})
        self._signatures = SignatureCheck(self._credentials)
        self._identities = Identities(account_id, self._credentials)
        self._identities.restrict(policy)
        self._kms = Kms(region=region, account_id=account_id)
        sse = Sse(self._kms.keys, region=region)
        self._sqs = Sqs(
            sse=sse,
            region=region,
            account_id=account_id,
            base_url=lambda: self.endpoint_url,
            on_visible=self._wake,
        )
        self._sns = Sns(
            sse=sse,
            region=region,
            account_id=account_id,
            deliver=lambda delivery: self._sqs.deliver(delivery, self._now()),
            endpoint=lambda: self.endpoint_url,
        )
        self._refusals = Refusals()
        self._waiting: dict[Queue, set[asyncio.Future[None]]] = {}
        self._runner: web.ServerRunner | None = None
        self._is_closing = False
        self.calls: Counter[str] = Counter()

    @property
    def endpoint_url(self) -> str:
        """Where it answers: hand it to clients as their endpoint."""
        return f"http://{place(self._host, self._port)}"

    def static_credentials(self, access_key: str | None = None) -> StaticCredentials:
        """Return credentials that it accepts: the first, or those of an access key id.

        Raises:
            LookupError: It has none of that id.
        """
        key = next(iter(self._credentials)) if access_key is None else access_key
        return StaticCredentials(key, self._credentials[key])

    def restrict(
        self,
        policy: PolicyDocument | Sequence[PolicyDocument] | None,
        *,
        access_key: str | None = None,
    ) -> None:
        """Let callers do what IAM policies allow, from now on, and refuse the rest as AWS does.

        Several policies allow together; a denial in one of them wins. Who has no policy may do
        everything, as the account itself.

        Args:
            policy: JSON, or what it holds; or several. None lifts what was said before.
            access_key: The access key id of the caller who is meant; all callers where None.

        Raises:
            LookupError: There are no such credentials.
            ValueError: A policy is none, too long for IAM, or says what LocalAws cannot evaluate.
        """
        self._identities.restrict(policy, access_key)

    def rights_used(self, access_key: str | None = None) -> frozenset[tuple[str, str]]:
        """Return what a restricted caller was let do: actions of IAM, each with its resource.

        Args:
            access_key: The access key id of the caller; the first one where None.
        """
        identity = self._identity(access_key)
        return frozenset() if identity is None else frozenset(identity.used)

    def rights_refused(self, access_key: str | None = None) -> frozenset[tuple[str, str]]:
        """Return what a restricted caller asked for and was not let do; see ``rights_used``."""
        identity = self._identity(access_key)
        return frozenset() if identity is None else frozenset(identity.refused)

    def _identity(self, access_key: str | None) -> Identity | None:
        key = next(iter(self._credentials)) if access_key is None else access_key
        return self._identities.of(key)

    def create_key(self, alias: str | None = None) -> Key:
        """Make a KMS key, which a test can disable, enable and rotate.

        Args:
            alias: Such as ``alias/orders``; one that there is moves to the new key.
        """
        keys = self._kms.keys
        key = keys.create(self._now())
        if alias in keys.aliases_of():
            keys.move_alias(alias, key)
        elif alias is not None:
            keys.create_alias(alias, key)
        return key

    def refuse(
        self,
        operation: str,
        code: str,
        *,
        times: int = 1,
        status: int = 400,
        message: str = "",
    ) -> None:
        """Refuse the next calls of an operation before they have any effect; others go on as ever.

        Args:
            operation: Such as ``Decrypt``.
            code: What AWS says, such as ``ThrottlingException``.
            times: How many calls; it replaces what was left of an earlier refusal, and 0 ends that.
            status: The HTTP status.
            message: What AWS says about it.
        """
        self._refusals.expect(operation, times, AwsFault(code, message, status=status))

    async def __aenter__(self) -> Self:
        """Begin to serve.

        Raises:
            OSError: It cannot listen there, because the port is taken for example.
        """
        self._is_closing = False
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, self._host, self._port)
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise OSError(error.errno, refusal(self._host, self._port, error)) from error
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None  # it serves
        self._is_closing = True
        for queue in list(self._waiting):
            self._wake(queue)
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        request._client_max_size = MAX_BODY  # noqa: SLF001 - web.Server has no other way to say it
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413, text="the request is too large")
        answer = await self._answer(
            request.method,
            request.rel_url.raw_path,
            request.rel_url.raw_query_string,
            request.headers,
            body,
        )
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,  # noqa: ASYNC109 - the shape of the client's HTTP
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Answer a request without a socket, in the shape of the client's ``HttpClient``."""
        path = "/" + url.split("://", 1)[-1].partition("/")[2]
        lowered = {name.lower(): value for name, value in headers.items()}
        lowered.setdefault("host", url.split("://", 1)[-1].partition("/")[0])
        async with asyncio.timeout(timeout):
            answer = await self._answer("POST", path, "", _Folded(lowered), body)
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.body

    async def aclose(self) -> None:
        """Nothing is held open by ``post``."""

    async def _answer(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        target, _, operation = headers.get("X-Amz-Target", "").partition(".")
        is_json = target in JSON_TARGETS
        service = JSON_TARGETS.get(target, "sns")
        try:
            signed = self._signatures.check(method, path, query, headers, body, self._now())
            who = self._identities.of(signed.access_key)
            if is_json:
                return json_answer(service, await self._call_json(service, operation, body, who))
            service = signed.service
            return self._call_query(service, form_of(body), who)
        except AwsFault as fault:
            return json_fault(service, fault) if is_json else xml_fault(service, fault)

    async def _call_json(
        self, service: str, operation: str, body: bytes, who: Identity | None
    ) -> bytes:
        self._count(operation)
        if operation == "ReceiveMessage":
            return await self._receive(self._sqs.receive(body, who))
        core = self._sqs if service == "sqs" else self._kms
        return core.call(operation, body, self._now(), who)

    def _call_query(self, service: str, form: Mapping[str, str], who: Identity | None) -> Answer:
        action = form.get("Action", "")
        self._count(action)
        if service == "sts":
            return xml_answer("sts", action, call_sts(action, self._account_id, who))
        if service != "sns":
            raise AwsFault("InvalidAction", f"LocalAws has no service {service!r}.", status=400)
        return xml_answer("sns", action, self._sns.call(action, form, self._now(), who))

    def _count(self, operation: str) -> None:
        self.calls[operation] += 1
        self._refusals.check(operation)

    async def _receive(self, pending: PendingReceive) -> bytes:
        """Answer at once if there are messages; else when some show, or when the wait is over."""
        deadline = self._clock.monotonic() + pending.wait
        while True:
            answer = pending.try_now(self._now())
            if answer is not None:
                return answer
            left = deadline - self._clock.monotonic()
            if left <= 0 or self._is_closing:
                return b"{}"
            await self._wait(pending, left)

    async def _wait(self, pending: PendingReceive, seconds: float) -> None:
        queue, due = pending.queue, pending.next_change()
        if due is not None:
            seconds = min(seconds, max(due - self._now(), 0.001))
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(queue, set())
        waiting.add(future)
        sleep = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((future, sleep), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(queue, None)

    def _wake(self, queue: Queue) -> None:
        for future in self._waiting.get(queue, ()):
            if not future.done():
                future.set_result(None)

    def _now(self) -> float:
        return self._clock.now().timestamp()


class _Folded(dict[str, str]):
    """Headers looked up without regard to case."""

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return super().get(name.lower(), default)
