"""The transport's parts on a LocalAws without sockets: the clock is ours, and so are the faults."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qs

import pytest

from sourceflow.bus.changes import Destination
from sourceflow.bus.ports import Outgoing
from sourceflow.messages import Codec, Envelope, Registry, new_message_id
from sourceflow.resilience.task_scope import TaskScope
from sourceflow.testing import LocalAws
from sourceflow.testing.clock import ManualClock
from sourceflow.transports.aws.client import Endpoint, SnsClient, SqsClient

REGION = "us-east-1"


@dataclass
class Wire:
    """Passes requests on to LocalAws, and does to the next ones what a test says.

    Attributes:
        aws: Where they go.
        calls: The operations that were called, each with its request.
        polls: Receives under way.
        most_at_once: The most of them that there ever were.
    """

    aws: LocalAws
    calls: list[tuple[str, dict]] = field(default_factory=list)
    polls: int = 0
    most_at_once: int = 0
    _plans: dict[str, deque] = field(default_factory=dict)

    def next(self, operation, *actions):
        """Say what becomes of the next calls of an operation.

        An action is an error to raise instead of the call, ``lost`` to make the call and lose its
        answer, or a pair of status and body to answer with.
        """
        self._plans.setdefault(operation, deque()).extend(actions)

    def forget(self, operation):
        """Let the next calls of an operation pass again."""
        self._plans.pop(operation, None)

    def count(self, operation):
        return sum(name == operation for name, _ in self.calls)

    def requests(self, operation):
        return [request for name, request in self.calls if name == operation]

    async def post(self, url, headers, body, timeout):  # noqa: ASYNC109 - as HttpClient has it
        operation, request = _read(headers, body)
        self.calls.append((operation, request))
        if operation != "ReceiveMessage":
            return await self._pass(operation, url, headers, body, timeout)
        self.polls += 1
        self.most_at_once = max(self.most_at_once, self.polls)
        try:
            return await self._pass(operation, url, headers, body, timeout)
        finally:
            self.polls -= 1

    async def _pass(self, operation, url, headers, body, timeout):  # noqa: ASYNC109 - as HttpClient has it
        plan = self._plans.get(operation)
        action = plan.popleft() if plan else None
        if isinstance(action, Exception):
            raise action
        if isinstance(action, tuple):
            status, answer = action
            return status, {}, json.dumps(answer).encode()
        answer = await self.aws.post(url, headers, body, timeout)
        if isinstance(action, Lost):
            raise action.error
        return answer

    async def aclose(self):
        await self.aws.aclose()


@dataclass
class Lost:
    """The call takes effect, and its answer never arrives."""

    error: Exception


def _read(headers, body):
    target = {name.lower(): value for name, value in headers.items()}.get("x-amz-target")
    if target is not None:
        return target.partition(".")[2], json.loads(body)
    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    return form["Action"], form


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def aws(clock):
    return LocalAws(clock=clock, region=REGION)


@pytest.fixture
def wire(aws):
    return Wire(aws)


@pytest.fixture
def lost():
    return Lost


@pytest.fixture
def sqs(aws, wire, clock):
    return SqsClient(
        endpoint=Endpoint(service="sqs", region=REGION, url=aws.endpoint_url),
        credentials=aws.static_credentials(),
        http=wire,
        clock=clock,
    )


@pytest.fixture
def sns(aws, wire, clock):
    return SnsClient(
        endpoint=Endpoint(service="sns", region=REGION, url=aws.endpoint_url),
        credentials=aws.static_credentials(),
        http=wire,
        clock=clock,
    )


@pytest.fixture
async def tasks():
    async with TaskScope() as scope:
        yield scope


@pytest.fixture
def make_queue(sqs):
    async def make(name="orders.fifo", **attributes):
        if name.endswith(".fifo"):
            attributes = {"FifoQueue": "true", **attributes}
        return await sqs.create_queue(name, attributes=attributes)

    return make


@pytest.fixture
def receive_all(sqs):
    """Receive what is visible now and hide it for a while."""

    async def receive(url, *, hidden=timedelta(seconds=30)):
        found = []
        while True:
            messages = await sqs.receive_message(url, visibility_timeout=hidden)
            if not messages:
                return found
            found += messages

    return receive


@pytest.fixture
def outgoing_of(clock):
    """Make a message ready to leave, as the bus does."""

    def make(message, destination, *, message_id=None):
        message_id = message_id or new_message_id()
        envelope = Envelope(
            message=message,
            id=message_id,
            source="/tests",
            time=clock.now(),
            correlation_id=message_id,
        )
        codec = Codec(Registry([type(message)]))
        kind = "topic" if destination.endswith("events") else "queue"
        return Outgoing(envelope, Destination(kind, destination), codec.encode(envelope))

    return make
