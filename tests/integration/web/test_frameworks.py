"""``app.lifespan`` and ``HealthApp`` inside Starlette, FastAPI and Litestar, by their own protocols."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from litestar import Litestar, asgi, get
from litestar.testing import AsyncTestClient
from starlette.applications import Starlette
from starlette.routing import Mount

from sourceflow import App, HealthApp
from sourceflow.errors import WiringError


@pytest.fixture
def app():
    return App([], name="shop")


def starlette(app, **more):
    return Starlette(lifespan=app.lifespan, routes=[Mount("/probes", HealthApp(app))], **more)


def fastapi(app):
    web = FastAPI(lifespan=app.lifespan)
    web.mount("/probes", HealthApp(app))
    return web


def litestar(app):
    @get("/state")
    async def state() -> dict[str, bool]:
        return {"running": app.is_running}

    probes = asgi("/probes", is_mount=True, copy_scope=True)(HealthApp(app).__call__)
    return Litestar([state, probes], lifespan=[app.lifespan], logging_config=None)


@asynccontextmanager
async def served(web):
    """Start a web application as a server does, and stop it."""
    told, said = asyncio.Queue(), asyncio.Queue()
    serving = asyncio.ensure_future(
        web({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, told.get, said.put)
    )
    await told.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    transport = httpx.ASGITransport(web)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield client
    await told.put({"type": "lifespan.shutdown"})
    assert (await said.get())["type"] == "lifespan.shutdown.complete"
    await serving


@pytest.mark.parametrize("made", [starlette, fastapi, litestar])
async def test_the_app_runs_as_long_as_the_web_application(app, made):
    web = made(app)
    for _ in range(2):  # a web application may be started again
        assert not app.is_running
        async with served(web) as client:
            assert app.is_running
            for path, status in (("live", "alive"), ("ready", "ready"), ("health", "healthy")):
                answer = await client.get(f"/probes/{path}")
                assert (answer.status_code, answer.json()) == (200, {"status": status})
            assert (await client.post("/probes/live")).status_code == 405
            assert (await client.get("/probes/other")).status_code == 404
            head = await client.head("/probes/live")
            assert (head.status_code, head.content) == (200, b"")
        assert not app.is_running


async def test_litestar_s_own_client_starts_and_stops_it(app):
    async with AsyncTestClient(litestar(app)) as client:
        assert (await client.get("/state")).json() == {"running": True}
        assert (await client.get("/probes/ready")).status_code == 200
    assert not app.is_running


async def test_an_app_that_cannot_start_keeps_the_web_application_from_starting():
    class NoComponent:
        pass

    app = App([NoComponent], name="shop")
    told, said = asyncio.Queue(), asyncio.Queue()
    await told.put({"type": "lifespan.startup"})

    with pytest.raises(WiringError):
        await starlette(app)({"type": "lifespan"}, told.get, said.put)

    assert (await said.get())["type"] == "lifespan.startup.failed"


async def test_a_web_application_that_fails_stops_the_app(app):
    with pytest.raises(ZeroDivisionError):
        async with app.lifespan(None):
            assert app.is_running
            raise ZeroDivisionError
    assert not app.is_running
