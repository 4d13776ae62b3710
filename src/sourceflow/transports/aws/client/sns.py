"""Amazon SNS: publishing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from sourceflow.messages.body import bodiless_repr, bodiless_rich_repr
from sourceflow.transports.aws.client.form import encode_form
from sourceflow.transports.aws.client.shapes import (
    AttributeValue,
    BatchFailure,
    BatchResult,
    BatchSuccess,
)
from sourceflow.transports.aws.client.sns_topics import VERSION, SnsTopics, read_result

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ("PublishEntry", "SnsClient")


class PublishEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message to publish.

    Attributes:
        id: Names the entry within its batch: up to 80 letters, digits, ``-`` and ``_``.
        body: The text.
        attributes: Message attributes; a str is sent as a ``String``.
        group_id: The message group; required on FIFO topics, passed on to standard queues by others.
        deduplication_id: On FIFO topics, what makes two messages within 5 minutes one.
    """

    id: str
    body: str
    attributes: Mapping[str, str | AttributeValue] = {}
    group_id: str | None = None
    deduplication_id: str | None = None

    __repr__ = bodiless_repr
    __rich_repr__ = bodiless_rich_repr


class SnsClient(SnsTopics):
    """Calls SNS; every method raises a subclass of ``AwsError``, see ``ServiceClient``."""

    async def publish_batch(self, topic_arn: str, entries: Sequence[PublishEntry]) -> BatchResult:
        """Publish 1 to 10 messages together, as large together as the topic takes for one.

        Returns:
            What became of each entry: some may fail while others are published.
        """
        fields = [(b"Action", "PublishBatch"), VERSION, (b"TopicArn", topic_arn)]
        for number, entry in enumerate(entries, 1):
            _add(fields, number, entry)
        answer = await self._call("PublishBatch", encode_form(fields))
        result = _read_result(answer)
        if len(result.successful) + len(result.failed) == len(entries):
            return result
        return result.completed(entry.id for entry in entries)


def _add(fields: list[tuple[bytes, str]], number: int, entry: PublishEntry) -> None:
    message_id, body, group, deduplication = _entry_names(number)
    fields += ((message_id, entry.id), (body, entry.body))
    if entry.group_id is not None:
        fields.append((group, entry.group_id))
    if entry.deduplication_id is not None:
        fields.append((deduplication, entry.deduplication_id))
    for position, (key, value) in enumerate(entry.attributes.items(), 1):
        name, data_type, text, binary = _attribute_names(number, position)
        if isinstance(value, str):
            fields += ((name, key), (data_type, "String"), (text, value))
        elif value.binary_value is None:
            fields += ((name, key), (data_type, value.data_type), (text, value.string_value or ""))
        else:
            encoded = b64encode(value.binary_value).decode("ascii")
            fields += ((name, key), (data_type, value.data_type), (binary, encoded))


@lru_cache(maxsize=10)
def _entry_names(number: int) -> tuple[bytes, bytes, bytes, bytes]:
    prefix = b"PublishBatchRequestEntries.member.%d." % number
    return (
        prefix + b"Id",
        prefix + b"Message",
        prefix + b"MessageGroupId",
        prefix + b"MessageDeduplicationId",
    )


@lru_cache(maxsize=100)
def _attribute_names(number: int, position: int) -> tuple[bytes, bytes, bytes, bytes]:
    prefix = b"PublishBatchRequestEntries.member.%d.MessageAttributes.entry.%d." % (
        number,
        position,
    )
    return (
        prefix + b"Name",
        prefix + b"Value.DataType",
        prefix + b"Value.StringValue",
        prefix + b"Value.BinaryValue",
    )


def _read_result(answer: bytes) -> BatchResult:
    result = read_result(answer, "PublishBatch")
    successful = tuple(_success(member) for member in result.iterfind("Successful/member"))
    failed = tuple(_failure(member) for member in result.iterfind("Failed/member"))
    return BatchResult(successful, failed)


def _success(member: Element) -> BatchSuccess:
    return BatchSuccess(
        member.findtext("Id", ""),
        member.findtext("MessageId", ""),
        member.findtext("SequenceNumber", ""),
    )


def _failure(member: Element) -> BatchFailure:
    return BatchFailure(
        member.findtext("Id", ""),
        member.findtext("Code", ""),
        sender_fault=member.findtext("SenderFault") == "true",
        message=member.findtext("Message", ""),
    )
