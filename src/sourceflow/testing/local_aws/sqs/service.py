"""The operations of SQS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.sqs import shapes
from sourceflow.testing.local_aws.sqs.batches import (
    batch_answer,
    check_batch,
    check_batch_order,
    check_batch_size,
)
from sourceflow.testing.local_aws.sqs.move_tasks import MoveTasks
from sourceflow.testing.local_aws.sqs.parameters import check_range
from sourceflow.testing.local_aws.sqs.queues import Queues
from sourceflow.testing.local_aws.sqs.received import written
from sourceflow.testing.local_aws.sqs.rights import check_identity
from sourceflow.testing.local_aws.sqs.sending import check_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from sourceflow.testing.local_aws.identities import Identity
    from sourceflow.testing.local_aws.sns.delivery import Delivery
    from sourceflow.testing.local_aws.sqs.queue import Queue
    from sourceflow.testing.local_aws.sse import Sse

__all__ = ("PendingReceive", "Sqs")

COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class PendingReceive:
    """A receive that may wait: asked again when something may have come.

    Attributes:
        queue: The queue.
        wait: Seconds it may wait in all.
    """

    __slots__ = ("_moves", "_queues", "_request", "queue", "wait")

    def __init__(self, queues: Queues, moves: MoveTasks, request: shapes.ReceiveMessage) -> None:
        self.queue = queue = queues.at(request.queue_url)
        self._queues = queues
        self._moves = moves
        self._request = request
        wait = request.wait_time_seconds
        self.wait = queue.settings.wait if wait is None else wait

    def try_now(self, now: float) -> bytes | None:
        """Return the answer if there are messages.

        Raises:
            AwsFault: The queue is no longer there.
        """
        request = self._request
        self._moves.advance(now)
        messages = self._queues.at(request.queue_url).receive(
            request.max_number_of_messages,
            now=now,
            visibility=request.visibility_timeout,
            attempt=request.receive_request_attempt_id,
        )
        return written(messages, request) if messages else None

    def next_change(self) -> float | None:
        """Return when time alone may bring a message, or None."""
        changes = (self.queue.next_change(), self._moves.next_change())
        return min((due for due in changes if due is not None), default=None)


class Sqs:
    """Every queue of one account in one region.

    Args:
        region: The region.
        account_id: The account.
        base_url: Returns where queues are reached: the start of every QueueUrl.
        sse: Says who may use the keys that queues are encrypted with.
        on_visible: Is told of a queue that may have something to receive.

    Attributes:
        queues: The queues.
    """

    def __init__(
        self,
        *,
        region: str,
        account_id: str,
        base_url: Callable[[], str],
        sse: Sse,
        on_visible: Callable[[Queue], None] = lambda _: None,
    ) -> None:
        self._sse = sse
        self.queues = Queues(
            region=region,
            account_id=account_id,
            base_url=base_url,
            on_visible=on_visible,
        )
        self._moves = MoveTasks(self.queues)
        self._operations: dict[str, tuple[msgspec.json.Decoder[Any], Callable[..., Any]]] = {
            name: (msgspec.json.Decoder(request), method)
            for name, request, method in (
                ("CreateQueue", shapes.CreateQueue, self._create_queue),
                ("GetQueueUrl", shapes.GetQueueUrl, self._get_queue_url),
                ("ListQueues", shapes.ListQueues, self._list_queues),
                ("DeleteQueue", shapes.Named, self._delete_queue),
                ("PurgeQueue", shapes.Named, self._purge_queue),
                ("GetQueueAttributes", shapes.Attributes, self._get_attributes),
                ("SetQueueAttributes", shapes.SetAttributes, self._set_attributes),
                ("TagQueue", shapes.Tags, self._tag),
                ("UntagQueue", shapes.Tags, self._untag),
                ("ListQueueTags", shapes.Named, self._list_tags),
                ("ListDeadLetterSourceQueues", shapes.Named, self._list_sources),
                ("StartMessageMoveTask", shapes.StartMoveTask, self._moves.start),
                ("ListMessageMoveTasks", shapes.ListMoveTasks, self._moves.list_newest),
                ("CancelMessageMoveTask", shapes.CancelMoveTask, self._moves.cancel),
                ("SendMessage", shapes.SendMessage, self._send),
                ("SendMessageBatch", shapes.SendBatch, self._send_batch),
                ("DeleteMessage", shapes.DeleteMessage, self._delete),
                ("DeleteMessageBatch", shapes.DeleteBatch, self._delete_batch),
                ("ChangeMessageVisibility", shapes.VisibilityChange, self._change),
                ("ChangeMessageVisibilityBatch", shapes.VisibilityBatch, self._change_batch),
            )
        }

    def call(
        self, operation: str, body: bytes, now: float, identity: Identity | None = None
    ) -> bytes:
        """Run an operation other than ReceiveMessage; no identity is the account itself.

        Raises:
            AwsFault: It is refused.
        """
        known = self._operations.get(operation)
        if known is None:
            raise AwsFault("InvalidAction", f"The action {operation} is not valid.", status=404)
        decoder, method = known
        request = _decoded(decoder, body)
        if identity is not None:
            check_identity(identity, operation, request, self.queues, self._sse)
        if type(request) in _GUARDED:
            self.queues.check_caller(self.queues.at(request.queue_url), operation)
        self._moves.advance(now)
        answer = method(request, now)
        return answer if type(answer) is bytes else _ENCODER.encode(answer or {})

    def receive(self, body: bytes, identity: Identity | None = None) -> PendingReceive:
        """Begin a ReceiveMessage.

        Raises:
            AwsFault: It is refused.
        """
        request: shapes.ReceiveMessage = _decoded(_RECEIVE, body)
        if identity is not None:
            check_identity(identity, "ReceiveMessage", request, self.queues, self._sse)
        self.queues.check_caller(self.queues.at(request.queue_url), "ReceiveMessage")
        check_range("MaxNumberOfMessages", request.max_number_of_messages, 1, 10)
        check_range("WaitTimeSeconds", request.wait_time_seconds, 0, 20)
        check_range("VisibilityTimeout", request.visibility_timeout, 0, 43_200)
        return PendingReceive(self.queues, self._moves, request)

    def deliver(self, delivery: Delivery, now: float) -> bool:
        """Take a message from SNS behind what moved before; see ``Queues.deliver``."""
        self._moves.advance(now)
        queue = self.queues.of_arn(delivery.queue_arn)
        key = None if queue is None else queue.settings.key
        return self._sse.lets_deliver(key, delivery.topic_arn) and self.queues.deliver(
            delivery, now
        )

    def _create_queue(self, request: shapes.CreateQueue, now: float) -> shapes.Answer:
        self.queues.create(request.queue_name, request.attributes, request.tags, now)
        return {"QueueUrl": self.queues.url_of(request.queue_name)}

    def _get_queue_url(self, request: shapes.GetQueueUrl, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        queue = self.queues.named(request.queue_name, request.queue_owner_aws_account_id)
        return {"QueueUrl": self.queues.url_of(queue.name)}

    def _list_queues(self, request: shapes.ListQueues, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        after = request.next_token or ""
        names = sorted(
            queue.name
            for queue in self.queues
            if queue.name.startswith(request.queue_name_prefix) and queue.name > after
        )
        limit = request.max_results or 1000
        answer: shapes.Answer = {"QueueUrls": list(map(self.queues.url_of, names[:limit]))}
        if len(names) > limit and request.max_results is not None:
            answer["NextToken"] = names[limit - 1]
        return answer

    def _delete_queue(self, request: shapes.Named, now: float) -> None:
        self.queues.delete(self.queues.at(request.queue_url), now)

    def _purge_queue(self, request: shapes.Named, now: float) -> None:
        self.queues.purge(self.queues.at(request.queue_url), now)

    def _get_attributes(self, request: shapes.Attributes, now: float) -> shapes.Answer:
        queue = self.queues.at(request.queue_url)
        queue.advance(now)
        values = {
            **queue.settings.values,
            "QueueArn": queue.arn,
            "CreatedTimestamp": str(int(queue.created)),
            "LastModifiedTimestamp": str(int(queue.changed)),
            **dict(
                zip(COUNTS, map(str, (queue.visible, queue.in_flight, queue.delayed)), strict=True)
            ),
        }
        wanted = request.attribute_names
        if "All" in wanted:
            return {"Attributes": values}
        unknown = [name for name in wanted if name not in values and name not in _OPTIONAL]
        if unknown:
            raise AwsFault("InvalidAttributeName", f"Unknown Attribute {unknown[0]}.")
        found = {name: values[name] for name in wanted if name in values}
        return {"Attributes": found} if found else {}

    def _set_attributes(self, request: shapes.SetAttributes, now: float) -> None:
        queue = self.queues.at(request.queue_url)
        if "FifoQueue" in request.attributes:
            _refuse_other_kind(queue, request.attributes["FifoQueue"])
        self.queues.change(queue, request.attributes, now)

    def _tag(self, request: shapes.Tags, now: float) -> None:  # noqa: ARG002 - one shape for all
        self.queues.at(request.queue_url).tags.update(request.tags)

    def _untag(self, request: shapes.Tags, now: float) -> None:  # noqa: ARG002 - one shape for all
        tags = self.queues.at(request.queue_url).tags
        for key in request.tag_keys:
            tags.pop(key, None)

    def _list_tags(self, request: shapes.Named, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        return {"Tags": self.queues.at(request.queue_url).tags}

    def _list_sources(self, request: shapes.Named, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        target = self.queues.at(request.queue_url)
        sources = self.queues.sources_of(target)
        return {"queueUrls": [self.queues.url_of(queue.name) for queue in sources]}

    def _send(self, request: shapes.SendMessage, now: float) -> shapes.Answer:
        queue = self.queues.at(request.queue_url)
        check_message(queue.settings, request)
        return _sent(queue, request, now)

    def _send_batch(self, request: shapes.SendBatch, now: float) -> shapes.Answer:
        queue = self.queues.at(request.queue_url)
        check_batch(request.entries)
        check_batch_size(request.entries)
        check_batch_order(queue.settings, request.entries)

        def run(entry: shapes.BatchEntry) -> shapes.Answer:
            check_message(queue.settings, entry)
            return _sent(queue, entry, now)

        return batch_answer(request.entries, run)

    def _delete(self, request: shapes.DeleteMessage, now: float) -> None:
        self.queues.at(request.queue_url).delete(request.receipt_handle, now)

    def _delete_batch(self, request: shapes.DeleteBatch, now: float) -> shapes.Answer:
        queue = self.queues.at(request.queue_url)
        check_batch(request.entries)
        return batch_answer(request.entries, lambda entry: queue.delete(entry.receipt_handle, now))

    def _change(self, request: shapes.VisibilityChange, now: float) -> None:
        queue = self.queues.at(request.queue_url)
        check_range("VisibilityTimeout", request.visibility_timeout, 0, 43_200)
        queue.change_visibility(request.receipt_handle, request.visibility_timeout, now)

    def _change_batch(self, request: shapes.VisibilityBatch, now: float) -> shapes.Answer:
        queue = self.queues.at(request.queue_url)
        check_batch(request.entries)

        def run(entry: Any) -> None:
            check_range("VisibilityTimeout", entry.visibility_timeout, 0, 43_200)
            queue.change_visibility(entry.receipt_handle, entry.visibility_timeout, now)

        return batch_answer(request.entries, run)


_ENCODER: Final = msgspec.json.Encoder()
_RECEIVE: Final = msgspec.json.Decoder(shapes.ReceiveMessage)
_GUARDED: Final = frozenset(
    {
        shapes.SendMessage, shapes.SendBatch, shapes.DeleteMessage, shapes.DeleteBatch,
        shapes.VisibilityChange, shapes.VisibilityBatch,
    }
)  # fmt: skip
"""What a queue's policy may forbid to its own account: what is done to messages."""
_OPTIONAL: Final = frozenset(
    {
        "Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "FifoQueue",
        "KmsDataKeyReusePeriodSeconds", "ContentBasedDeduplication", "DeduplicationScope",
        "FifoThroughputLimit", "SqsManagedSseEnabled",
    }
)  # fmt: skip


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body or b"{}")
    except msgspec.ValidationError as error:
        text = str(error)
        if "missing required field" in text:
            field = text.split("`")[1]
            raise AwsFault(
                "MissingParameter", f"The request must contain the parameter {field}."
            ) from None
        raise AwsFault("SerializationException", text) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise AwsFault("SerializationException", str(error)) from None


def _sent(queue: Queue, request: shapes.SendMessage, now: float) -> shapes.Answer:
    trace = request.message_system_attributes.get("AWSTraceHeader")
    sent = queue.send(
        request.message_body,
        request.message_attributes,
        now=now,
        group=request.message_group_id,
        deduplication_id=request.message_deduplication_id,
        delay=request.delay_seconds,
        trace=None if trace is None else trace.string_value,
    )
    answer: shapes.Answer = {
        "MessageId": sent.message_id,
        "MD5OfMessageBody": sent.body_md5,
    }
    if sent.attributes_md5:
        answer["MD5OfMessageAttributes"] = sent.attributes_md5
    if queue.settings.is_fifo:
        answer["SequenceNumber"] = sent.sequence_number
    return answer


def _refuse_other_kind(queue: Queue, value: str) -> None:
    if not queue.settings.is_fifo:
        raise AwsFault("InvalidAttributeName", "Unknown Attribute FifoQueue.")
    if value != "true":
        raise AwsFault(
            "InvalidAttributeValue",
            "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not "
            "supported.",
        )
