"""Message move tasks of SQS, as it tells of them."""

from __future__ import annotations

import msgspec

__all__ = ("MessageMoveTask",)


class MessageMoveTask(msgspec.Struct, frozen=True, rename="pascal"):
    """One move of the messages of a dead letter queue (SQS API reference, ``ListMessageMoveTasks``).

    Attributes:
        status: ``RUNNING``, ``COMPLETED``, ``CANCELLING``, ``CANCELLED`` or ``FAILED``.
        source_arn: The dead letter queue.
        destination_arn: Where all messages go; empty where each goes back to where it came from.
        task_handle: Cancels the task; empty unless it is running.
        max_number_of_messages_per_second: The rate; None where SQS chooses it.
        approximate_number_of_messages_moved: How many it has moved.
        approximate_number_of_messages_to_move: How many there were to move when it started.
        failure_reason: Why it failed, such as ``CouldNotDetermineMessageSource``; else empty.
        started_timestamp: When it started, in milliseconds since 1970.
    """

    status: str
    source_arn: str
    destination_arn: str = ""
    task_handle: str = ""
    max_number_of_messages_per_second: int | None = None
    approximate_number_of_messages_moved: int = 0
    approximate_number_of_messages_to_move: int = 0
    failure_reason: str = ""
    started_timestamp: int = 0
