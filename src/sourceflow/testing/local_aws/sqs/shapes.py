"""Requests and answers of SQS's JSON protocol."""

from __future__ import annotations

from typing import Any

import msgspec

from sourceflow.testing.local_aws.attributes import MessageAttribute

__all__ = (
    "Answer",
    "Attributes",
    "BatchEntry",
    "CancelMoveTask",
    "CreateQueue",
    "DeleteBatch",
    "DeleteMessage",
    "GetQueueUrl",
    "ListMoveTasks",
    "ListQueues",
    "Named",
    "ReceiveMessage",
    "SendBatch",
    "SendMessage",
    "SetAttributes",
    "StartMoveTask",
    "Tags",
    "VisibilityBatch",
    "VisibilityChange",
)


class Request(msgspec.Struct, rename="pascal", kw_only=True):
    """Base of requests."""


class Named(Request, kw_only=True):
    """A request about one queue and nothing else."""

    queue_url: str


class CreateQueue(Request, kw_only=True):
    """CreateQueue."""

    queue_name: str
    attributes: dict[str, str] = {}
    tags: dict[str, str] = msgspec.field(default_factory=dict, name="tags")


class GetQueueUrl(Request, kw_only=True):
    """GetQueueUrl."""

    queue_name: str
    queue_owner_aws_account_id: str | None = msgspec.field(
        default=None, name="QueueOwnerAWSAccountId"
    )


class ListQueues(Request, kw_only=True):
    """ListQueues."""

    queue_name_prefix: str = ""
    max_results: int | None = None
    next_token: str | None = None


class Attributes(Request, kw_only=True):
    """GetQueueAttributes."""

    queue_url: str
    attribute_names: list[str] = []


class SetAttributes(Request, kw_only=True):
    """SetQueueAttributes."""

    queue_url: str
    attributes: dict[str, str]


class Tags(Request, kw_only=True):
    """TagQueue and UntagQueue."""

    queue_url: str
    tags: dict[str, str] = {}
    tag_keys: list[str] = []


class _SystemAttribute(msgspec.Struct, rename="pascal"):
    data_type: str
    string_value: str = ""


class SendMessage(Request, kw_only=True):
    """SendMessage."""

    queue_url: str = ""
    message_body: str
    delay_seconds: int | None = None
    message_attributes: dict[str, MessageAttribute] = {}
    message_system_attributes: dict[str, _SystemAttribute] = {}
    message_deduplication_id: str | None = None
    message_group_id: str | None = None


class BatchEntry(SendMessage, kw_only=True):
    """One entry of SendMessageBatch."""

    id: str


class SendBatch(Request, kw_only=True):
    """SendMessageBatch."""

    queue_url: str
    entries: list[BatchEntry] = []


class ReceiveMessage(Request, kw_only=True):
    """ReceiveMessage."""

    queue_url: str
    attribute_names: list[str] = []
    message_system_attribute_names: list[str] = []
    message_attribute_names: list[str] = []
    max_number_of_messages: int = 1
    visibility_timeout: int | None = None
    wait_time_seconds: int | None = None
    receive_request_attempt_id: str | None = None


class DeleteMessage(Request, kw_only=True):
    """DeleteMessage."""

    queue_url: str
    receipt_handle: str


class _DeleteEntry(Request, kw_only=True):
    id: str
    receipt_handle: str


class DeleteBatch(Request, kw_only=True):
    """DeleteMessageBatch."""

    queue_url: str
    entries: list[_DeleteEntry] = []


class VisibilityChange(Request, kw_only=True):
    """ChangeMessageVisibility."""

    queue_url: str
    receipt_handle: str
    visibility_timeout: int


class _VisibilityEntry(Request, kw_only=True):
    id: str
    receipt_handle: str
    visibility_timeout: int = 0


class VisibilityBatch(Request, kw_only=True):
    """ChangeMessageVisibilityBatch."""

    queue_url: str
    entries: list[_VisibilityEntry] = []


class StartMoveTask(Request, kw_only=True):
    """StartMessageMoveTask."""

    source_arn: str
    destination_arn: str | None = None
    max_number_of_messages_per_second: int | None = None


class ListMoveTasks(Request, kw_only=True):
    """ListMessageMoveTasks."""

    source_arn: str
    max_results: int | None = None


class CancelMoveTask(Request, kw_only=True):
    """CancelMessageMoveTask."""

    task_handle: str


Answer = dict[str, Any]
"""What is written back."""
