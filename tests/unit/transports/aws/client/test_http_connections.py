"""Connections of our own client: when one is used again, and when never."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from contextlib import asynccontextmanager, suppress

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.errors import AwsConfigurationError, AwsTransientError
from sourceflow.testing.clock import settle
from sourceflow.transports.aws.client.http import AsyncioClient
from sourceflow.transports.aws.client.http import asyncio_client as module
from sourceflow.transports.aws.client.http.connection import Connection

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Reads requests and does with each what the test says; counts connections."""

    def __init__(self, play):
        self._play = play
        self.connections = 0
        self.requests = []
        self._writers = []

    async def __call__(self, reader, writer):
        self.connections += 1
        self._writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                body = await reader.readexactly(length)
                self.requests.append(body)
                await self._play(body, writer)

    async def aclose(self):
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


@asynccontextmanager
async def serving(play, **options):
    server = Server(play)
    async with await asyncio.start_server(server, "127.0.0.1", 0, **options) as listening:
        try:
            yield server, listening.sockets[0].getsockname()[1]
        finally:
            await server.aclose()


async def answer(body, writer):
    writer.write(OK)


@pytest.fixture
async def client():
    async with AsyncioClient() as client:
        yield client


async def test_requests_one_after_the_other_share_a_connection_and_those_at_once_do_not(client):
    async with serving(answer) as (server, port):
        url = f"http://127.0.0.1:{port}/"
        for _ in range(5):
            await client.post(url, {}, b"x", 5)
        assert server.connections == 1
        await asyncio.gather(*(client.post(url, {}, b"x", 5) for _ in range(4)))
        assert server.connections == 4


async def test_a_connection_that_the_server_closed_is_replaced_before_anything_is_sent(client):
    async def answer_once(body, writer):
        writer.write(OK)
        writer.close()

    async with serving(answer_once) as (server, port):
        for at in range(3):
            await client.post(f"http://127.0.0.1:{port}/", {}, b"%d" % at, 5)
            await asyncio.sleep(0.02)  # the end arrives
    assert server.requests == [b"0", b"1", b"2"]
    assert server.connections == 3


async def test_a_request_that_was_sent_is_never_sent_again(client):
    async def swallow(body, writer):
        if body == b"second":
            writer.close()
        else:
            writer.write(OK)

    async with serving(swallow) as (server, port):
        url = f"http://127.0.0.1:{port}/"
        await client.post(url, {}, b"first", 5)
        with pytest.raises(AwsTransientError) as caught:
            await client.post(url, {}, b"second", 5)
    assert caught.value.code == "ConnectionFailed"
    assert server.requests == [b"first", b"second"]


async def test_an_idle_connection_is_not_used_for_ever(client, monkeypatch):
    async with serving(answer) as (server, port):
        url = f"http://127.0.0.1:{port}/"
        await client.post(url, {}, b"x", 5)
        monkeypatch.setattr(module, "MAX_IDLE", -1.0)
        await client.post(url, {}, b"x", 5)
    assert server.connections == 2


async def test_a_late_answer_is_not_taken_for_the_next(client):
    late = asyncio.Event()

    async def slow_first(body, writer):
        if body == b"slow":
            await late.wait()
        writer.write(OK.replace(b"ok", body[:2]))

    async with serving(slow_first) as (server, port):
        url = f"http://127.0.0.1:{port}/"
        with pytest.raises(AwsTransientError) as caught:
            await client.post(url, {}, b"slow", 0.05)
        assert caught.value.code == "Timeout"
        late.set()
        _, _, body = await client.post(url, {}, b"next", 5)
    assert body == b"ne"
    assert server.connections == 2


async def test_what_comes_unasked_closes_the_connection(client):
    async def twice(body, writer):
        writer.write(OK)
        await asyncio.sleep(0.01)
        writer.write(OK.replace(b"ok", b"no"))

    async with serving(twice) as (server, port):
        url = f"http://127.0.0.1:{port}/"
        await client.post(url, {}, b"x", 5)
        await asyncio.sleep(0.05)
        _, _, body = await client.post(url, {}, b"x", 5)
    assert (body, server.connections) == (b"ok", 2)


