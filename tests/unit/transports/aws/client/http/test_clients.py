"""What every HTTP client does, against small servers on a loopback port."""

from __future__ import annotations

import asyncio

import aiohttp.web
import pytest

from sourceflow.errors import AwsConfigurationError, AwsTransientError
from sourceflow.transports.aws.client import DirectClient
from sourceflow.transports.aws.client.http.aiohttp_client import AiohttpClient


@pytest.fixture(params=[AiohttpClient, DirectClient])
def kind(request):
    return request.param


@pytest.fixture
async def client(kind):
    async with kind() as client:
        yield client


async def test_a_post_returns_status_headers_and_body_whatever_the_status(client, serving):
    async def handler(request):
        body = b"got " + await request.read()
        return aiohttp.web.Response(
            status=418, body=body, headers={"X-Said": request.headers["X-Ask"]}
        )

    async with serving(handler) as address:
        status, headers, body = await client.post(f"http://{address}/", {"X-Ask": "a"}, b"body", 5)
    assert (status, headers["x-said"], body) == (418, "a", b"got body")


async def test_no_headers_are_added_but_those_that_http_needs(client, serving):
    async def handler(request):
        return aiohttp.web.json_response(sorted(request.headers))

    async with serving(handler) as address:
        _, _, body = await client.post(f"http://{address}/", {"Content-Type": "text/x"}, b"x", 5)
    assert body == b'["Content-Length", "Content-Type", "Host", "User-Agent"]'


async def test_a_body_of_several_mebibytes_is_sent_whole(client, serving):
    async def handler(request):
        return aiohttp.web.Response(text=f"{request.content_length} {len(await request.read())}")

    async with serving(handler) as address:
        _, _, body = await client.post(f"http://{address}/", {}, b"x" * (2**21 + 1), 5)
    assert body == b"2097153 2097153"


async def test_a_connection_is_used_again(client, serving):
    ports = set()

    async def handler(request):
        ports.add(request.transport.get_extra_info("peername")[1])
        return aiohttp.web.Response()

    async with serving(handler) as address:
        for _ in range(3):
            await client.post(f"http://{address}/", {}, b"x", 5)
    assert len(ports) == 1


async def test_no_more_connections_are_opened_than_allowed(kind, serving):
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
        kind(connections=2) as client,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(6):
            group.create_task(client.post(f"http://{address}/", {}, b"x", 5))
    assert most == 2


async def test_a_redirect_is_not_followed(client, serving):
    async def handler(request):
        raise aiohttp.web.HTTPTemporaryRedirect("http://elsewhere.test/")

    async with serving(handler) as address:
        status, _, _ = await client.post(f"http://{address}/", {}, b"x", 5)
    assert status == 307


async def test_an_answer_that_does_not_come_in_time_is_a_passing_fault(client, serving):
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


async def test_a_closed_client_opens_anew(client, serving):
    async def handler(request):
        return aiohttp.web.Response(text="again")

    async with serving(handler) as address:
        await client.post(f"http://{address}/", {}, b"x", 5)
        await client.aclose()
        await client.aclose()
        _, _, body = await client.post(f"http://{address}/", {}, b"x", 5)
    assert body == b"again"


def test_a_pool_without_connections_is_refused(kind):
    with pytest.raises(ValueError, match="connections must be positive"):
        kind(connections=0)


@pytest.mark.parametrize("value", ["a\r\nInjected: b", "a\nInjected: b", "a\rb"])
async def test_a_line_end_in_a_header_is_refused_before_anything_is_sent(client, serving, value):
    asked = []

    async def handler(request):
        asked.append(request)

    async with serving(handler) as address:
        with pytest.raises(AwsConfigurationError) as caught:
            await client.post(f"http://{address}/", {"X-Token": value}, b"x", 5)
    assert caught.value.code == "InvalidHeader"
    assert not asked


async def test_a_server_at_an_ipv6_address_is_reached(client, serving):
    async def handler(request):
        return aiohttp.web.Response(text=request.headers["Host"])

    async with serving(handler, host="::1") as address:
        _, _, body = await client.post(f"http://{address}/", {}, b"x", 5)
    assert body.decode() == address


async def test_path_and_query_are_sent_as_they_are(client, serving):
    async def handler(request):
        return aiohttp.web.Response(text=request.raw_path)

    async with serving(handler) as address:
        _, _, body = await client.post(f"http://{address}/a%20b/c?d=e&f", {}, b"x", 5)
    assert body == b"/a%20b/c?d=e&f"


async def test_an_answer_in_chunks_is_put_together(client, serving):
    async def handler(request):
        answer = aiohttp.web.StreamResponse()
        await answer.prepare(request)
        for part in (b"one ", b"two ", b"three"):
            await answer.write(part)
        await answer.write_eof()
        return answer

    async with serving(handler) as address:
        _, headers, body = await client.post(f"http://{address}/", {}, b"x", 5)
    assert (headers["transfer-encoding"], body) == ("chunked", b"one two three")


async def test_an_empty_answer_is_whole(client, serving):
    async def handler(request):
        return aiohttp.web.Response(status=204)

    async with serving(handler) as address:
        for _ in range(2):
            status, _, body = await client.post(f"http://{address}/", {}, b"x", 5)
            assert (status, body) == (204, b"")


async def test_a_cancelled_request_leaves_the_client_usable(client, serving):
    arrived = asyncio.Event()

    async def handler(request):
        if await request.read() == b"first":
            arrived.set()
            await asyncio.Event().wait()
        return aiohttp.web.Response(body=await request.read())

    async with serving(handler) as address:
        first = asyncio.create_task(client.post(f"http://{address}/", {}, b"first", 5))
        await arrived.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        _, _, body = await client.post(f"http://{address}/", {}, b"second", 5)
    assert body == b"second"
