"""A thin client of SQS, SNS and KMS: the calls that carry messages, at the least cost, and those about queues.

Everything else that is called rarely (creating topics, policies, subscriptions) goes through botocore instead.
"""

from __future__ import annotations

from sourceflow.transports.aws.client.credentials import (
    ChainCredentials,
    Credentials,
    CredentialsProvider,
    StaticCredentials,
)
from sourceflow.transports.aws.client.endpoints import Endpoint, resolve_endpoint
from sourceflow.transports.aws.client.http import DirectClient, HttpClient, open_http_client
from sourceflow.transports.aws.client.kms import (
    DataKey,
    DecryptedKey,
    KeyDescription,
    KmsClient,
)
from sourceflow.transports.aws.client.retry import RetryPolicy, RetryStats
from sourceflow.transports.aws.client.shapes import (
    AttributeValue,
    BatchFailure,
    BatchResult,
    BatchSuccess,
)
from sourceflow.transports.aws.client.sns import PublishEntry, SnsClient
from sourceflow.transports.aws.client.sqs import SqsClient
from sourceflow.transports.aws.client.sqs_messages import (
    DeleteEntry,
    ReceivedMessage,
    SendEntry,
    SystemAttributes,
    VisibilityEntry,
)
from sourceflow.transports.aws.client.sqs_moves import MessageMoveTask

__all__ = (
    "AttributeValue",
    "BatchFailure",
    "BatchResult",
    "BatchSuccess",
    "ChainCredentials",
    "Credentials",
    "CredentialsProvider",
    "DataKey",
    "DecryptedKey",
    "DeleteEntry",
    "DirectClient",
    "Endpoint",
    "HttpClient",
    "KeyDescription",
    "KmsClient",
    "MessageMoveTask",
    "PublishEntry",
    "ReceivedMessage",
    "RetryPolicy",
    "RetryStats",
    "SendEntry",
    "SnsClient",
    "SqsClient",
    "StaticCredentials",
    "SystemAttributes",
    "VisibilityEntry",
    "open_http_client",
    "resolve_endpoint",
)
