"""Received messages, as they are written back."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.testing.local_aws.attributes import MessageAttribute, md5_of_attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sourceflow.testing.local_aws.sqs.messages import QueueMessage
    from sourceflow.testing.local_aws.sqs.shapes import ReceiveMessage

__all__ = ("written",)

SENDER: Final = "AIDAIENQZJOLO23YVJ4VO"

_ENCODER: Final = msgspec.json.Encoder()


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


_SYSTEM: Final[dict[str, Callable[[QueueMessage], str | None]]] = {
    "ApproximateReceiveCount": lambda message: str(message.received),
    "ApproximateFirstReceiveTimestamp": lambda message: _milliseconds(message.first_received),
    "SentTimestamp": lambda message: _milliseconds(message.sent),
    "SenderId": lambda _: SENDER,
    "MessageGroupId": lambda message: message.group,
    "MessageDeduplicationId": lambda message: message.deduplication_id,
    "SequenceNumber": lambda message: (
        None if message.deduplication_id is None else message.sequence_number
    ),
    "AWSTraceHeader": lambda message: message.trace,
    "DeadLetterQueueSourceArn": lambda message: message.source_arn,
}


def written(messages: Sequence[QueueMessage], request: ReceiveMessage) -> bytes:
    """Write the answer: system and message attributes only as far as they were asked for."""
    system = {*request.attribute_names, *request.message_system_attribute_names}
    readers = (
        _SYSTEM if "All" in system else {name: _SYSTEM[name] for name in system if name in _SYSTEM}
    )
    return _ENCODER.encode(
        {"Messages": [_write(message, readers, request) for message in messages]}
    )


def _write(
    message: QueueMessage,
    readers: Mapping[str, Callable[[QueueMessage], str | None]],
    request: ReceiveMessage,
) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt_handle,
        "MD5OfBody": message.body_md5,
        "Body": message.body,
    }
    if readers:
        values = {name: read(message) for name, read in readers.items()}
        answer["Attributes"] = {name: value for name, value in values.items() if value is not None}
    attributes = _chosen(message.attributes, request.message_attribute_names)
    if attributes:
        whole = len(attributes) == len(message.attributes)
        answer["MD5OfMessageAttributes"] = (
            message.attributes_md5 if whole else md5_of_attributes(attributes)
        )
        answer["MessageAttributes"] = {
            name: _attribute(value) for name, value in attributes.items()
        }
    return answer


def _chosen(
    attributes: Mapping[str, MessageAttribute], wanted: Sequence[str]
) -> Mapping[str, MessageAttribute]:
    """Return the attributes asked for: by name, ``prefix.*``, or all."""
    if not attributes or not wanted:
        return {}
    if "All" in wanted or ".*" in wanted:
        return attributes
    prefixes = tuple(name.removesuffix(".*") for name in wanted if name.endswith(".*"))
    return {
        name: value
        for name, value in attributes.items()
        if name in wanted or (prefixes and name.startswith(prefixes))
    }


def _attribute(value: MessageAttribute) -> dict[str, str]:
    if value.binary_value is not None:
        return {
            "DataType": value.data_type,
            "BinaryValue": base64.b64encode(value.binary_value).decode(),
        }
    return {"DataType": value.data_type, "StringValue": value.string_value or ""}
