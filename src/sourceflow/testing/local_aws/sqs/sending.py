"""What a message must be like to be sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sourceflow.testing.local_aws.attributes import (
    FORBIDDEN,
    check_attributes,
    size_of_attributes,
)
from sourceflow.testing.local_aws.errors import AwsFault

if TYPE_CHECKING:
    from sourceflow.testing.local_aws.sqs.settings import QueueSettings
    from sourceflow.testing.local_aws.sqs.shapes import SendMessage

__all__ = ("NO_DEDUPLICATION", "NO_GROUP", "check_message")

_PUNCTUATED: Final = re.compile(r"[!-~]{1,128}")
MAX_DELAY: Final = 900
NO_GROUP: Final = "The request must contain the parameter MessageGroupId."
NO_DEDUPLICATION: Final = (
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
    "provided explicitly"
)


def check_message(settings: QueueSettings, request: SendMessage) -> None:
    """Check a message.

    Raises:
        AwsFault: It cannot be sent.
    """
    body = request.message_body
    if not body:
        raise AwsFault("MissingParameter", "The request must contain the parameter MessageBody.")
    if FORBIDDEN.search(body):
        raise AwsFault(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to "
            "#xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        )
    attributes = request.message_attributes
    size = len(body) if body.isascii() else len(body.encode())
    if attributes:
        try:
            check_attributes(attributes)
        except ValueError as error:
            raise AwsFault("InvalidParameterValue", str(error)) from None
        size += size_of_attributes(attributes)
    if size > settings.max_bytes:
        raise AwsFault(
            "InvalidParameterValue",
            "One or more parameters are invalid. Reason: Message must be shorter than "
            f"{settings.max_bytes} bytes.",
        )
    _check_system_attributes(request)
    _check_delay(settings, request)
    _check_group(settings, request)


def _check_system_attributes(request: SendMessage) -> None:
    for name in request.message_system_attributes:
        if name != "AWSTraceHeader":
            raise AwsFault(
                "InvalidParameterValue", f"Message system attribute name {name} is not supported."
            )


def _check_delay(settings: QueueSettings, request: SendMessage) -> None:
    delay = request.delay_seconds
    if delay is None:
        return
    if settings.is_fifo and delay:
        raise AwsFault(
            "InvalidParameterValue",
            f"Value {delay} for parameter DelaySeconds is invalid. Reason: The request include "
            "parameter that is not valid for this queue type.",
        )
    if not 0 <= delay <= MAX_DELAY:
        raise AwsFault(
            "InvalidParameterValue",
            f"Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be "
            f">= 0 and <= {MAX_DELAY}.",
        )


def _check_group(settings: QueueSettings, request: SendMessage) -> None:
    group, deduplication = request.message_group_id, request.message_deduplication_id
    if settings.is_fifo and group is None:
        raise AwsFault("MissingParameter", NO_GROUP)
    if not settings.is_fifo and deduplication is not None:
        raise AwsFault(
            "InvalidParameterValue",
            f"Value {deduplication} for parameter MessageDeduplicationId is invalid. Reason: The "
            "request includes a parameter that is not valid for this queue type.",
        )
    if settings.is_fifo and deduplication is None and not settings.content_based:
        raise AwsFault("InvalidParameterValue", NO_DEDUPLICATION)
    for name, value in (("MessageGroupId", group), ("MessageDeduplicationId", deduplication)):
        if value is not None and not _PUNCTUATED.fullmatch(value):
            raise AwsFault(
                "InvalidParameterValue",
                f"Value {value} for parameter {name} is invalid. Reason: {name} can only include "
                "alphanumeric and punctuation characters. 1 to 128 in length.",
            )