async def test_an_answer_before_the_request_has_left_ends_the_connection(client):
    answered, ended = asyncio.Event(), asyncio.Event()

    async def refuse(reader, writer):
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await answered.wait()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        status, _, _ = await client.post(f"http://127.0.0.1:{port}/", {}, b"x" * 2**24, 5)
        answered.set()
        await ended.wait()
    assert status == 413
    assert not any(client._idle.values())


async def test_something_that_is_no_http_is_a_passing_fault(client):
    async def babble(body, writer):
        writer.write(b"220 mail.test ESMTP\r\n\r\n")

    async with serving(babble) as (_, port):
        with pytest.raises(AwsTransientError, match="no whole answer came") as caught:
            await client.post(f"http://127.0.0.1:{port}/", {}, b"x", 5)
    assert caught.value.code == "ConnectionFailed"


async def test_waiting_for_a_connection_counts():
    never = asyncio.Event()

    async def wait(body, writer):
        await never.wait()

    async with AsyncioClient(connections=1) as client, serving(wait) as (_, port):
        url = f"http://127.0.0.1:{port}/"
        first = asyncio.create_task(client.post(url, {}, b"x", 5))
        await asyncio.sleep(0.02)
        with pytest.raises(AwsTransientError, match="no connection became free") as caught:
            await client.post(url, {}, b"x", 0.05)
        assert caught.value.code == "Timeout"
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first


async def test_who_is_cancelled_leaves_the_place_to_the_next():
    hold = asyncio.Event()

    async def wait(body, writer):
        await hold.wait()
        writer.write(OK)

    async with AsyncioClient(connections=1) as client, serving(wait) as (_, port):
        url = f"http://127.0.0.1:{port}/"
        first = asyncio.create_task(client.post(url, {}, b"1", 5))
        second = asyncio.create_task(client.post(url, {}, b"2", 5))
        await asyncio.sleep(0.02)
        first.cancel()
        hold.set()
        assert (await second)[0] == 200


class Pipe:
    """Stands for a transport: keeps what is written."""

    def __init__(self):
        self.aborted = False

    def write(self, data):
        pass

    def get_write_buffer_size(self):
        return 0

    def is_closing(self):
        return self.aborted

    def abort(self):
        self.aborted = True


