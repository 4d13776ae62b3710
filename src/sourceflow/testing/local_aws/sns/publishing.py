"""From a topic to the queues that are subscribed to it."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.testing.local_aws.attributes import (
    MAX_ATTRIBUTES,
    MessageAttribute,
    check_names_and_values,
    size_of_attributes,
)
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.sns.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sourceflow.testing.local_aws.sns.delivery import Deliver
    from sourceflow.testing.local_aws.sns.topic import Subscription, Topic

__all__ = ("Publication", "Published", "publish")

MAX_SUBJECT: Final = 100
_PUNCTUATED: Final = re.compile(r"[!-~]{1,128}")
_SUBJECT: Final = re.compile(r"[^\s\x00-\x1f\x7f-\uffff][^\x00-\x1f\x7f-\uffff]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A message that is being published.

    Attributes:
        body: The text.
        attributes: What stands beside it.
        subject: The subject, or None.
        group_id: The message group, or None.
        deduplication_id: The deduplication id, or None.
    """

    body: str
    attributes: Mapping[str, MessageAttribute]
    subject: str | None = None
    group_id: str | None = None
    deduplication_id: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What the publisher is told.

    Attributes:
        message_id: What SNS calls the message.
        sequence_number: Its number on a FIFO topic, or None.
    """

    message_id: str
    sequence_number: str | None


def publish(
    topic: Topic,
    subscriptions: Sequence[Subscription],
    publication: Publication,
    *,
    now: float,
    deliver: Deliver,
    endpoint: str,
) -> Published:
    """Publish a message to every subscription that wants it.

    Raises:
        AwsFault: It cannot be published.
    """
    _check(topic, publication)
    message_id = str(uuid.uuid4())
    sequence = None
    if topic.is_fifo:
        key = publication.deduplication_id or hashlib.sha256(publication.body.encode()).hexdigest()
        publication = replace(publication, deduplication_id=key)
        place = key
        if topic.attributes.get("FifoThroughputScope") == "MessageGroup":
            place = f"{publication.group_id} {key}"
        seen = topic.deduplication.find(place, now)
        if seen is not None:
            return Published(seen, None)
        topic.deduplication.put(place, message_id, now)
        topic.published += 1
        sequence = f"{10_000_000_000_000_000_000 + topic.published * 1000}"
    for subscription in subscriptions:
        if subscription.wants(publication.body, publication.attributes):
            _deliver(subscription, publication, message_id, sequence, now, deliver, endpoint)
    return Published(message_id, sequence)


def _check(topic: Topic, publication: Publication) -> None:
    if not publication.body:
        raise AwsFault("InvalidParameter", "Invalid parameter: Empty message")
    try:
        check_names_and_values(publication.attributes)
    except ValueError as error:
        raise AwsFault("ParameterValueInvalid", str(error)) from None
    size = len(publication.body.encode()) + size_of_attributes(publication.attributes)
    if size > topic.max_bytes:
        raise AwsFault("InvalidParameter", "Invalid parameter: Message too long")
    subject = publication.subject
    if subject is not None and (len(subject) > MAX_SUBJECT or not _SUBJECT.fullmatch(subject)):
        raise AwsFault("InvalidParameter", "Invalid parameter: Subject")
    _check_order(topic, publication)


def _check_order(topic: Topic, publication: Publication) -> None:
    group, deduplication = publication.group_id, publication.deduplication_id
    for name, value in (("MessageGroupId", group), ("MessageDeduplicationId", deduplication)):
        if value is not None and not _PUNCTUATED.fullmatch(value):
            raise AwsFault(
                "InvalidParameter", f"Invalid parameter: {name} Reason: {name} is invalid"
            )
    if not topic.is_fifo:
        if deduplication is not None:
            raise AwsFault(
                "InvalidParameter",
                "Invalid parameter: MessageDeduplicationId Reason: The request includes "
                "MessageDeduplicationId parameter that is not valid for this topic type",
            )
        return
    if group is None:
        raise AwsFault(
            "InvalidParameter",
            "Invalid parameter: The MessageGroupId parameter is required for FIFO topics",
        )
    if deduplication is None and topic.attributes.get("ContentBasedDeduplication") != "true":
        raise AwsFault(
            "InvalidParameter",
            "Invalid parameter: The topic should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly",
        )


def _deliver(
    subscription: Subscription,
    publication: Publication,
    message_id: str,
    sequence: str | None,
    now: float,
    deliver: Deliver,
    endpoint: str,
) -> None:
    """Deliver to a queue, else to the subscription's dead letter queue, else not at all.

    With raw delivery a message of over 10 attributes is discarded as a client error (SNS developer
    guide, "Amazon SNS raw message delivery").
    """
    topic = subscription.topic
    if subscription.is_raw:
        body, attributes = publication.body, publication.attributes
    else:
        body = _notification(subscription, publication, message_id, sequence, now, endpoint)
        attributes = {}
    delivery = Delivery(
        queue_arn=subscription.endpoint,
        topic_arn=topic.arn,
        body=body,
        attributes=attributes,
        group_id=publication.group_id,
        deduplication_id=publication.deduplication_id,
    )
    too_many = subscription.is_raw and len(attributes) > MAX_ATTRIBUTES
    if not too_many and deliver(delivery):
        return
    dead_letter_arn = subscription.dead_letter_arn
    if dead_letter_arn is not None:
        deliver(
            replace(delivery, queue_arn=dead_letter_arn, attributes={} if too_many else attributes)
        )


def _notification(
    subscription: Subscription,
    publication: Publication,
    message_id: str,
    sequence: str | None,
    now: float,
    endpoint: str,
) -> str:
    document: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": subscription.topic.arn,
    }
    if sequence is not None:
        document["SequenceNumber"] = sequence
    if publication.subject is not None:
        document["Subject"] = publication.subject
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    document |= {
        "Message": publication.body,
        "Timestamp": time.replace("+00:00", "Z"),
        "SignatureVersion": "1",
        "Signature": base64.b64encode(b"LocalAws signs nothing").decode(),
        "SigningCertURL": f"{endpoint}/SimpleNotificationService.pem",
        "UnsubscribeURL": f"{endpoint}/?Action=Unsubscribe&SubscriptionArn={subscription.arn}",
    }
    if publication.attributes:
        document["MessageAttributes"] = {
            name: {
                "Type": value.data_type,
                "Value": value.string_value
                if value.binary_value is None
                else base64.b64encode(value.binary_value).decode(),
            }
            for name, value in publication.attributes.items()
        }
    return msgspec.json.encode(document).decode()
