"""Amazon SNS: publishing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from sourceflow.messages.body import bodiless_repr, bodiless_rich_repr
from sourceflow.transports.aws.client.base import ServiceClient
from sourceflow.transports.aws.client.errors import unreadable, xml_error
from sourceflow.transports.aws.client.form import encode_form
from sourceflow.transports.aws.client.shapes import (
    AttributeValue,
    BatchFailure,
    BatchResult,
    BatchSuccess,
)
from sourceflow.transports.aws.client.xml import InvalidXmlError, parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from sourceflow.errors import AwsError

__all__ = ("PublishEntry", "SnsClient")

_VERSION = (b"Version", "2010-03-31")


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


class SnsClient(ServiceClient):
    """Calls SNS; every method raises a subclass of ``AwsError``, see ``ServiceClient``."""

    async def publish_batch(self, topic_arn: str, entries: Sequence[PublishEntry]) -> BatchResult:
        """Publish 1 to 10 messages together, as large together as the topic takes for one.

        Returns:
            What became of each entry: some may fail while others are published.
        """
        fields = [(b"Action", "PublishBatch"), _VERSION, (b"TopicArn", topic_arn)]
        for number, entry in enumerate(entries, 1):
            _add(fields, number, entry)
        answer = await self._call("PublishBatch", encode_form(fields))
        result = _read_result(answer)
        if len(result.successful) + len(result.failed) == len(entries):
            return result
        return result.completed(entry.id for entry in entries)

    async def get_topic_attributes(self, topic_arn: str) -> dict[str, str]:
        """Return the attributes of a topic, such as ``MaximumMessageSize`` where it was set, by name.

        Raises:
            AwsConfigurationError: There is no such topic.
        """
        operation = "GetTopicAttributes"
        body = encode_form(((b"Action", operation), _VERSION, (b"TopicArn", topic_arn)))
        attributes = _result(await self._call(operation, body), operation).find("Attributes")
        if attributes is None:
            raise unreadable(operation)
        return {entry.findtext("key", ""): entry.findtext("value", "") for entry in attributes}

    @staticmethod
    def _read_error(
        status: int, headers: Mapping[str, str], body: bytes, *, operation: str
    ) -> AwsError:
        return xml_error(status, headers, body, operation=operation)

    @staticmethod
    def _headers(operation: str) -> Mapping[str, str]:  # noqa: ARG004 - the form says which
        return {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


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


def _result(answer: bytes, operation: str) -> Element:
    try:
        result = parse_xml(answer).find(f"{operation}Result")
    except InvalidXmlError as error:
        raise unreadable(operation) from error
    if result is None:
        raise unreadable(operation)
    return result


def _read_result(answer: bytes) -> BatchResult:
    result = _result(answer, "PublishBatch")
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
