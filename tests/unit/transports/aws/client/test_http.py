"""The HTTP client against small servers on a loopback port."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib.util
import ipaddress
import ssl
import sys
from contextlib import asynccontextmanager

import aiohttp.web
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sourceflow.errors import AwsConfigurationError, AwsTransientError, MissingExtraError
from sourceflow.transports.aws.client.http import AsyncioClient, http_client_for
from sourceflow.transports.aws.client.http.aiohttp_client import AiohttpClient


@asynccontextmanager
async def serving(handler, *, ssl_context=None):
    app = aiohttp.web.Application(client_max_size=2**23)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    try:
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)
        await site.start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=[AsyncioClient, AiohttpClient])
def make_client(request):
    return request.param


@pytest.fixture
async def client(make_client):
    async with make_client() as client:
        yield client


@pytest.fixture
async def behind_proxy():
    async with AiohttpClient() as client:
        yield client


async def test_a_post_returns_status_headers_and_body_whatever_the_status(client):
    async def handler(request):
        body = b"got " + await request.read()
        return aiohttp.web.Response(
            status=418, body=body, headers={"X-Said": request.headers["X-Ask"]}
        )

    async with serving(handler) as address:
        status, headers, body = await client.post(f"http://{address}/", {"X-Ask": "a"}, b"body", 5)
    assert (status, headers["x-said"], body) == (418, "a", b"got body")


async def test_no_headers_are_added_but_those_that_http_needs(client):
    async def handler(request):
        return aiohttp.web.json_response(sorted(request.headers))

    async with serving(handler) as address:
        _, _, body = await client.post(f"http://{address}/", {"Content-Type": "text/x"}, b"x", 5)
    assert body == b'["Content-Length", "Content-Type", "Host", "User-Agent"]'


async def test_a_body_of_several_mebibytes_is_sent_whole(client):
    async def handler(request):
        return aiohttp.web.Response(text=f"{request.content_length} {len(await request.read())}")

    async with serving(handler) as address:
        _, _, body = await client.post(f"http://{address}/", {}, b"x" * (2**21 + 1), 5)
    assert body == b"2097153 2097153"


async def test_a_connection_is_used_again(client):
    ports = set()

    async def handler(request):
        ports.add(request.transport.get_extra_info("peername")[1])
        return aiohttp.web.Response()

    async with serving(handler) as address:
        for _ in range(3):
            await client.post(f"http://{address}/", {}, b"x", 5)
    assert len(ports) == 1


async def test_no_more_connections_are_opened_than_allowed(make_client):
    running = most = 0

    async def handler(request):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return aiohttp.web.Response()

    async with (
        serving(handler) as address,
        make_client(connections=2) as client,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(6):
            group.create_task(client.post(f"http://{address}/", {}, b"x", 5))
    assert most == 2


async def test_a_redirect_is_not_followed(client):
    async def handler(request):
        raise aiohttp.web.HTTPTemporaryRedirect("http://elsewhere.test/")

    async with serving(handler) as address:
        status, _, _ = await client.post(f"http://{address}/", {}, b"x", 5)
    assert status == 307


async def test_an_answer_that_does_not_come_in_time_is_a_passing_fault(client):
    async def handler(request):
        await asyncio.sleep(5)

    async with serving(handler) as address:
        with pytest.raises(AwsTransientError, match=r"no answer within 0\.05 s") as caught:
            await client.post(f"http://{address}/", {}, b"x", 0.05)
    assert caught.value.code == "Timeout"


async def test_a_port_where_nobody_listens_is_a_passing_fault(client, unused_tcp_port):
    with pytest.raises(AwsTransientError) as caught:
        await client.post(f"http://127.0.0.1:{unused_tcp_port}/", {}, b"x", 5)
    assert caught.value.code == "ConnectionFailed"


async def test_an_answer_that_breaks_off_is_a_passing_fault(client):
    async def cut(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(AwsTransientError) as caught:
            await client.post(f"http://127.0.0.1:{port}/", {}, b"x", 5)
    assert caught.value.code == "ConnectionFailed"


def self_signed(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def test_a_certificate_that_is_not_trusted_is_a_matter_of_configuration(client, tmp_path):
    async def handler(request):
        return aiohttp.web.Response()

    async with serving(handler, ssl_context=self_signed(tmp_path)) as address:
        with pytest.raises(AwsConfigurationError) as caught:
            await client.post(f"https://{address}/", {}, b"x", 5)
    assert caught.value.code == "UntrustedCertificate"


async def test_a_proxy_of_the_environment_is_asked(behind_proxy, monkeypatch):
    async def proxy(request):
        return aiohttp.web.Response(text=f"{request.method} {request.raw_path}")

    async with serving(proxy) as address:
        monkeypatch.setenv("HTTP_PROXY", f"http://{address}")
        monkeypatch.delenv("REQUEST_METHOD", raising=False)
        _, _, body = await behind_proxy.post("http://sqs.test/", {}, b"x", 5)
    assert body == b"POST http://sqs.test/"


async def test_a_host_that_needs_no_proxy_is_asked_itself(client, monkeypatch):
    async def handler(request):
        return aiohttp.web.Response(text="itself")

    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with serving(handler) as address:
        _, _, body = await client.post(f"http://{address}/", {}, b"x", 5)
    assert body == b"itself"


async def test_a_closed_client_opens_anew(client):
    async def handler(request):
        return aiohttp.web.Response(text="again")

    async with serving(handler) as address:
        await client.post(f"http://{address}/", {}, b"x", 5)
        await client.aclose()
        await client.aclose()
        _, _, body = await client.post(f"http://{address}/", {}, b"x", 5)
    assert body == b"again"


def test_a_pool_without_connections_is_refused(make_client):
    with pytest.raises(ValueError, match="connections must be positive"):
        make_client(connections=0)


def import_anew():
    spec = importlib.util.find_spec("sourceflow.transports.aws.client.http.aiohttp_client")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


async def test_who_needs_a_proxy_gets_aiohttp_and_all_others_our_own(monkeypatch):
    url = "https://sqs.eu-central-1.amazonaws.com/"
    assert isinstance(http_client_for(url), AsyncioClient)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    assert isinstance(http_client_for(url), AiohttpClient)
    assert isinstance(http_client_for("http://127.0.0.1:4566/", url), AiohttpClient)
    monkeypatch.setenv("NO_PROXY", "amazonaws.com")
    assert isinstance(http_client_for(url), AsyncioClient)


async def test_a_host_of_ipv6_is_reached(client):
    async def handler(request):
        return aiohttp.web.Response(text=request.headers["Host"])

    app = aiohttp.web.Application()
    app.router.add_post("/", handler)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    try:
        await aiohttp.web.TCPSite(runner, "::1", 0).start()
        port = runner.addresses[0][1]
        _, _, body = await client.post(f"http://[::1]:{port}/", {}, b"x", 5)
    finally:
        await runner.cleanup()
    assert body == f"[::1]:{port}".encode()


def test_without_aiohttp_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(MissingExtraError, match=r"sourceflow\[aws\]"):
        import_anew()


def test_a_module_that_aiohttp_misses_is_not_called_aiohttp(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "aiohttp"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "multidict", None)
    with pytest.raises(ModuleNotFoundError, match="multidict"):
        import_anew()
