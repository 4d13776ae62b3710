"""Message move tasks: they bring dead letters back to a queue, as time passes."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.ids import new_id
from sourceflow.testing.local_aws.sqs.parameters import check_range

if TYPE_CHECKING:
    from sourceflow.testing.local_aws.sqs import shapes
    from sourceflow.testing.local_aws.sqs.messages import QueueMessage
    from sourceflow.testing.local_aws.sqs.queue import Queue
    from sourceflow.testing.local_aws.sqs.queues import Queues

__all__ = ("MoveTask", "MoveTasks", "source_of")

MAX_RATE: Final = 500
MAX_LISTED: Final = 10

_START: Final = ("StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
_LIST: Final = ("ListMessageMoveTasks", "GetQueueAttributes")
_CANCEL: Final = ("CancelMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
"""What a caller must be allowed on the dead letter queue (SQS developer guide, "Troubleshoot Amazon
SQS dead-letter queue and DLQ redrive issues")."""


class _Handle(msgspec.Struct, rename="camel"):
    task_id: str
    source_arn: str


@dataclass(slots=True, eq=False)
class MoveTask:
    """One task: a message a turn, until a turn finds none.

    Attributes:
        source: The dead letter queue.
        destination_arn: Where all messages go; None sends each back to where it came from.
        rate: Messages a second; None moves them all at once.
        started: When it was started, in seconds.
        to_move: How many messages were visible then.
        id: Tells it from others.
        moved: How many messages it has moved.
        status: Where it stands.
        failure: Why it failed, or None.
    """

    source: Queue
    destination_arn: str | None
    rate: int | None
    started: float
    to_move: int
    id: str = field(default_factory=new_id)
    moved: int = 0
    status: Literal["RUNNING", "COMPLETED", "CANCELLING", "CANCELLED", "FAILED"] = "RUNNING"
    failure: str | None = None

    @property
    def is_active(self) -> bool:
        """Whether it has turns left."""
        return self.status in {"RUNNING", "CANCELLING"}

    @property
    def due(self) -> float:
        """When its next turn is; every turn but the last moves one message."""
        return self.started + (self.moved / self.rate if self.rate else 0.0)

    @property
    def handle(self) -> str:
        """What cancels it."""
        return base64.b64encode(_ENCODER.encode(_Handle(self.id, self.source.arn))).decode()

    def described(self) -> shapes.Answer:
        """Return it as ListMessageMoveTasks tells of it."""
        fields = {
            "TaskHandle": self.handle if self.status == "RUNNING" else None,
            "Status": self.status,
            "SourceArn": self.source.arn,
            "DestinationArn": self.destination_arn,
            "MaxNumberOfMessagesPerSecond": self.rate,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "FailureReason": self.failure,
            "StartedTimestamp": int(self.started * 1000),
        }
        return {name: value for name, value in fields.items() if value is not None}


class MoveTasks:
    """Starts, tells of and cancels tasks, and takes their turns.

    Invariant: at most one task of a source queue is active, and it is the newest.

    Args:
        queues: The queues that messages are moved between.
    """

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._active: list[MoveTask] = []

    def start(self, request: shapes.StartMoveTask, now: float) -> shapes.Answer:
        """Start a task, whose first turn is now.

        Raises:
            AwsFault: It is refused.
        """
        check_range(
            "MaxNumberOfMessagesPerSecond", request.max_number_of_messages_per_second, 1, MAX_RATE
        )
        source = self._source(request.source_arn)
        self._queues.check_caller(source, *_START)
        if not self._queues.sources_of(source):
            raise _invalid("Source queue must be configured as a Dead Letter Queue.")
        self._check_destination(source, request.destination_arn)
        if source.moves and source.moves[-1].is_active:
            raise _invalid(
                "There is already a task running. Only one active task is allowed for a source "
                "queue arn at a given time."
            )
        source.advance(now)
        task = MoveTask(
            source=source,
            destination_arn=request.destination_arn or None,
            rate=request.max_number_of_messages_per_second,
            started=now,
            to_move=source.visible,
        )
        source.moves.append(task)
        self._active.append(task)
        self.advance(now)
        return {"TaskHandle": task.handle}

    def list_newest(self, request: shapes.ListMoveTasks, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        """Tell of the newest tasks of a queue, newest first.

        Raises:
            AwsFault: It is refused.
        """
        check_range("MaxResults", request.max_results, 1, MAX_LISTED)
        source = self._source(request.source_arn)
        self._queues.check_caller(source, *_LIST)
        newest = [task.described() for task in reversed(source.moves)]
        return {"Results": newest[: request.max_results or 1]}

    def cancel(self, request: shapes.CancelMoveTask, now: float) -> shapes.Answer:  # noqa: ARG002 - one shape for all
        """Let a task move no more; it is cancelled when its next message would have been due.

        Raises:
            AwsFault: There is no such task, or it is not running.
        """
        handle = _read_handle(request.task_handle)
        source = self._source(handle.source_arn)
        self._queues.check_caller(source, *_CANCEL)
        task = next((task for task in source.moves if task.id == handle.task_id), None)
        if task is None:
            raise _not_found("Task does not exist.")
        if task.status != "RUNNING":
            raise AwsFault(
                "UnsupportedOperation",
                f"Only a task that is RUNNING can be cancelled; this one is {task.status}.",
                query_code="AWS.SimpleQueueService.UnsupportedOperation",
            )
        task.status = "CANCELLING"
        return {"ApproximateNumberOfMessagesMoved": task.moved}

    def advance(self, now: float) -> None:
        """Take the turns that are due, each at its time."""
        if not self._active:
            return
        for task in self._active:
            while task.is_active and task.due <= now:
                self._take_turn(task, task.due)
        self._active = [task for task in self._active if task.is_active]

    def next_change(self) -> float | None:
        """Return when the next turn is due, or None."""
        return min((task.due for task in self._active), default=None)

    def _take_turn(self, task: MoveTask, now: float) -> None:
        if task.status == "CANCELLING":
            task.status = "CANCELLED"
            return
        try:
            has_moved = task.source.move_next(lambda message: self._send(task, message, now), now)
        except AwsFault as fault:
            task.status, task.failure = "FAILED", fault.query_code
            return
        if has_moved:
            task.moved += 1
        else:
            task.status = "COMPLETED"

    def _send(self, task: MoveTask, message: QueueMessage, now: float) -> None:
        """Send a dead letter on.

        It is a new message there, with an id, an age and a receive count of its own (SQS developer
        guide, "Configure a dead-letter queue redrive"). AWS says nothing of its deduplication id:
        here it keeps the one that it had as a dead letter.
        """
        target = self._target(task, message)
        target.send(
            message.body,
            message.attributes,
            now=now,
            group=message.group,
            deduplication_id=message.deduplication_id,
            trace=message.trace,
        )

    def _target(self, task: MoveTask, message: QueueMessage) -> Queue:
        arn = task.destination_arn or message.source_arn
        if arn is None:  # it was sent to the dead letter queue directly
            raise AwsFault(
                "CouldNotDetermineMessageSource", "The message has no original source queue."
            )
        target = self._queues.named(arn.rpartition(":")[2])
        self._queues.check_caller(target, "SendMessage")
        return target

    def _source(self, arn: str) -> Queue:
        source = self._queues.of_arn(arn)
        if source is None:
            raise _not_found(
                "The resource that you specified for the SourceArn parameter doesn't exist."
            )
        return source

    def _check_destination(self, source: Queue, arn: str | None) -> None:
        if not arn:
            return
        destination = self._queues.of_arn(arn)
        if destination is None:
            raise _not_found(
                "The resource that you specified for the DestinationArn parameter doesn't exist."
            )
        if destination is source:
            raise _invalid("Source queue arn and destination queue arn cannot be the same.")
        if destination.settings.is_fifo != source.settings.is_fifo:
            raise _invalid("Source queue and destination queue must be of the same type.")
        self._queues.check_caller(destination, "SendMessage")


_ENCODER: Final = msgspec.json.Encoder()
_HANDLE: Final = msgspec.json.Decoder(_Handle)


def source_of(handle: str) -> str:
    """Return the ARN of the dead letter queue whose task a handle cancels.

    Raises:
        AwsFault: It is no handle.
    """
    return _read_handle(handle).source_arn


def _read_handle(text: str) -> _Handle:
    try:
        return _HANDLE.decode(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise _invalid("Value for parameter TaskHandle is invalid.") from None


def _invalid(message: str) -> AwsFault:
    return AwsFault("InvalidParameterValue", message)


def _not_found(message: str) -> AwsFault:
    return AwsFault("ResourceNotFoundException", message, status=404)
