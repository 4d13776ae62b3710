"""Batches: the call succeeds, each entry for itself succeeds or fails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sourceflow.testing.local_aws.attributes import size_of_attributes
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.sqs.sending import NO_DEDUPLICATION, NO_GROUP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sourceflow.testing.local_aws.sqs.settings import QueueSettings
    from sourceflow.testing.local_aws.sqs.shapes import Answer, BatchEntry

__all__ = ("batch_answer", "check_batch", "check_batch_order", "check_batch_size")

MAX_ENTRIES: Final = 10
MAX_BYTES: Final = 1_048_576
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")


def check_batch(entries: Sequence[Any]) -> None:
    """Refuse a batch as a whole (SQS API reference, ``SendMessageBatch``, errors).

    Raises:
        AwsFault: It is empty, too long, or its ids are not distinct or not valid.
    """
    if not entries:
        raise _fault("EmptyBatchRequest", "There should be at least one entry in the request.")
    if len(entries) > MAX_ENTRIES:
        raise _fault(
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are {MAX_ENTRIES}. You have sent "
            f"{len(entries)}.",
        )
    seen: set[str] = set()
    for entry in entries:
        if not _ID.fullmatch(entry.id):
            raise _fault(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and "
                "underscores. It can be at most 80 letters long.",
            )
        if entry.id in seen:
            raise _fault("BatchEntryIdsNotDistinct", f"Id {entry.id} repeated.")
        seen.add(entry.id)


def check_batch_size(entries: Sequence[BatchEntry]) -> None:
    """Refuse a batch whose messages are too large together.

    Raises:
        AwsFault: They are.
    """
    total = 0
    for entry in entries:
        total += len(entry.message_body.encode()) + size_of_attributes(entry.message_attributes)
    if total > MAX_BYTES:
        raise _fault(
            "BatchRequestTooLong",
            f"Batch requests cannot be longer than {MAX_BYTES} bytes. You have sent {total} bytes.",
        )


def check_batch_order(settings: QueueSettings, entries: Sequence[BatchEntry]) -> None:
    """Refuse a batch to a FIFO queue as a whole where one entry says too little for its order.

    Raises:
        AwsFault: A group or a deduplication id is missing.
    """
    if not settings.is_fifo:
        return
    for entry in entries:
        if entry.message_group_id is None:
            raise AwsFault("InvalidParameterValue", NO_GROUP)
        if entry.message_deduplication_id is None and not settings.content_based:
            raise AwsFault("InvalidParameterValue", NO_DEDUPLICATION)


def _fault(code: str, message: str) -> AwsFault:
    return AwsFault(code, message, query_code=f"AWS.SimpleQueueService.{code}")


def batch_answer(entries: Sequence[Any], run: Callable[[Any], Answer | None]) -> Answer:
    """Run each entry and write down what became of it."""
    successful: list[Answer] = []
    failed: list[Answer] = []
    for entry in entries:
        try:
            answer = run(entry)
        except AwsFault as fault:
            failed.append(
                {
                    "Id": entry.id,
                    "SenderFault": True,
                    "Code": fault.query_code,
                    "Message": fault.message,
                }
            )
        else:
            successful.append({"Id": entry.id, **answer} if answer else {"Id": entry.id})
    return {"Successful": successful, "Failed": failed} if failed else {"Successful": successful}
