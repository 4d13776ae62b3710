"""The queues of one account in one region, by name, URL and ARN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.policy import Principal, allows, denies
from sourceflow.testing.local_aws.sqs.queue import Queue
from sourceflow.testing.local_aws.sqs.redrive import redrive_fault
from sourceflow.testing.local_aws.sqs.settings import QueueSettings, check_queue_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sourceflow.testing.local_aws.sns.delivery import Delivery
    from sourceflow.testing.local_aws.sqs.messages import QueueMessage

__all__ = ("Queues",)

REUSE_AFTER: Final = 60.0
"""Seconds after which the name of a deleted queue is free, and a queue may be purged again."""


class Queues:
    """Makes, finds and ends queues, and moves messages between them.

    Args:
        region: The region.
        account_id: The account.
        base_url: Returns where queues are reached: the start of every QueueUrl.
        on_visible: Is told of a queue that may have something to receive.
    """

    def __init__(
        self,
        *,
        region: str,
        account_id: str,
        base_url: Callable[[], str],
        on_visible: Callable[[Queue], None],
    ) -> None:
        self._region = region
        self._account_id = account_id
        self._base_url = base_url
        self._on_visible = on_visible
        self._queues: dict[str, Queue] = {}
        self._deleted: dict[str, float] = {}

    def __iter__(self) -> Iterator[Queue]:
        return iter(self._queues.values())

    def named(self, name: str, account_id: str | None = None) -> Queue:
        """Return the queue of a name, in this account or in a given one.

        Raises:
            AwsFault: There is none.
        """
        queue = self._queues.get(name)
        if queue is None or account_id not in {None, self._account_id}:
            raise AwsFault(
                "QueueDoesNotExist",
                "The specified queue does not exist.",
                query_code="AWS.SimpleQueueService.NonExistentQueue",
            )
        return queue

    def at(self, url: str) -> Queue:
        """Return the queue of a URL; its host means nothing.

        Raises:
            AwsFault: There is none.
        """
        return self.named(url.rpartition("/")[2])

    def of_arn(self, arn: str | None) -> Queue | None:
        """Return the queue of an ARN, or None."""
        queue = self._queues.get((arn or "").rpartition(":")[2])
        return queue if queue is not None and queue.arn == arn else None

    def arn_of(self, name: str) -> str:
        """Return the ARN of a queue of this name, whether there is one or not."""
        return f"arn:aws:sqs:{self._region}:{self._account_id}:{name}"

    def sources_of(self, target: Queue) -> list[Queue]:
        """Return the queues whose dead letter queue this is."""
        return [
            queue
            for queue in self
            if queue.settings.redrive is not None
            and queue.settings.redrive.target_arn == target.arn
        ]

    def check_caller(self, queue: Queue, *operations: str) -> None:
        """Let the account do with its queue what the queue's policy does not forbid.

        Raises:
            AwsFault: The policy denies one of the operations.
        """
        policy = queue.settings.policy
        if policy is not None and any(
            denies(
                policy,
                action=f"sqs:{operation.removesuffix('Batch')}",
                resource=queue.arn,
                principal=Principal(account=self._account_id),
            )
            for operation in operations
        ):
            raise AwsFault(
                "AccessDenied",
                f"Access to the resource {queue.arn} is denied: its policy has an explicit deny.",
                status=403,
            )

    def url_of(self, name: str) -> str:
        """Return the QueueUrl of a queue."""
        return f"{self._base_url()}/{self._account_id}/{name}"

    def create(
        self, name: str, attributes: Mapping[str, str], tags: Mapping[str, str], now: float
    ) -> None:
        """Make a queue, or find the one that is there with the same attributes.

        Raises:
            AwsFault: Name or attributes are not allowed, or those of the queue that is there differ.
        """
        check_queue_name(name)
        existing = self._queues.get(name)
        if existing is not None:
            _check_same(existing, attributes)
            return
        if now - self._deleted.get(name, float("-inf")) < REUSE_AFTER:
            raise AwsFault(
                "QueueDeletedRecently",
                "You must wait 60 seconds after deleting a queue before you can create another "
                "with the same name.",
                query_code="AWS.SimpleQueueService.QueueDeletedRecently",
            )
        settings = QueueSettings(name, attributes)
        queue = Queue(self.arn_of(name), settings, now)
        self._check_redrive(queue.arn, settings)
        queue.tags.update(tags)
        queue.move_to_dead_letters = lambda message, at: self._move(queue, message, at)
        queue.on_visible = lambda: self._on_visible(queue)
        self._queues[name] = queue

    def change(self, queue: Queue, attributes: Mapping[str, str], now: float) -> None:
        """Set attributes of a queue.

        Raises:
            AwsFault: One is not allowed; nothing is changed then.
        """
        settings = QueueSettings(queue.name, {**queue.settings.values, **attributes})
        self._check_redrive(queue.arn, settings)
        queue.settings = settings
        queue.changed = now

    def delete(self, queue: Queue, now: float) -> None:
        """End a queue; those who poll it are told."""
        queue.purge()
        del self._queues[queue.name]
        self._deleted[queue.name] = now
        self._on_visible(queue)

    def purge(self, queue: Queue, now: float) -> None:
        """Drop every message of a queue.

        Raises:
            AwsFault: The last purge was within a minute.
        """
        if now - queue.purged < REUSE_AFTER:
            raise AwsFault(
                "PurgeQueueInProgress",
                f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds.",
                status=403,
                query_code="AWS.SimpleQueueService.PurgeQueueInProgress",
            )
        queue.purged = now
        queue.purge()

    def deliver(self, delivery: Delivery, now: float) -> bool:
        """Take a message from SNS, if the queue's policy lets it.

        Returns:
            False if there is no such queue, or its policy does not allow it.
        """
        queue = self.of_arn(delivery.queue_arn)
        if queue is None or not _may_deliver(queue, delivery):
            return False
        queue.send(
            delivery.body,
            delivery.attributes,
            now=now,
            group=delivery.group_id,
            deduplication_id=delivery.deduplication_id if queue.settings.is_fifo else None,
        )
        return True

    def _check_redrive(self, source_arn: str, settings: QueueSettings) -> None:
        """Refuse a dead letter queue that is missing, of the other kind, or not to be used so."""
        if settings.redrive is None:
            return
        target = self.of_arn(settings.redrive.target_arn)
        if target is None:
            raise redrive_fault("Dead letter target does not exist.")
        if target.arn == source_arn:
            raise redrive_fault("A queue cannot be its own dead letter queue.")
        if target.settings.is_fifo != settings.is_fifo:
            raise redrive_fault("Dead-letter queue must be same type of queue as the source.")
        if not target.settings.redrive_allow.allows(source_arn):
            raise redrive_fault(
                "Dead-letter queue's redrive permission does not allow this source queue."
            )

    def _move(self, source: Queue, message: QueueMessage, now: float) -> bool:
        """Move a message to its dead letter queue.

        It keeps its id and its receive count, and from a standard queue its age. From a FIFO queue
        its id is its deduplication id, so that the target does not swallow it (SQS developer guide,
        "Configure a dead-letter queue redrive").
        """
        redrive = source.settings.redrive
        target = None if redrive is None else self.of_arn(redrive.target_arn)
        if target is None:
            return False
        is_fifo = source.settings.is_fifo
        target.send(
            message.body,
            message.attributes,
            now=now,
            group=message.group,
            deduplication_id=message.id if is_fifo else None,
            trace=message.trace,
            source_arn=source.arn,
            first_sent=None if is_fifo else message.sent,
            message_id=message.id,
            received=message.received,
            delay=0,
        )
        return True


def _check_same(existing: Queue, attributes: Mapping[str, str]) -> None:
    other = existing.settings.differs_from(attributes)
    if other is not None:
        raise AwsFault(
            "QueueNameExists",
            "A queue already exists with the same name and a different value for attribute "
            f"{other}",
            query_code="QueueAlreadyExists",
        )


def _may_deliver(queue: Queue, delivery: Delivery) -> bool:
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
