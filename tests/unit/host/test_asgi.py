"""``HealthApp`` as an ASGI server calls it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from sourceflow import App, HealthApp
from sourceflow.bus.ports import Finding, HealthCheck
from sourceflow.testing import ManualClock


class Answer:
    def __init__(self, messages):
        start, body = messages
        assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
        self.status = start["status"]
        self.headers = dict(start["headers"])
        self.body = body["body"]

    @property
    def json(self):
        return json.loads(self.body)


async def ask(web, path, *, method="GET", root_path=""):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "root_path": root_path}
    await web(scope, receive, send)
    return Answer(sent)


class Part:
    """Tells how it is: as the test says."""

    def __init__(self):
        self.finding = Finding.healthy("fine")
        self.looks = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def health_checks(self, options):
        return (HealthCheck("queue secret.fifo", self.look),)

    async def look(self):
        self.looks += 1
        await self.may_answer.wait()
        return self.finding


@pytest.fixture
def part():
    return Part()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def app(wire, part, clock):
    transport = wire()
    transport.health_checks = part.health_checks
    return App([], name="shop", clock=clock).use(transport)


async def test_it_is_alive_whatever_the_app_does(app, part):
    web = HealthApp(app)
    assert (await ask(web, "/live")).status == 200
    async with app:
        part.finding = Finding.unhealthy("broken")
        answer = await ask(web, "/live")

    assert (answer.status, answer.json) == (200, {"status": "alive"})
    assert part.looks == 0


@pytest.mark.parametrize(
    ("finding", "ready", "health"),
    [
        (Finding.healthy(""), 200, 200),
        (Finding.degraded(""), 200, 200),
        (Finding.unhealthy(""), 503, 503),
    ],
)
async def test_what_is_unhealthy_is_not_ready(app, part, finding, ready, health):
    part.finding = finding
    async with app:
        web = HealthApp(app)

        assert (await ask(web, "/ready")).status == ready
        answer = await ask(web, "/health")
        assert (answer.status, answer.json) == (health, {"status": finding.status.value})


async def test_what_has_not_started_or_stops_is_not_ready(app, part):
    web = HealthApp(app)
    stop, answers = app._transport.stop, []

    async def stopping(grace=None):
        answers.extend([await ask(web, "/ready"), await ask(web, "/health")])
        await stop(grace)

    app._transport.stop = stopping
    answer = await ask(web, "/ready")
    assert (answer.status, answer.json) == (503, {"status": "not ready"})
    assert (await ask(web, "/health")).status == 503

    async with app:
        assert (await ask(web, "/ready")).status == 200
    assert [each.status for each in answers] == [503, 503]
    assert (await ask(web, "/ready")).status == 503


async def test_details_are_told_only_where_that_is_asked_for(app, part):
    part.finding = Finding.unhealthy("arn:aws:sqs:eu-central-1:123456789012:secret.fifo is gone")
    async with app:
        silent = await ask(HealthApp(app), "/health")
        telling = await ask(HealthApp(app, details=True), "/health")

    assert silent.json == {"status": "unhealthy"}
    assert telling.json["status"] == "unhealthy"
    entry = telling.json["entries"][-1]
    assert entry["name"] == "queue secret.fifo"
    assert entry["detail"] == part.finding.detail


async def test_a_report_is_shared_for_a_second(app, part, clock):
    async with app:
        web = HealthApp(app)
        for path in ("/health", "/ready", "/health"):
            await ask(web, path)
        assert part.looks == 1

        part.finding = Finding.unhealthy("broken")
        await clock.advance(timedelta(seconds=0.9))
        assert (await ask(web, "/ready")).status == 200
        await clock.advance(timedelta(seconds=0.1))
        assert (await ask(web, "/ready")).status == 503
        assert part.looks == 2


async def test_who_asks_while_a_report_is_made_gets_that_one(app, part, clock):
    part.may_answer.clear()
    async with app:
        web = HealthApp(app)
        asking = [asyncio.ensure_future(ask(web, "/ready")) for _ in range(20)]
        await clock.advance(timedelta(seconds=2))

        assert [each.status for each in await asyncio.gather(*asking)] == [503] * 20
        assert part.looks == 1


async def test_a_report_from_before_the_start_is_not_given_after_it(app):
    web = HealthApp(app)
    assert (await ask(web, "/health")).status == 503
    async with app:
        assert (await ask(web, "/health")).status == 200
    assert (await ask(web, "/health")).status == 503


async def test_nothing_is_to_be_stored(app):
    for path in ("/live", "/ready", "/health", "/other"):
        answer = await ask(HealthApp(app), path)

        assert answer.headers[b"cache-control"] == b"no-store"
        assert answer.headers[b"content-type"] == b"application/json"
        assert answer.headers[b"content-length"] == str(len(answer.body)).encode()


async def test_head_is_answered_without_a_body(app):
    got, head = [await ask(HealthApp(app), "/live", method=each) for each in ("GET", "HEAD")]

    assert (head.status, head.body) == (200, b"")
    assert head.headers == got.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_are_not_allowed(app, method):
    answer = await ask(HealthApp(app), "/live", method=method)

    assert answer.status == 405
    assert answer.headers[b"allow"] == b"GET, HEAD"


@pytest.mark.parametrize("path", ["/", "", "/livelihood", "/live/more", "/probes"])
async def test_other_paths_are_not_found(app, path):
    assert (await ask(HealthApp(app), path)).status == 404


@pytest.mark.parametrize(
    ("path", "root_path"),
    [
        ("/live", ""),
        ("/live/", ""),
        ("/probes/live", "/probes"),  # Starlette tells both
        ("/live", "/probes"),  # others cut it off
        ("/live", "/live"),
    ],
)
async def test_it_answers_wherever_it_is_mounted(app, path, root_path):
    assert (await ask(HealthApp(app), path, root_path=root_path)).status == 200


async def test_a_web_socket_is_refused(app):
    sent = []

    async def send(message):
        sent.append(message)

    await HealthApp(app)({"type": "websocket", "path": "/live"}, None, send)

    assert sent == [{"type": "websocket.close", "code": 1000}]


async def test_another_protocol_is_an_error(app):
    with pytest.raises(RuntimeError, match="'carrier-pigeon'"):
        await HealthApp(app)({"type": "carrier-pigeon"}, None, None)


class Server:
    """The lifespan half of a server."""

    def __init__(self, web):
        self._told = asyncio.Queue()
        self.said = asyncio.Queue()
        self.task = asyncio.ensure_future(web({"type": "lifespan"}, self._told.get, self.said.put))

    async def tell(self, message):
        await self._told.put({"type": message})
        return (await self.said.get())["type"]


async def test_served_on_its_own_it_runs_the_app(app):
    server = Server(HealthApp(app))

    assert await server.tell("lifespan.startup") == "lifespan.startup.complete"
    assert app.is_running
    assert await server.tell("lifespan.shutdown") == "lifespan.shutdown.complete"
    assert not app.is_running
    await server.task


async def test_an_app_that_runs_already_is_left_alone(app):
    async with app:
        server = Server(HealthApp(app))
        assert await server.tell("lifespan.startup") == "lifespan.startup.complete"
        assert await server.tell("lifespan.shutdown") == "lifespan.shutdown.complete"
        await server.task
        assert app.is_running


async def test_an_app_that_cannot_start_tells_the_server(app):
    async def refuse(context):
        raise ValueError("no queue")

    app._transport.open = refuse
    server = Server(HealthApp(app))

    assert await server.tell("lifespan.startup") == "lifespan.startup.failed"
    with pytest.raises(ValueError, match="no queue"):
        await server.task


async def test_an_app_that_cannot_stop_tells_the_server(app):
    async def refuse(grace=None):
        raise ValueError("no end")

    app._transport.stop = refuse
    server = Server(HealthApp(app))

    await server.tell("lifespan.startup")
    assert await server.tell("lifespan.shutdown") == "lifespan.shutdown.failed"
    with pytest.raises(ValueError, match="no end"):
        await server.task
