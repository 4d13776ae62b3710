"""Our own HTTP/1.1: when connections are kept, closed and replaced."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from sourceflow.errors import AwsConfigurationError, AwsTransientError
from sourceflow.transports.aws.client import DirectClient
from sourceflow.transports.aws.client.http import connection as connections
from sourceflow.transports.aws.client.http import pool as pools
from sourceflow.transports.aws.client.http.pool import Pool

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return await reader.readexactly(length)


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nobody tells when the client's own state changes
            await asyncio.sleep(0)


class Script:
    """A server that says the same to every request, and counts connections and requests."""

    def __init__(self, *answers):
        self.answers = answers
        self.connections = 0
        self.requests = []
        self.ended = asyncio.Semaphore(0)

    async def __call__(self, reader, writer):
        self.connections += 1
        try:
            while True:
                self.requests.append(await read_request(reader))
                for part in self.answers:
                    writer.write(part)
                    await writer.drain()
        finally:
            self.ended.release()


@pytest.fixture
async def client():
    async with DirectClient() as client:
        yield client


async def post_twice(client, address):
    for _ in range(2):
        assert await client.post(f"http://{address}/", {}, b"x", 5) == (
            200,
            {"content-length": "2"},
            b"ok",
        )


async def test_a_connection_is_kept_after_an_answer(client, talking):
    script = Script(OK)
    async with talking(script) as address:
        await post_twice(client, address)
    assert script.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
        OK + b"x",
    ],
)
async def test_a_connection_is_not_used_again_after(client, talking, answer):
    script = Script(answer)
    async with talking(script) as address:
        for _ in range(2):
            status, _, body = await client.post(f"http://{address}/", {}, b"x", 5)
            assert (status, body) == (200, b"ok")
    assert script.connections == 2


async def test_an_answer_may_end_with_the_connection(client, talking):
    async def talk(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        writer.write_eof()
        await reader.read()

    async with talking(talk) as address:
        _, _, body = await client.post(f"http://{address}/", {}, b"x", 5)
    assert body == b"all of it"


async def test_an_interim_answer_is_passed_over(client, talking):
    async with talking(Script(b"HTTP/1.1 100 Continue\r\n\r\n", OK)) as address:
        await post_twice(client, address)


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"],
)
async def test_what_is_no_answer_is_a_passing_fault(client, talking, answer):
    async with talking(Script(answer)) as address:
        with pytest.raises(AwsTransientError) as caught:
            await client.post(f"http://{address}/", {}, b"x", 5)
    assert caught.value.code == "ConnectionFailed"


async def test_a_request_whose_connection_breaks_is_not_sent_again(client, talking):
    asked = []

    async def talk(reader, writer):
        asked.append(await read_request(reader))
        if len(asked) == 1:
            writer.write(OK)
            asked.append(await read_request(reader))

    async with talking(talk) as address:
        await client.post(f"http://{address}/", {}, b"first", 5)
        with pytest.raises(AwsTransientError, match="before it answered") as caught:
            await client.post(f"http://{address}/", {}, b"second", 5)
    assert caught.value.code == "ConnectionFailed"
    assert asked == [b"first", b"second"]


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(client, talking):
    ended = asyncio.Event()

    async def talk(reader, writer):
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        writer.transport.abort()
        ended.set()

    async with talking(talk) as address:
        await client.post(f"http://{address}/", {}, b"x", 5)
        await ended.wait()
        (resting,) = client._pool._open
        await resting.lost
        await client.post(f"http://{address}/", {}, b"x", 5)


async def test_a_close_that_the_blocked_loop_has_not_seen_yet_is_seen_before_writing(
    client, monkeypatch
):
    monkeypatch.setattr(connections, "_TRUSTED_REST", 0.0)
    closed = threading.Event()
    asked = []

    def serve(listening):  # in a thread: the loop is blocked while it closes
        for _ in range(2):
            sock, _ = listening.accept()
            with sock:
                asked.append(sock.recv(1000)[-1:])
                sock.sendall(OK)
            closed.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        await client.post(url, {}, b"1", 5)
        closed.wait()  # without the loop: it learns nothing
        await client.post(url, {}, b"2", 5)
        thread.join()
    assert asked == [b"1", b"2"]


async def test_a_connection_that_nobody_needs_is_closed(client, talking, monkeypatch):
    monkeypatch.setattr(Pool.__init__, "__kwdefaults__", {"max_rest": 0.01})
    script = Script(OK)
    async with talking(script) as address:
        await client.post(f"http://{address}/", {}, b"x", 5)
        await asyncio.wait_for(script.ended.acquire(), 5)
        await client.post(f"http://{address}/", {}, b"x", 5)
    assert script.connections == 2
    assert pools.MAX_REST < 20


async def test_a_byte_that_nobody_waits_for_closes_the_connection(client, talking):
    stray = asyncio.Event()

    async def talk(reader, writer):
        await read_request(reader)
        writer.write(OK)
        await stray.wait()
        writer.write(OK)
        await reader.read()

    async with talking(talk) as address:
        await client.post(f"http://{address}/", {}, b"x", 5)
        (resting,) = client._pool._open
        stray.set()
        await asyncio.wait_for(resting.lost, 5)


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
async def test_a_request_that_was_given_up_leaves_no_answer_to_the_next(client, talking, how):
    """The late answer is sent as soon as the next request is there."""
    arrived, others = asyncio.Event(), []

    async def talk(reader, writer):
        body = await read_request(reader)
        others.append(writer)
        if body == b"first":
            arrived.set()
            await reader.read()
        for other in others:
            if not other.is_closing():
                other.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with talking(talk) as address:
        first = asyncio.create_task(
            client.post(f"http://{address}/", {}, b"first", 0.05 if how == "timed out" else 5)
        )
        await arrived.wait()
        if how == "cancelled":
            first.cancel()
        with pytest.raises((AwsTransientError, asyncio.CancelledError)):
            await first
        _, _, body = await client.post(f"http://{address}/", {}, b"second", 5)
    assert body == b"second"


async def test_a_large_body_waits_for_a_server_that_reads_slowly(client, talking):
    begin, size = asyncio.Event(), 2**24

    async def talk(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: %d\r\n" % size in head
        await begin.wait()
        await reader.readexactly(size)
        writer.write(OK)
        await reader.read()

    async with talking(talk) as address:
        post = asyncio.create_task(client.post(f"http://{address}/", {}, b"x" * size, 5))
        await until(lambda: client._pool and client._pool._open)
        (connection,) = client._pool._open
        await until(lambda: connection._is_paused)
        held = connection._transport.get_write_buffer_size()
        begin.set()
        assert (await post)[2] == b"ok"
    assert held <= 4 * connections.PIECE


async def test_an_answer_that_comes_before_the_request_is_written_is_returned(client, talking):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await reader.read(1)
        await asyncio.Event().wait()

    async with talking(refuse) as address:
        status, _, _ = await client.post(f"http://{address}/", {}, b"x" * 2**24, 5)
        assert status == 413
        await asyncio.sleep(0)
        assert (
            not client._pool._open
        )  # what was not written can never be: the connection is of no more use


async def test_waiting_for_a_connection_is_bounded_and_in_order(talking):
    go, order = asyncio.Event(), []

    async def talk(reader, writer):
        while True:
            order.append(await read_request(reader))
            await go.wait()
            writer.write(OK)

    async with talking(talk) as address, DirectClient(connections=1) as client:

        def post(body, timeout):
            return asyncio.create_task(client.post(f"http://{address}/", {}, body, timeout))

        holder = post(b"0", 5)
        await until(lambda: order)
        impatient = post(b"never", 0.01)
        waiting = [post(body, 5) for body in (b"1", b"2", b"3")]
        await until(lambda: len(client._pool._waiting) == 4)
        waiting.pop(1).cancel()
        with pytest.raises(AwsTransientError) as caught:
            await impatient
        go.set()
        await asyncio.gather(holder, *waiting)
    assert caught.value.code == "Timeout"
    assert order == [b"0", b"1", b"3"]


async def test_one_that_rests_makes_room_for_another_origin(talking):
    one, other = Script(OK), Script(OK)
    async with (
        talking(one) as here,
        talking(other) as there,
        DirectClient(connections=1) as client,
    ):
        await client.post(f"http://{here}/", {}, b"x", 5)
        await client.post(f"http://{there}/", {}, b"x", 5)
        await asyncio.wait_for(one.ended.acquire(), 5)
    assert (one.connections, other.connections) == (1, 1)


async def test_closing_fails_what_is_under_way_and_what_waits(talking):
    async def talk(reader, writer):
        await reader.read()

    async with talking(talk) as address:
        client = DirectClient(connections=1)
        posts = [
            asyncio.create_task(client.post(f"http://{address}/", {}, b"x", 5)) for _ in range(3)
        ]
        await until(lambda: client._pool and client._pool._open)
        await client.aclose()
        for error in await asyncio.gather(*posts, return_exceptions=True):
            assert isinstance(error, AwsTransientError)
            assert error.code == "ConnectionFailed"


async def test_a_client_that_is_closed_while_it_connects_keeps_no_connection(talking):
    async def talk(reader, writer):
        await reader.read()

    async with talking(talk) as address:
        client = DirectClient()
        post = asyncio.create_task(client.post(f"http://{address}/", {}, b"x", 5))
        await until(lambda: client._pool is not None)
        pool = client._pool
        await client.aclose()
        with pytest.raises(AwsTransientError, match="the client was closed"):
            await post
        assert not any(pool._resting.values())


async def test_no_time_left_sends_nothing(client, talking):
    script = Script(OK)
    async with talking(script) as address:
        await client.post(f"http://{address}/", {}, b"x", 5)
        with pytest.raises(AwsTransientError) as caught:
            await client.post(f"http://{address}/", {}, b"late", 0)
    assert caught.value.code == "Timeout"
    assert script.requests == [b"x"]


def test_uvloop_carries_requests_too(authorities):
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    async def scenario():
        script = Script(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        )

        async def talk(reader, writer):
            try:
                await script(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                writer.transport.abort()

        async with (
            await asyncio.start_server(talk, "127.0.0.1", 0, ssl=authorities.serving()) as secure,
            await asyncio.start_server(talk, "127.0.0.1", 0) as plain,
            DirectClient(tls=authorities.trusted) as client,
        ):
            for scheme, server in (("https", secure), ("http", plain)):
                url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
                for body in (b"x", b"y" * 2**21, b"z"):
                    assert (await client.post(url, {}, body, 5))[2] == b"ok"
            secure_url = f"https://127.0.0.1:{secure.sockets[0].getsockname()[1]}/"
            async with DirectClient() as stranger:
                with pytest.raises(AwsConfigurationError):
                    await stranger.post(secure_url, {}, b"x", 5)
        return script

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        script = runner.run(scenario())
    assert script.connections == 2
    assert [len(body) for body in script.requests] == [1, 2**21, 1] * 2
