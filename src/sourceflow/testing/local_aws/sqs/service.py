"""The operations of SQS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.policy import Principal, allows
from sourceflow.testing.local_aws.sqs import shapes
from sourceflow.testing.local_aws.sqs.batches import (
    batch_answer,
    check_batch,
    check_batch_size,
)
from sourceflow.testing.local_aws.sqs.queue import Queue
from sourceflow.testing.local_aws.sqs.received import written
from sourceflow.testing.local_aws.sqs.sending import check_message, deduplication_of
from sourceflow.testing.local_aws.sqs.settings import QueueSettings, check_queue_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from sourceflow.testing.local_aws.sns.delivery import Delivery
    from sourceflow.testing.local_aws.sqs.messages import QueueMessage

__all__ = ("PendingReceive", "Sqs")

REUSE_AFTER: Final = 60.0
"""Seconds after which the name of a deleted queue is free, and a queue may be purged again."""

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

    __slots__ = ("_request", "queue", "wait")

    def __init__(self, queue: Queue, request: shapes.ReceiveMessage) -> None:
        self.queue = queue
        self._request = request
        wait = request.wait_time_seconds
        self.wait = queue.settings.wait if wait is None else wait

    def try_now(self, now: float) -> bytes | None:
        """Return the answer if there are messages."""
        request = self._request
        messages = self.queue.receive(
            request.max_number_of_messages,
            now=now,
            visibility=request.visibility_timeout,
            attempt=request.receive_request_attempt_id,
        )
        return written(messages, request) if messages else None


class Sqs:
    """Every queue of one account in one region.

    Args:
        region: The region.
        account_id: The account.
        base_url: Returns where queues are reached: the start of every QueueUrl.
    """

    def __init__(self, *, region: str, account_id: str, base_url: Callable[[], str]) -> None:
        self._region = region
        self._account_id = account_id
        self._base_url = base_url
        self._queues: dict[str, Queue] = {}
        self._deleted: dict[str, float] = {}
        self.on_visible: Callable[[Queue], None] = lambda _: None
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
                ("SendMessage", shapes.SendMessage, self._send),
                ("SendMessageBatch", shapes.SendBatch, self._send_batch),
                ("DeleteMessage", shapes.DeleteMessage, self._delete),
                ("DeleteMessageBatch", shapes.DeleteBatch, self._delete_batch),
                ("ChangeMessageVisibility", shapes.VisibilityChange, self._change),
                ("ChangeMessageVisibilityBatch", shapes.VisibilityBatch, self._change_batch),
            )
        }

    def call(self, operation: str, body: bytes, now: float) -> bytes:
        """Run an operation other than ReceiveMessage.

        Raises:
            AwsFault: It is refused.
        """
        known = self._operations.get(operation)
        if known is None:
            raise AwsFault("InvalidAction", f"The action {operation} is not valid.", status=404)
        decoder, method = known
        answer = method(_decoded(decoder, body), now)
        return answer if type(answer) is bytes else _ENCODER.encode(answer or {})

    def receive(self, body: bytes) -> PendingReceive:
        """Begin a ReceiveMessage.

        Raises:
            AwsFault: It is refused.
        """
        request: shapes.ReceiveMessage = _decoded(_RECEIVE, body)
        queue = self._queue(request.queue_url)
        _check_range("MaxNumberOfMessages", request.max_number_of_messages, 1, 10)
        _check_range("WaitTimeSeconds", request.wait_time_seconds, 0, 20)
        _check_range("VisibilityTimeout", request.visibility_timeout, 0, 43_200)
        return PendingReceive(queue, request)

    def deliver(self, delivery: Delivery, now: float) -> bool:
        """Take a message from SNS, if the queue's policy lets it.

        Returns:
            False if there is no such queue, or its policy does not allow it.
        """
        queue = self._queues.get(delivery.queue_arn.rpartition(":")[2])
        if queue is None or not self._may_deliver(queue, delivery):
            return False
        is_fifo = queue.settings.is_fifo
        size = len(delivery.body.encode())
        queue.send(
            delivery.body,
            delivery.attributes,
            size=size,
            now=now,
            group=delivery.group_id,
            deduplication_id=delivery.deduplication_id if is_fifo else None,
        )
        return True

    def _may_deliver(self, queue: Queue, delivery: Delivery) -> bool:
        return allows(
            queue.settings.policy,
            action="sqs:SendMessage",
            resource=queue.arn,
            principal=Principal(service="sns.amazonaws.com"),
            context={
                "aws:SourceArn": delivery.topic_arn,
                "aws:SourceAccount": delivery.topic_arn.split(":")[4],
            },
        )

    def _queue(self, url: str) -> Queue:
        queue = self._queues.get(url.rpartition("/")[2])
        if queue is None:
            raise _missing()
        return queue

    def _url(self, name: str) -> str:
        return f"{self._base_url()}/{self._account_id}/{name}"

    def _arn(self, name: str) -> str:
        return f"arn:aws:sqs:{self._region}:{self._account_id}:{name}"

    def _create_queue(self, request: shapes.CreateQueue, now: float) -> shapes.Answer:
        name = request.queue_name
        check_queue_name(name)
        existing = self._queues.get(name)
        if existing is not None:
            other = existing.settings.differs_from(request.attributes)
            if other is not None:
                raise AwsFault(
                    "QueueNameExists",
                    "A queue already exists with the same name and a different value for "
                    f"attribute {other}",
                    query_code="QueueAlreadyExists",
                )
            return {"QueueUrl": self._url(name)}
        if now - self._deleted.get(name, float("-inf")) < REUSE_AFTER:
            raise AwsFault(
                "QueueDeletedRecently",
                "You must wait 60 seconds after deleting a queue before you can create another "
                "with the same name.",
                query_code="AWS.SimpleQueueService.QueueDeletedRecently",
            )
        settings = QueueSettings(name, request.attributes)
        self._check_redrive(settings)
        queue = Queue(self._arn(name), settings, now)
        queue.tags.update(request.tags)
        queue.move_to_dead_letters = lambda message, at: self._move(queue, message, at)
        queue.on_visible = lambda: self.on_visible(queue)
        self._queues[name] = queue
        return {"QueueUrl": self._url(name)}

    def _check_redrive(self, settings: QueueSettings) -> None:
        """Refuse a dead letter queue that is missing or of the other kind."""
        arn = settings.dead_letter_arn
        if arn is None:
            return
        if not 1 <= settings.max_receives <= 1000:  # noqa: PLR2004 - SetQueueAttributes, RedrivePolicy
            raise AwsFault(
                "InvalidParameterValue",
                "Value for parameter RedrivePolicy is invalid. Reason: Invalid value for "
                "maxReceiveCount: must be between 1 and 1000.",
            )
        target = self._queues.get(arn.rpartition(":")[2])
        if target is None:
            raise AwsFault(
                "InvalidParameterValue",
                "Value for parameter RedrivePolicy is invalid. Reason: Dead letter target does "
                "not exist.",
            )
        if target.settings.is_fifo != settings.is_fifo:
            raise AwsFault(
                "InvalidParameterValue",
                "Value for parameter RedrivePolicy is invalid. Reason: Dead-letter queue must be "
                "same type of queue as the source.",
            )
        self._check_redrive_allowed(target, settings.name)

    def _check_redrive_allowed(self, target: Queue, source: str) -> None:
        allow = target.settings.redrive_allow
        permission = allow.get("redrivePermission", "allowAll")
        by_queue = self._arn(source) in allow.get("sourceQueueArns", ())
        if permission == "denyAll" or (permission == "byQueue" and not by_queue):
            raise AwsFault(
                "InvalidParameterValue",
                "Value for parameter RedrivePolicy is invalid. Reason: Dead-letter queue's "
                "redrive permission does not allow this source queue.",
            )

    def _move(self, source: Queue, message: QueueMessage, now: float) -> bool:
        """Move a message to its dead letter queue; it keeps its id, and on standard queues its age."""
        target = self._queues.get((source.settings.dead_letter_arn or "").rpartition(":")[2])
        if target is None:
            return False
        target.send(
            message.body,
            message.attributes,
            size=message.size,
            now=now,
            group=message.group,
            deduplication_id=f"{message.id}.{message.order}" if source.settings.is_fifo else None,
            trace=message.trace,
            source_arn=source.arn,
            first_sent=None if source.settings.is_fifo else message.sent,
            message_id=message.id,
            delay=0,
        )
        return True

    def _get_queue_url(self, request: shapes.GetQueueUrl, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        foreign = request.queue_owner_aws_account_id not in {None, self._account_id}
        if foreign or request.queue_name not in self._queues:
            raise _missing()
        return {"QueueUrl": self._url(request.queue_name)}

    def _list_queues(self, request: shapes.ListQueues, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        names = sorted(name for name in self._queues if name.startswith(request.queue_name_prefix))
        names = [name for name in names if request.next_token is None or name > request.next_token]
        limit = request.max_results or 1000
        answer: shapes.Answer = {"QueueUrls": [self._url(name) for name in names[:limit]]}
        if len(names) > limit and request.max_results is not None:
            answer["NextToken"] = names[limit - 1]
        return answer

    def _delete_queue(self, request: shapes.Named, now: float) -> None:
        queue = self._queue(request.queue_url)
        queue.purge()
        del self._queues[queue.settings.name]
        self._deleted[queue.settings.name] = now
        self.on_visible(queue)

    def _purge_queue(self, request: shapes.Named, now: float) -> None:
        queue = self._queue(request.queue_url)
        if now - queue.purged < REUSE_AFTER:
            raise AwsFault(
                "PurgeQueueInProgress",
                f"Only one PurgeQueue operation on {queue.settings.name} is allowed every 60 "
                "seconds.",
                status=403,
                query_code="AWS.SimpleQueueService.PurgeQueueInProgress",
            )
        queue.purged = now
        queue.purge()

    def _get_attributes(self, request: shapes.Attributes, now: float) -> shapes.Answer:
        queue = self._queue(request.queue_url)
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
        queue = self._queue(request.queue_url)
        if "FifoQueue" in request.attributes:
            _refuse_other_kind(queue, request.attributes["FifoQueue"])
        trial = QueueSettings(queue.settings.name, {**queue.settings.values, **request.attributes})
        self._check_redrive(trial)
        queue.settings.change(request.attributes)
        queue.changed = now

    def _tag(self, request: shapes.Tags, now: float) -> None:  # noqa: ARG002 - one shape for all
        self._queue(request.queue_url).tags.update(request.tags)

    def _untag(self, request: shapes.Tags, now: float) -> None:  # noqa: ARG002 - one shape for all
        tags = self._queue(request.queue_url).tags
        for key in request.tag_keys:
            tags.pop(key, None)

    def _list_tags(self, request: shapes.Named, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        return {"Tags": self._queue(request.queue_url).tags}

    def _list_sources(self, request: shapes.Named, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        target = self._queue(request.queue_url)
        names = [
            name
            for name, queue in self._queues.items()
            if queue.settings.dead_letter_arn == target.arn
        ]
        return {"queueUrls": [self._url(name) for name in names]}

    def _send(self, request: shapes.SendMessage, now: float) -> shapes.Answer:
        queue = self._queue(request.queue_url)
        size = check_message(queue.settings, request)
        return self._sent(queue, request, size, now)

    def _sent(
        self, queue: Queue, request: shapes.SendMessage, size: int, now: float
    ) -> shapes.Answer:
        trace = request.message_system_attributes.get("AWSTraceHeader")
        sent = queue.send(
            request.message_body,
            request.message_attributes,
            size=size,
            now=now,
            group=request.message_group_id,
            deduplication_id=deduplication_of(queue.settings, request),
            delay=request.delay_seconds,
            trace=None if trace is None else trace.string_value,
        )
        answer: shapes.Answer = {
            "MessageId": sent.message.id,
            "MD5OfMessageBody": sent.body_md5,
        }
        if sent.attributes_md5:
            answer["MD5OfMessageAttributes"] = sent.attributes_md5
        if queue.settings.is_fifo:
            answer["SequenceNumber"] = sent.message.sequence_number
        return answer

    def _send_batch(self, request: shapes.SendBatch, now: float) -> shapes.Answer:
        queue = self._queue(request.queue_url)
        check_batch(request.entries)
        check_batch_size(request.entries)

        def run(entry: shapes.BatchEntry) -> shapes.Answer:
            size = check_message(queue.settings, entry)
            return self._sent(queue, entry, size, now)

        return batch_answer(request.entries, run)

    def _delete(self, request: shapes.DeleteMessage, now: float) -> None:
        self._queue(request.queue_url).delete(request.receipt_handle, now)

    def _delete_batch(self, request: shapes.DeleteBatch, now: float) -> shapes.Answer:
        queue = self._queue(request.queue_url)
        check_batch(request.entries)
        return batch_answer(request.entries, lambda entry: queue.delete(entry.receipt_handle, now))

    def _change(self, request: shapes.VisibilityChange, now: float) -> None:
        queue = self._queue(request.queue_url)
        _check_range("VisibilityTimeout", request.visibility_timeout, 0, 43_200)
        queue.change_visibility(request.receipt_handle, request.visibility_timeout, now)

    def _change_batch(self, request: shapes.VisibilityBatch, now: float) -> shapes.Answer:
        queue = self._queue(request.queue_url)
        check_batch(request.entries)

        def run(entry: Any) -> None:
            _check_range("VisibilityTimeout", entry.visibility_timeout, 0, 43_200)
            queue.change_visibility(entry.receipt_handle, entry.visibility_timeout, now)

        return batch_answer(request.entries, run)


_ENCODER: Final = msgspec.json.Encoder()
_RECEIVE: Final = msgspec.json.Decoder(shapes.ReceiveMessage)
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


def _missing() -> AwsFault:
    return AwsFault(
        "QueueDoesNotExist",
        "The specified queue does not exist.",
        query_code="AWS.SimpleQueueService.NonExistentQueue",
    )


def _refuse_other_kind(queue: Queue, value: str) -> None:
    if not queue.settings.is_fifo:
        raise AwsFault("InvalidAttributeName", "Unknown Attribute FifoQueue.")
    if value != "true":
        raise AwsFault(
            "InvalidAttributeValue",
            "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not "
            "supported.",
        )


def _check_range(name: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise AwsFault(
            "InvalidParameterValue",
            f"Value {value} for parameter {name} is invalid. Reason: Must be between {least} and "
            f"{most}, if provided.",
        )
