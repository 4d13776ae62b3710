"""The two AWS's of the suite, LocalAws and LocalStack, behind one face.

The tests state AWS's rules. Where LocalStack is laxer than AWS, a test says so by ``backend.lax``
(where it is stricter, by ``backend.strict``): it is then expected to fail on LocalStack, and that is
reported, with the reason and AWS's page.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sourceflow.testing import LocalAws
from sourceflow.testing.clock import ManualClock

REGION = "us-east-1"
#: Seconds that a message may take to show, in real time.
SHOWS_WITHIN = 8.0
#: What LocalStack can be made to wait for; longer cases run on LocalAws alone.
LONGEST_REAL_WAIT = timedelta(seconds=3)


class LocalAwsServer:
    """LocalAws in a thread with a loop of its own, as botocore blocks; its clock is ours."""

    name = "LocalAws"

    def __init__(self) -> None:
        self.clock = ManualClock()
        self._started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._run, name="local-aws")
        self._thread.start()
        self.url, self._loop, self._stopped = self._started.result(timeout=10)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        stopped = asyncio.Event()
        async with LocalAws(port=0, clock=self.clock) as aws:
            self._started.set_result((aws.endpoint_url, asyncio.get_running_loop(), stopped))
            await stopped.wait()

    def now(self) -> datetime:
        return self.clock.now()

    def advance(self, by: timedelta) -> None:
        asyncio.run_coroutine_threadsafe(self.clock.advance(by), self._loop).result(timeout=30)

    def await_poller(self) -> None:
        """Wait until a long poll waits for the clock."""
        deadline = time.monotonic() + SHOWS_WITHIN
        while not self.clock.sleepers and time.monotonic() < deadline:
            time.sleep(0.005)

    def settle(self) -> None:
        """Deliveries are done when the publish is answered."""

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(timeout=10)


class LocalStackServer:
    """LocalStack: its time is the real one."""

    name = "LocalStack"

    def __init__(self, url: str) -> None:
        self.url = url

    def now(self) -> datetime:
        return datetime.now(UTC)

    def advance(self, by: timedelta) -> None:
        assert by <= LONGEST_REAL_WAIT, "take the fixture local_aws: LocalStack would really wait"
        time.sleep(by.total_seconds())

    def await_poller(self) -> None:
        """Nothing says when a poll has reached it; this is ample."""
        time.sleep(0.3)

    def settle(self) -> None:
        """Deliveries of SNS go through threads."""
        time.sleep(0.3)

    def close(self) -> None:
        """It is not ours to end."""


@dataclass(frozen=True)
class Queue:
    """A queue and the calls that tests make of it."""

    backend: Backend
    name: str
    url: str
    arn: str

    def send(self, body="x", **parameters):
        return self.backend.sqs.send_message(QueueUrl=self.url, MessageBody=body, **parameters)

    def send_batch(self, *entries):
        return self.backend.sqs.send_message_batch(QueueUrl=self.url, Entries=list(entries))

    def receive(self, limit=10, **parameters):
        """Receive once, and at once unless told to wait."""
        asked = {
            "WaitTimeSeconds": 0,
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
            **parameters,
        }
        answer = self.backend.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=limit, **asked
        )
        return answer.get("Messages", [])

    def take(self, count=1, **parameters):
        """Receive until so many have come; messages may take a moment to show."""
        taken = []
        deadline = time.monotonic() + SHOWS_WITHIN
        while len(taken) < count and time.monotonic() < deadline:
            came = self.receive(count - len(taken), **parameters)
            taken += came
            if not came:
                time.sleep(0.02)
        assert len(taken) == count, f"{len(taken)} of {count} messages came to {self.name}"
        return taken

    def take_one(self, **parameters):
        return self.take(1, **parameters)[0]

    def bodies(self, count, **parameters):
        return [message["Body"] for message in self.take(count, **parameters)]

    def is_empty(self):
        """Nothing can be received, also when deliveries that are under way have come."""
        self.backend.settle()
        return not self.receive(VisibilityTimeout=0)

    def delete(self, message):
        self.backend.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def hide(self, message, seconds):
        self.backend.sqs.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds
        )

    def attributes(self, *names):
        answer = self.backend.sqs.get_queue_attributes(
            QueueUrl=self.url, AttributeNames=list(names or ["All"])
        )
        return answer.get("Attributes", {})

    def set(self, **attributes):
        self.backend.sqs.set_queue_attributes(QueueUrl=self.url, Attributes=attributes)

    def counts(self):
        """How many are visible, in flight, delayed."""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        found = self.attributes(*names)
        return tuple(int(found[name]) for name in names)

    def allow(self, *topics):
        """Let these topics send to it, as AWS asks for."""
        self.set(
            Policy=policy(
                self,
                Principal={"Service": "sns.amazonaws.com"},
                Condition={"ArnEquals": {"aws:SourceArn": [topic.arn for topic in topics]}},
            )
        )


@dataclass(frozen=True)
class Topic:
    """A topic and the calls that tests make of it."""

    backend: Backend
    name: str
    arn: str

    def set(self, name, value):
        self.backend.sns.set_topic_attributes(
            TopicArn=self.arn, AttributeName=name, AttributeValue=value
        )

    def tags(self):
        answer = self.backend.sns.list_tags_for_resource(ResourceArn=self.arn)
        return {tag["Key"]: tag["Value"] for tag in answer["Tags"]}

    def subscriptions(self):
        answer = self.backend.sns.list_subscriptions_by_topic(TopicArn=self.arn)
        return answer["Subscriptions"]

    def publish(self, body="x", **parameters):
        return self.backend.sns.publish(TopicArn=self.arn, Message=body, **parameters)

    def publish_batch(self, *entries):
        return self.backend.sns.publish_batch(
            TopicArn=self.arn, PublishBatchRequestEntries=list(entries)
        )

    def subscribe(self, queue, **attributes):
        """Subscribe a queue, whose policy allows it afterwards; returns the subscription's ARN."""
        queue.allow(self)
        return self.subscribe_only(queue, **attributes)

    def subscribe_only(self, queue, **attributes):
        answer = self.backend.sns.subscribe(
            TopicArn=self.arn,
            Protocol="sqs",
            Endpoint=queue.arn,
            Attributes=attributes,
            ReturnSubscriptionArn=True,
        )
        return answer["SubscriptionArn"]