class Wire:
    """A connection whose server answers each request with its number, also when nobody waits."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.connection = Connection(self.loop)
        self.pipe = Pipe()
        self.connection.connection_made(self.pipe)
        self.number = 0
        self.coming = b""
        self.asking = None

    def ask(self):
        if self.connection.is_usable and self.asking is None:
            self.number += 1
            ends = self.loop.time() + 60
            self.asking = asyncio.create_task(self.connection.exchange(b"", ends=ends, timeout=60))
            text = b"%d" % self.number
            self.coming += b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)

    def bring(self, length):
        if not self.pipe.aborted and self.coming:
            piece, self.coming = self.coming[:length], self.coming[length:]
            self.connection.data_received(piece)

    def cancel(self, length):
        if self.asking is not None:
            self.asking.cancel()

    def expire(self, length):
        if self.connection._waiter is not None:
            self.connection._expire(60)

    def bring_unasked(self, length):
        if self.asking is None and self.connection.is_usable:
            self.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            assert not self.connection.is_usable

    def end(self, length):
        self.connection.eof_received()

    async def check(self):
        await settle(3)
        if self.asking is None or not self.asking.done():
            return
        asked, self.asking = self.asking, None
        if asked.cancelled() or asked.exception() is not None:
            assert self.pipe.aborted or not self.coming, "an answer could come late"
        else:
            assert asked.result().body == b"%d" % self.number

    async def close(self):
        self.cancel(0)
        await self.check()
        self.connection.connection_lost(None)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [Wire.bring, Wire.bring, Wire.cancel, Wire.expire, Wire.bring_unasked, Wire.end]
        ),
        st.integers(1, 60),
        st.booleans(),
    ),
    max_size=25,
)


@given(STEPS)
def test_whatever_happens_an_answer_is_only_ever_that_to_the_request_under_way(steps):
    async def play():
        wire = Wire()
        for step, length, asks in steps:
            if asks:
                wire.ask()
                await settle(3)
            step(wire, length)
            await wire.check()
        await wire.close()

    asyncio.run(play())


async def test_a_closed_client_has_no_connection_left():
    async with serving(answer) as (_, port):
        client = AsyncioClient()
        await asyncio.gather(
            *(client.post(f"http://127.0.0.1:{port}/", {}, b"x", 5) for _ in range(3))
        )
        assert len(client._open) == 3
        await client.aclose()
        assert not client._open


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb"])
async def test_a_header_that_would_begin_another_is_refused(client, value):
    with pytest.raises(ValueError, match="line break"):
        await client.post("http://127.0.0.1:9/", {"X-Ask": value}, b"x", 5)


class TestTls:
    """Certificates of a chain made here: a root, who signs for it, and a server."""

    @pytest.fixture
    def root(self):
        return trustme.CA()

    @pytest.fixture
    def trusted(self, root, tmp_path, monkeypatch):
        bundle = tmp_path / "roots.pem"
        root.cert_pem.write_to_path(bundle)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))

    @staticmethod
    def server_of(certificate, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for name, value in options.items():
            setattr(context, name, value)
        certificate.configure_cert(context)
        return context

    @pytest.mark.usefixtures("trusted")
    async def test_a_chain_that_leads_to_a_trusted_root_is_trusted(self, root, client):
        certificate = root.create_child_ca().issue_cert("localhost")
        async with serving(answer, ssl=self.server_of(certificate)) as (server, port):
            for _ in range(3):
                status, _, body = await client.post(f"https://localhost:{port}/", {}, b"x", 5)
        assert (status, body, server.connections) == (200, b"ok", 1)

    @pytest.mark.usefixtures("trusted")
    async def test_a_large_body_goes_through(self, root, client):
        certificate = root.issue_cert("localhost")
        async with serving(answer, ssl=self.server_of(certificate), limit=2**22) as (server, port):
            await client.post(f"https://localhost:{port}/", {}, b"x" * 2**20, 5)
        assert [len(body) for body in server.requests] == [2**20]

    @pytest.mark.usefixtures("trusted")
    @pytest.mark.parametrize(
        "problem", ["another root", "another host", "expired", "not yet valid"]
    )
    async def test_any_other_certificate_is_a_matter_of_configuration(self, root, client, problem):
        day = dt.timedelta(days=1)
        now = dt.datetime.now(dt.UTC)
        certificate = {
            "another root": lambda: trustme.CA().issue_cert("localhost"),
            "another host": lambda: root.issue_cert("sqs.test"),
            "expired": lambda: root.issue_cert("localhost", not_after=now - day),
            "not yet valid": lambda: root.issue_cert(
                "localhost", not_before=now + day, not_after=now + 2 * day
            ),
        }[problem]()
        async with serving(answer, ssl=self.server_of(certificate)) as (server, port):
            with pytest.raises(AwsConfigurationError, match="localhost") as caught:
                await client.post(f"https://localhost:{port}/", {}, b"secret", 5)
        assert caught.value.code == "UntrustedCertificate"
        assert server.requests == []

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
    @pytest.mark.usefixtures("trusted")
    async def test_old_versions_are_refused(self, root, client):
        context = self.server_of(
            root.issue_cert("localhost"), maximum_version=ssl.TLSVersion.TLSv1_1
        )
        async with serving(answer, ssl=context) as (_, port):
            with pytest.raises(AwsTransientError) as caught:
                await client.post(f"https://localhost:{port}/", {}, b"x", 5)
        assert caught.value.code == "ConnectionFailed"

    @pytest.mark.usefixtures("trusted")
    async def test_a_server_without_tls_is_a_passing_fault(self, client):
        async with serving(answer) as (server, port):
            with pytest.raises(AwsTransientError) as caught:
                await client.post(f"https://localhost:{port}/", {}, b"secret", 1)
        assert caught.value.code in {"ConnectionFailed", "Timeout"}
        assert server.requests == []

    async def test_a_bundle_that_cannot_be_read_is_named(self, client, monkeypatch, tmp_path):
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
        with pytest.raises(AwsConfigurationError, match=r"AWS_CA_BUNDLE names .*none\.pem"):
            await client.post("https://localhost:9/", {}, b"x", 5)
