"""Data that SQS and SNS have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sourceflow.transports.aws.client.errors import entry_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sourceflow.errors import AwsError

__all__ = ("AttributeValue", "BatchFailure", "BatchResult", "BatchSuccess")


class AttributeValue(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True, gc=False):
    """The value of a message attribute.

    Attributes:
        data_type: ``String``, ``Number`` or ``Binary``, perhaps with a label: ``Number.int``.
        string_value: The value of all but binary ones.
        binary_value: The value of binary ones.
    """

    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None


class BatchSuccess(msgspec.Struct, frozen=True, rename="pascal", gc=False):
    """An entry of a batch that took effect.

    Attributes:
        id: The entry's id.
        message_id: What AWS calls the message that was sent; empty for deletions and the like.
        sequence_number: Its number on a FIFO queue or topic, else empty.
    """

    id: str
    message_id: str = ""
    sequence_number: str = ""


class BatchFailure(msgspec.Struct, frozen=True, rename="pascal", gc=False):
    """An entry of a batch that failed while the call succeeded.

    Attributes:
        id: The entry's id.
        code: AWS's code.
        sender_fault: Whether AWS blames the sender, so that trying again is of no use.
        message: What AWS says about it.
    """

    id: str
    code: str
    sender_fault: bool
    message: str = ""

    def to_error(self, operation: str) -> AwsError:
        """Return the error that stands for it; its class says whether to try again.

        Args:
            operation: The API operation that failed, such as ``SendMessageBatch``.
        """
        return entry_error(
            self.code, self.message, sender_fault=self.sender_fault, operation=operation
        )


class BatchResult(msgspec.Struct, frozen=True, rename="pascal"):
    """What became of the entries of a batch; each is in one of the two, in no order.

    Attributes:
        successful: Those that took effect.
        failed: Those that did not; the call as a whole succeeded.
    """

    successful: tuple[BatchSuccess, ...] = ()
    failed: tuple[BatchFailure, ...] = ()

    def completed(self, ids: Iterable[str]) -> BatchResult:
        """Return this result with a failure added for each id that the answer left out.

        Args:
            ids: The ids of all entries that were sent.
        """
        answered = {entry.id for entry in self.successful} | {entry.id for entry in self.failed}
        lost = tuple(
            BatchFailure(
                id,
                "NotInAnswer",
                sender_fault=False,
                message="the answer does not mention this entry",
            )
            for id in ids  # noqa: A001 - AWS's word
            if id not in answered
        )
        return BatchResult(self.successful, self.failed + lost) if lost else self