def policy(queue, **statement):
    """Return a queue policy of one statement."""
    full = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue.arn, **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": [full]})


class Backend:
    """One AWS: botocore's clients, its clock, and what a test makes of it."""

    def __init__(self, server, session) -> None:
        self._server = server
        self._session = session
        self._node = None
        self._queues: dict[str, Queue] = {}
        self._topics: list[Topic] = []
        self._keys: list[str] = []
        self._pool = ThreadPoolExecutor(4)
        self.url = server.url
        self.sqs, self.sns, self.kms, self.sts = map(self.client, ("sqs", "sns", "kms", "sts"))

    @property
    def is_local_aws(self) -> bool:
        return isinstance(self._server, LocalAwsServer)

    def client(self, service, *, key="test", secret="test", **options):
        config = Config(
            retries={"total_max_attempts": 1}, read_timeout=30, max_pool_connections=20, **options
        )
        return self._session.create_client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=config,
        )

    def now(self):
        return self._server.now()

    def advance(self, by):
        """Let time pass: LocalAws moves its clock, LocalStack waits."""
        self._server.advance(by)

    def settle(self):
        self._server.settle()

    def lax(self, why, *, rule):
        """Say that LocalStack does not keep this rule of AWS: there the test has to fail.

        Args:
            why: What LocalStack does instead.
            rule: The page of AWS's documentation that has the rule.
        """
        self._expect_failure(
            f"is laxer than AWS: {why}", rule, AssertionError, pytest.fail.Exception
        )

    def strict(self, why, *, rule):
        """Say that LocalStack refuses what AWS takes: there the test has to fail.

        Args:
            why: What LocalStack does instead.
            rule: The page of AWS's documentation that has the rule.
        """
        self._expect_failure(f"is stricter than AWS: {why}", rule, ClientError)

    def _expect_failure(self, what, rule, *kinds):
        if not self.is_local_aws:
            reason = f"LocalStack {what} (the rule: {rule})"
            self._node.add_marker(pytest.mark.xfail(reason=reason, raises=kinds, strict=True))

    def name(self, base="q"):
        return f"{base}-{uuid.uuid4().hex[:12]}"

    def queue(self, *, name=None, tags=None, **attributes):
        is_fifo = attributes.get("FifoQueue") == "true"
        name = name or self.name() + (".fifo" if is_fifo else "")
        answer = self.sqs.create_queue(QueueName=name, Attributes=attributes, tags=tags or {})
        url = answer["QueueUrl"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        queue = Queue(self, name, url, found["Attributes"]["QueueArn"])
        self._queues[url] = queue
        return queue

    def fifo(self, **attributes):
        return self.queue(**{"FifoQueue": "true", **attributes})

    def dead_letters_of(self, queue, receives=1):
        """Give a queue a dead letter queue of its kind."""
        dead = self.fifo() if queue.name.endswith(".fifo") else self.queue()
        redrive = {"deadLetterTargetArn": dead.arn, "maxReceiveCount": str(receives)}
        queue.set(RedrivePolicy=json.dumps(redrive))
        return dead

    def topic(self, *, name=None, tags=None, **attributes):
        is_fifo = attributes.get("FifoTopic") == "true"
        name = name or self.name("t") + (".fifo" if is_fifo else "")
        answer = self.sns.create_topic(
            Name=name,
            Attributes=attributes,
            Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        )
        topic = Topic(self, name, answer["TopicArn"])
        self._topics.append(topic)
        return topic

    def fifo_topic(self, **attributes):
        return self.topic(**{"FifoTopic": "true", **attributes})

    def key(self, **parameters):
        """Make a key of KMS and return its ARN."""
        arn = self.kms.create_key(**parameters)["KeyMetadata"]["Arn"]
        self._keys.append(arn)
        return arn

    def alias(self, key):
        """Give a key an alias and return that."""
        alias = self.alias_name()
        self.kms.create_alias(AliasName=alias, TargetKeyId=key)
        return alias

    def alias_name(self):
        return f"alias/{self.name('k')}"

    @contextmanager
    def refused(self, *codes, text="", status=None):
        """Expect botocore to raise one of these codes, with this text in the message."""
        with pytest.raises(ClientError, match=re.escape(text) or None) as caught:
            yield caught
        answer = caught.value.response
        assert answer["Error"]["Code"] in codes
        if status is not None:
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == status

    def begin(self, call, *arguments, **parameters):
        """Run a call in a thread; returns its future."""
        return self._pool.submit(call, *arguments, **parameters)

    def begin_poll(self, queue, seconds, **parameters):
        """Begin a long poll, and return its future when it waits at the server."""
        poll = self.begin(queue.receive, WaitTimeSeconds=seconds, **parameters)
        self.await_poller()
        return poll

    def await_poller(self):
        """Wait until a long poll has reached the server."""
        self._server.await_poller()

    @contextmanager
    def during(self, node):
        """Hold what one test makes, and remove it afterwards."""
        self._node = node
        try:
            yield self
        finally:
            self._node = None
            topics, self._topics = self._topics, []
            queues, self._queues = self._queues, {}
            keys, self._keys = self._keys, []
            for topic in topics:
                self.sns.delete_topic(TopicArn=topic.arn)
            for url in queues:
                with suppress(self.sqs.exceptions.QueueDoesNotExist):  # the test did it
                    self.sqs.delete_queue(QueueUrl=url)
            for key in keys:
                # The test did it, or time did.
                with suppress(
                    self.kms.exceptions.KMSInvalidStateException,
                    self.kms.exceptions.NotFoundException,
                ):
                    self.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)

    def close(self):
        self._pool.shutdown()
        for client in (self.sqs, self.sns, self.kms, self.sts):
            client.close()
        self._server.close()


@pytest.fixture(scope="session")
def botocore_session():
    return botocore.session.Session()


@pytest.fixture(scope="session")
def all_of_local_aws(botocore_session):
    backend = Backend(LocalAwsServer(), botocore_session)
    yield backend
    backend.close()


@pytest.fixture(scope="session")
def all_of_localstack(botocore_session, localstack_url):
    backend = Backend(LocalStackServer(localstack_url), botocore_session)
    yield backend
    backend.close()


@pytest.fixture(
    params=["LocalAws", pytest.param("LocalStack", marks=pytest.mark.localstack)],
)
def backend(request):
    """Each AWS in turn."""
    kind = "all_of_local_aws" if request.param == "LocalAws" else "all_of_localstack"
    with request.getfixturevalue(kind).during(request.node) as held:
        yield held


@pytest.fixture
def local_aws(request, all_of_local_aws):
    """LocalAws alone, for rules whose proof takes minutes of time: only its clock can be moved."""
    with all_of_local_aws.during(request.node) as held:
        yield held
