"""Small servers on loopback ports, with and without TLS."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager

import aiohttp.web
import pytest
import trustme

from sourceflow.transports.aws.client.http.tls import make_tls_context


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def serving():
    """Serve an aiohttp handler; gives its host and port."""

    @asynccontextmanager
    async def serving(handler, *, tls=None, host="127.0.0.1"):
        app = aiohttp.web.Application(client_max_size=2**23)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = aiohttp.web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        try:
            site = aiohttp.web.TCPSite(runner, host, 0, ssl_context=tls)
            await site.start()
            shown = f"[{host}]" if ":" in host else host
            yield f"{shown}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    return serving


@pytest.fixture
def talking():
    """Serve what a test writes by hand, ``talk(reader, writer)``; gives host and port, and counts connections."""

    @asynccontextmanager
    async def talking(talk, *, tls=None):
        talks = set()

        async def connected(reader, writer):
            talks.add(asyncio.current_task())
            try:
                await talk(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the client left: tests look at what it says, not at what we could still write
            finally:
                writer.transport.abort()

        async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls) as server:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            for each in talks:  # since Python 3.12 the server waits for connections that are open
                each.cancel()

    return talking


class Authorities:
    """A root that clients trust, and an intermediate that servers are certified by."""

    def __init__(self, tmp_path):
        self.root = trustme.CA()
        self.intermediate = self.root.create_child_ca()
        self.bundle = tmp_path / "root.pem"
        self.root.cert_pem.write_to_path(self.bundle)

    @property
    def trusted(self):
        """How a client verifies that trusts the root alone."""
        return make_tls_context(str(self.bundle))

    def serving(self, *names, issuer=None, **validity):
        """Return the context of a server with a certificate for these names."""
        leaf = (issuer or self.intermediate).issue_cert(*(names or ("127.0.0.1",)), **validity)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        return context


@pytest.fixture
def authorities(tmp_path):
    return Authorities(tmp_path)
