"""Every request gets its own answer or none, whatever is cancelled, timed out, cut into pieces or closed."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sourceflow.errors import AwsTransientError
from sourceflow.transports.aws.client import DirectClient
from sourceflow.transports.aws.client.http.connection import Connection
from sourceflow.transports.aws.client.http.pool import Pool

LIMIT = 3
ORIGINS = ("http://a.test/", "http://b.test/")
REQUEST = re.compile(rb"POST .*?\r\nContent-Length: (\d+)\r\n\r\n", re.DOTALL)


def sized(body, extra=b""):
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (extra, len(body), body)


def chunked(body):
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunks


FRAMINGS = {
    "sized": sized,
    "chunked": chunked,
    "after an interim answer": lambda body: b"HTTP/1.1 100 Continue\r\n\r\n" + sized(body),
    "with another after it": lambda body: sized(body) + sized(b"surplus"),
    "closing": lambda body: sized(body, b"Connection: close\r\n"),
    "broken": lambda body: b"no HTTP\r\n\r\n" + sized(body),
}


class Server(asyncio.Transport):
    """The other end of a connection, in memory: answers each request with its own body.

    It goes on delivering after the client has closed, until it is told: no socket is that late, and
    even then nothing may be mixed up.
    """

    def __init__(self, connection):
        super().__init__()
        self._connection = connection
        self._received = b""
        self._answers = b""
        self._is_closing = False
        self.is_lost = False
        self.framing = sized

    def write(self, data):
        assert not self._is_closing
        self._received += data
        while found := REQUEST.match(self._received):
            end = found.end() + int(found[1])
            if len(self._received) < end:
                break
            self._answers += self.framing(self._received[found.end() : end])
            self._received = self._received[end:]

    def abort(self):
        self._is_closing = True

    def is_closing(self):
        return self._is_closing

    def deliver(self, size=None):
        piece, self._answers = self._answers[:size], self._answers[size:] if size else b""
        while piece:
            room = self._connection.get_buffer(-1)
            count = min(len(piece), len(room))
            room[:count] = piece[:count]
            self._connection.buffer_updated(count)
            piece = piece[count:]

    def time_out(self):
        self._connection._on_alarm()

    def lose(self):
        self.is_lost = self._is_closing = True
        self._connection.connection_lost(None)


class Exchanges(RuleBasedStateMachine):
    """Random posts, cancellations, time-outs, deliveries and closings, on one client.

    Slow: 150 runs of 50 steps, as races are rare.
    """

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.servers = []
        self.posts = {}
        self.count = 0
        self.answered = 0
        self.client = DirectClient(connections=LIMIT)
        self.run(self.open())

    def run(self, work):
        return self.runner.run(work)

    async def open(self):
        self.client._pool = Pool(self.connect, connections=LIMIT)

    async def connect(self, origin, deadline):
        connection = Connection(asyncio.get_running_loop())
        server = Server(connection)
        connection.connection_made(server)
        self.servers.append(server)
        try:
            await asyncio.sleep(0)
        except BaseException:  # as Connection.open does
            connection.abort()
            raise
        return connection

    async def settle(self):
        for _ in range(5):
            await asyncio.sleep(0)

    @rule(url=st.sampled_from(ORIGINS), settles=st.booleans())
    def post(self, url, settles):
        self.count += 1
        body = b"%d" % self.count

        async def begin():
            self.posts[body] = asyncio.create_task(self.client.post(url, {}, body, 60))
            if settles:
                await self.settle()

        self.run(begin())

    @rule(data=st.data(), settles=st.booleans())
    def cancel(self, data, settles):
        async def cancel(task):
            task.cancel()
            if settles:
                await self.settle()

        if self.posts:
            self.run(cancel(self.posts[data.draw(st.sampled_from(sorted(self.posts)))]))

    @rule(data=st.data())
    def answer_otherwise(self, data):
        if self.living:
            framing = data.draw(st.sampled_from(sorted(FRAMINGS)))
            data.draw(st.sampled_from(self.living)).framing = FRAMINGS[framing]

    @rule(data=st.data(), size=st.none() | st.integers(1, 60), settles=st.booleans())
    def deliver(self, data, size, settles):
        async def deliver(server):
            server.deliver(size)
            if settles:
                await self.settle()

        if self.living:
            self.run(deliver(data.draw(st.sampled_from(self.living))))

    @rule(data=st.data(), what=st.sampled_from(["time_out", "lose"]))
    def break_off(self, data, what):
        async def break_off(server):
            getattr(server, what)()

        if self.living:
            self.run(break_off(data.draw(st.sampled_from(self.living))))

    @property
    def living(self):
        return [server for server in self.servers if not server.is_lost]

    @invariant()
    def whoever_is_answered_is_answered_with_its_own(self):
        for body, task in list(self.posts.items()):
            if not task.done():
                continue
            del self.posts[body]
            if task.cancelled():
                continue
            if task.exception() is not None:
                assert isinstance(task.exception(), AwsTransientError)
                continue
            assert task.result()[2] == body
            self.answered += 1

    @invariant()
    def the_limit_is_kept(self):
        assert sum(not server.is_closing() for server in self.living) <= LIMIT

    def teardown(self):
        async def end():
            for _ in range(self.count + 1):  # whoever waits comes to its turn: nobody hangs
                for server in self.living:
                    server.deliver()
                    if server.is_closing():
                        server.lose()
                await self.settle()
            assert all(task.done() for task in self.posts.values())
            self.whoever_is_answered_is_answered_with_its_own()
            assert self.client._pool._taken == 0
            for server in self.living:
                server.lose()
            await self.client.aclose()

        self.run(end())
        self.runner.close()


Exchanges.TestCase.pytestmark = [pytest.mark.slow]
Exchanges.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestNoMixedAnswers = Exchanges.TestCase
