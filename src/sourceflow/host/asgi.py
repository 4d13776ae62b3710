"""``HealthApp``: how an App is, over HTTP, for load balancers and orchestrators. Plain ASGI 3."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sourceflow.bus.ports import HealthStatus

if TYPE_CHECKING:
    from sourceflow.host.app import App
    from sourceflow.host.health import HealthReport

__all__ = ("HealthApp",)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

FRESH: Final = 1.0
"""Seconds that a report answers further requests: however many probe, AWS is asked once a second."""

_METHODS: Final = ("GET", "HEAD")


class _Answer(NamedTuple):
    status: int
    document: dict[str, Any]
    headers: tuple[tuple[bytes, bytes], ...] = ()


class HealthApp:
    """Answers ``/live``, ``/ready`` and ``/health`` for an App, wherever it is mounted.

    - ``/live``: 200 as long as the process and its event loop answer. It asks nobody, so that no
      outage makes an orchestrator restart what is not broken.
    - ``/ready``: 200 where the App runs, does not stop, and is not unhealthy; else 503.
    - ``/health``: 200 where it is healthy or degraded, else 503, with the status as JSON.

    A report answers for one second; requests meanwhile share it. Served on its own (``uvicorn
    service:health``), it runs the App as long as the server runs.

    Args:
        app: The App.
        details: Whether ``/health`` shows each entry. They name queues, topics, keys and errors:
            show them to your own people only.
    """

    def __init__(self, app: App, *, details: bool = False) -> None:
        self._app = app
        self._details = details
        self._reports = _Reports(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        match scope["type"]:
            case "http":
                await self._serve(scope, send)
            case "lifespan":
                await _Lifespan(self._app, receive, send).run()
            case "websocket":
                await send({"type": "websocket.close", "code": 1000})
            case other:
                raise RuntimeError(f"HealthApp serves HTTP, not {other!r}")

    async def _serve(self, scope: Scope, send: Send) -> None:
        answer = await self._answer(_path(scope), scope["method"])
        body = json.dumps(answer.document).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *answer.headers,
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )

    async def _answer(self, path: str, method: str) -> _Answer:
        answers = {"/live": self._live, "/ready": self._ready, "/health": self._health}
        answer = answers.get(path)
        if answer is None:
            return _Answer(404, {"status": "not found"})
        if method not in _METHODS:
            return _Answer(
                405, {"status": "not allowed"}, ((b"allow", ", ".join(_METHODS).encode()),)
            )
        return await answer()

    async def _live(self) -> _Answer:
        return _Answer(200, {"status": "alive"})

    async def _ready(self) -> _Answer:
        if self._app.is_running:
            report = await self._reports.get()
            if report.status is not HealthStatus.UNHEALTHY and self._app.is_running:
                return _Answer(200, {"status": "ready"})
        return _Answer(503, {"status": "not ready"})

    async def _health(self) -> _Answer:
        report = await self._reports.get()
        status = 503 if report.status is HealthStatus.UNHEALTHY else 200
        document = report.as_dict()
        return _Answer(status, document if self._details else {"status": document["status"]})


class _Reports:
    """Makes one report at a time, and gives it to all who ask meanwhile, and for a second more."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._making = asyncio.Lock()
        self._latest: HealthReport | None = None
        self._fresh_until = 0.0
        self._was_running = False

    async def get(self) -> HealthReport:
        """Return a report that was made less than a second ago, or is made now."""
        clock = self._app.clock
        async with self._making:
            running = self._app.is_running
            is_old = clock.monotonic() >= self._fresh_until or running != self._was_running
            if self._latest is None or is_old:
                self._latest = await self._app.health()
                self._fresh_until = clock.monotonic() + FRESH
                self._was_running = running
            return self._latest


class _Lifespan:
    """Runs an App as long as the server that serves nothing else; one that runs is left alone."""

    def __init__(self, app: App, receive: Receive, send: Send) -> None:
        self._app = app
        self._receive = receive
        self._send = send

    async def run(self) -> None:
        """Follow the server: start, wait, stop."""
        await self._receive()
        if self._app.is_running:
            await self._wait()
            await self._send({"type": "lifespan.shutdown.complete"})
            return
        started = False
        try:
            async with self._app:
                started = True
                await self._wait()
        except BaseException as error:
            step = "shutdown" if started else "startup"
            await self._send(
                {"type": f"lifespan.{step}.failed", "message": f"{type(error).__name__}: {error}"}
            )
            raise
        await self._send({"type": "lifespan.shutdown.complete"})

    async def _wait(self) -> None:
        await self._send({"type": "lifespan.startup.complete"})
        await self._receive()


def _path(scope: Scope) -> str:
    """Return the path below where it is mounted: frameworks differ in whether they cut it off."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(f"{root}/"):
        path = path[len(root) :]
    return path.rstrip("/") or "/"
