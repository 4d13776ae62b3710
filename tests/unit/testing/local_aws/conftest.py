"""LocalAws in the loop of the test, and a client of it."""

from __future__ import annotations

import json

import pytest

from sourceflow.testing import LocalAws, ManualClock
from sourceflow.testing.local_aws.kms.keys import Keys
from sourceflow.testing.local_aws.sqs.service import Sqs
from sourceflow.testing.local_aws.sse import Sse
from sourceflow.transports.aws.client import (
    DirectClient,
    Endpoint,
    KmsClient,
    SnsClient,
    SqsClient,
)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def aws():
    async with LocalAws() as aws:
        yield aws


@pytest.fixture
async def connect():
    """Make clients of a LocalAws: over its port, or over what stands in for HTTP."""
    async with DirectClient() as sockets:

        def connect(aws, service="sqs", *, http=None, credentials=None):
            kind = {"sqs": SqsClient, "sns": SnsClient, "kms": KmsClient}[service]
            endpoint = Endpoint(url=aws.endpoint_url, region="us-east-1", service=service)
            credentials = credentials or aws.static_credentials()
            return kind(endpoint=endpoint, credentials=credentials, http=http or sockets)

        yield connect


class Core:
    """The synchronous core of SQS with one queue, called as the server calls it."""

    def __init__(self, **attributes):
        sse = Sse(Keys(region="us-east-1", account_id="1"), region="us-east-1")
        self.sqs = Sqs(region="us-east-1", account_id="1", base_url=lambda: "http://x", sse=sse)
        self.name = "q.fifo" if attributes.get("FifoQueue") == "true" else "q"
        made = self.call("CreateQueue", 0.0, QueueName=self.name, Attributes=attributes)
        self.url = made["QueueUrl"]
        self.queue = self.sqs.queues.named(self.name)

    def call(self, operation, now, **parameters):
        return json.loads(self.sqs.call(operation, json.dumps(parameters).encode(), now))

    def receive(self, now, **parameters):
        asked = {"QueueUrl": self.url, "MaxNumberOfMessages": 10, **parameters}
        answer = self.sqs.receive(json.dumps(asked).encode()).try_now(now)
        return json.loads(answer or b"{}").get("Messages", [])

    def delete(self, messages, now):
        for message in messages:
            self.call(
                "DeleteMessage", now, QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"]
            )


@pytest.fixture
def make_core():
    return Core
