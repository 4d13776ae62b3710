"""Amazon SQS: the calls about queues, and about moving what is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from sourceflow.transports.aws.client.base import ServiceClient
from sourceflow.transports.aws.client.errors import json_error
from sourceflow.transports.aws.client.json_protocol import json_headers, read_answer
from sourceflow.transports.aws.client.sqs_moves import MessageMoveTask

if TYPE_CHECKING:
    from sourceflow.errors import AwsError

__all__ = ("SqsQueues",)


class SqsQueues(ServiceClient):
    """The part of ``SqsClient`` that sees to queues, and how it speaks SQS's protocol."""

    async def get_queue_url(self, name: str, *, account: str | None = None) -> str:
        """Return the URL of a queue.

        Args:
            name: Its name.
            account: The id of the account that owns it; None is the caller's own.

        Raises:
            AwsConfigurationError: There is no such queue.
        """
        answer = await self._call("GetQueueUrl", _ENCODER.encode(_GetUrl(name, account)))
        return read_answer(_URL, answer, "GetQueueUrl").queue_url

    async def get_queue_attributes(
        self, queue_url: str, names: Sequence[str] = ("All",)
    ) -> dict[str, str]:
        """Return attributes of a queue, such as ``ApproximateNumberOfMessages``, by name."""
        answer = await self._call(
            "GetQueueAttributes", _ENCODER.encode(_GetAttributes(queue_url, names))
        )
        return read_answer(_ATTRIBUTES, answer, "GetQueueAttributes").attributes

    async def set_queue_attributes(self, queue_url: str, attributes: Mapping[str, str]) -> None:
        """Set attributes of a queue; they take up to a minute to count everywhere, the retention 15."""
        await self._call(
            "SetQueueAttributes", _ENCODER.encode(_SetAttributes(queue_url, dict(attributes)))
        )

    async def create_queue(
        self,
        name: str,
        *,
        attributes: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Create a queue, or find the one of this name with these attributes; return its URL.

        Raises:
            AwsConfigurationError: One of this name exists with other attributes.
        """
        answer = await self._call(
            "CreateQueue", _ENCODER.encode(_Create(name, dict(attributes or {}), dict(tags or {})))
        )
        return read_answer(_URL, answer, "CreateQueue").queue_url

    async def delete_queue(self, queue_url: str) -> None:
        """Delete a queue with all that is in it; a new one of the name is refused for a minute."""
        await self._call("DeleteQueue", _ENCODER.encode(_Queue(queue_url)))

    async def purge_queue(self, queue_url: str) -> None:
        """Delete all messages of a queue, those in flight too; it takes SQS up to a minute.

        Raises:
            AwsThrottledError: The last purge was less than 60 seconds ago.
        """
        await self._call("PurgeQueue", _ENCODER.encode(_Queue(queue_url)))

    async def start_message_move_task(
        self, source_arn: str, *, destination_arn: str | None = None, rate: int | None = None
    ) -> str:
        """Let SQS move the messages of a dead letter queue to another queue, where they are new ones.

        Args:
            source_arn: The dead letter queue: some queue's redrive policy must name it.
            destination_arn: A queue of the same kind. None sends each message back to the queue that
                its redrive policy took it from; at one that was sent to the dead letter queue directly
                the task fails with ``CouldNotDetermineMessageSource``.
            rate: Messages a second, 1 to 500; None leaves it to SQS.

        Returns:
            The handle that cancels the task.

        Raises:
            AwsConfigurationError: One of the queues does not exist.
            AwsRequestError: The source is no dead letter queue, or has a task that is not over: maybe one
                that this call started before its answer was lost and it was tried again.
        """
        request = _StartMove(source_arn, destination_arn, rate)
        answer = await self._call("StartMessageMoveTask", _ENCODER.encode(request))
        return read_answer(_HANDLE, answer, "StartMessageMoveTask").task_handle

    async def list_message_move_tasks(
        self, source_arn: str, *, limit: int = 10
    ) -> list[MessageMoveTask]:
        """Return the newest move tasks of a dead letter queue, newest first.

        Args:
            source_arn: The dead letter queue.
            limit: How many at most, 1 to 10.

        Raises:
            AwsConfigurationError: There is no such queue.
        """
        request = _ListMoves(source_arn, limit)
        answer = await self._call("ListMessageMoveTasks", _ENCODER.encode(request))
        return read_answer(_MOVES, answer, "ListMessageMoveTasks").results

    async def cancel_message_move_task(self, handle: str) -> int:
        """Let a running task move no more messages.

        Args:
            handle: What ``start_message_move_task`` returned.

        Returns:
            About how many messages it has moved; they stay where they are now.

        Raises:
            AwsConfigurationError: There is no such task.
            AwsRequestError: The task is not running.
        """
        answer = await self._call("CancelMessageMoveTask", _ENCODER.encode(_Handle(handle)))
        return read_answer(
            _CANCELLED, answer, "CancelMessageMoveTask"
        ).approximate_number_of_messages_moved

    @staticmethod
    def _read_error(
        status: int, headers: Mapping[str, str], body: bytes, *, operation: str
    ) -> AwsError:
        return json_error(status, headers, body, operation=operation)

    @staticmethod
    def _headers(operation: str) -> Mapping[str, str]:
        return json_headers("1.0", f"AmazonSQS.{operation}")


class _GetUrl(
    msgspec.Struct,
    rename={"name": "QueueName", "account": "QueueOwnerAWSAccountId"},
    omit_defaults=True,
):
    name: str
    account: str | None = None


class _Queue(msgspec.Struct, rename="pascal"):
    queue_url: str


class _GetAttributes(_Queue, rename="pascal"):
    attribute_names: Sequence[str]


class _SetAttributes(_Queue, rename="pascal"):
    attributes: dict[str, str]


class _Attributes(msgspec.Struct, rename="pascal"):
    attributes: dict[str, str] = {}


class _Create(
    msgspec.Struct, rename={"name": "QueueName", "attributes": "Attributes"}, omit_defaults=True
):
    name: str
    attributes: dict[str, str] = {}
    tags: dict[str, str] = {}


class _StartMove(
    msgspec.Struct,
    rename={
        "source_arn": "SourceArn",
        "destination_arn": "DestinationArn",
        "rate": "MaxNumberOfMessagesPerSecond",
    },
    omit_defaults=True,
):
    source_arn: str
    destination_arn: str | None = None
    rate: int | None = None


class _Handle(msgspec.Struct, rename="pascal"):
    task_handle: str


class _ListMoves(msgspec.Struct, rename={"source_arn": "SourceArn", "limit": "MaxResults"}):
    source_arn: str
    limit: int


class _Moves(msgspec.Struct, rename="pascal"):
    results: list[MessageMoveTask] = []


class _Cancelled(msgspec.Struct, rename="pascal"):
    approximate_number_of_messages_moved: int = 0


_ENCODER = msgspec.json.Encoder()
_URL = msgspec.json.Decoder(_Queue)
_ATTRIBUTES = msgspec.json.Decoder(_Attributes)
_HANDLE = msgspec.json.Decoder(_Handle)
_MOVES = msgspec.json.Decoder(_Moves)
_CANCELLED = msgspec.json.Decoder(_Cancelled)
