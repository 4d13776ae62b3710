"""A clock that tests move and an HTTP client that answers what tests say."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from sourceflow.resilience import Backoff
from sourceflow.transports.aws.client import (
    Endpoint,
    KmsClient,
    RetryPolicy,
    SnsClient,
    SqsClient,
    StaticCredentials,
)


class ManualClock:
    """Stands still but for sleeps, which end at once and are written down."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
        self.seconds = 1000.0
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds
        self.time += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.pass_by(seconds)


@dataclass
class Sent:
    url: str
    headers: dict[str, str]
    body: bytes
    timeout: float

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class ScriptedHttp:
    """Answers in the order of its script; the last answer stands for all that follow."""

    script: list = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    def then(self, body=b"{}", *, status=200, headers=None):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode() if not isinstance(body, str) else body.encode()
        self.script.append((status, headers or {}, body))
        return self

    def then_fail(self, code, *, status=400, message="", headers=None):
        return self.then(
            {"__type": f"com.amazonaws.sqs#{code}", "message": message},
            status=status,
            headers=headers,
        )

    def then_raise(self, error):
        self.script.append(error)
        return self

    async def post(self, url, headers, body, timeout):  # noqa: ASYNC109 - as HttpClient has it
        self.sent.append(Sent(url, dict(headers), body, timeout))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def aclose(self):
        pass


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def http():
    return ScriptedHttp()


@pytest.fixture
def policy():
    """The standard policy without chance: every wait is as long as it can be."""
    return RetryPolicy(
        throttles=Backoff(base=timedelta(seconds=1), random=lambda: 1.0),
        transients=Backoff(base=timedelta(milliseconds=50), random=lambda: 1.0),
    )


@pytest.fixture
def make_client(http, clock, policy):
    def make(kind, service, **options):
        options = {"credentials": StaticCredentials("AKID", "secret"), "retry": policy, **options}
        endpoint = Endpoint(service=service, region="eu-west-1", url=f"https://{service}.test")
        return kind(endpoint=endpoint, http=http, clock=clock, **options)

    return make


@pytest.fixture
def make_sqs(make_client):
    return lambda **options: make_client(SqsClient, "sqs", **options)


@pytest.fixture
def sqs(make_sqs):
    return make_sqs()


@pytest.fixture
def sns(make_client):
    return make_client(SnsClient, "sns")


@pytest.fixture
def kms(make_client):
    return make_client(KmsClient, "kms")
