"""From a topic to the queues that are subscribed to it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from sourceflow.testing.local_aws.attributes import (
    MAX_ATTRIBUTES,
    MessageAttribute,
    check_names_and_values,
    size_of_attributes,
)
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.ids import new_id
from sourceflow.testing.local_aws.sns.delivery import Delivery
from sourceflow.testing.local_aws.sns.notification import notification
from sourceflow.testing.local_aws.sns.topic import Published

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.testing.local_aws.sns.delivery import Deliver
    from sourceflow.testing.local_aws.sns.subscription import Subscription
    from sourceflow.testing.local_aws.sns.topic import Topic

__all__ = ("Publication", "body_for_queues", "check_attributes_of", "check_order", "publish")

MAX_SUBJECT: Final = 100
_PUNCTUATED: Final = re.compile(r"[!-~]{1,128}")
_SUBJECT: Final = re.compile(r"[^\s\x00-\x1f\x7f-\uffff][^\x00-\x1f\x7f-\uffff]*")
_STRUCTURE: Final = "Invalid parameter: Message Structure - "


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

    @property
    def size(self) -> int:
        """Bytes that count."""
        return len(self.body.encode()) + size_of_attributes(self.attributes)


def publish(
    topic: Topic, publication: Publication, *, now: float, deliver: Deliver, endpoint: str
) -> Published:
    """Publish a message to every subscription that wants it.

    A FIFO topic takes one that it has seen as that one: it is answered so, and not delivered.

    Raises:
        AwsFault: It cannot be published.
    """
    _check(topic, publication)
    published = Published(new_id(), topic.next_sequence_number())
    if topic.is_fifo:
        key = publication.deduplication_id or hashlib.sha256(publication.body.encode()).hexdigest()
        publication = replace(publication, deduplication_id=key)
        place = (publication.group_id if topic.scope_is_group else None, key)
        seen = topic.deduplication.find(place, now)
        if seen is not None:
            return seen
        topic.deduplication.put(place, published, now)
    for subscription in topic.subscriptions.values():
        if subscription.wants(publication.body, publication.attributes):
            if subscription.is_raw:
                body, attributes = publication.body, publication.attributes
            else:
                body = notification(
                    subscription, publication, published, now=now, endpoint=endpoint
                )
                attributes = {}
            _deliver(subscription, replace(publication, body=body, attributes=attributes), deliver)
    return published


def _check(topic: Topic, publication: Publication) -> None:
    if not publication.body:
        raise AwsFault("InvalidParameter", "Invalid parameter: Empty message")
    check_attributes_of(publication)
    if publication.size > topic.max_bytes:
        raise AwsFault("InvalidParameter", "Invalid parameter: Message too long")
    subject = publication.subject
    if subject is not None and (len(subject) > MAX_SUBJECT or not _SUBJECT.fullmatch(subject)):
        raise AwsFault("InvalidParameter", "Invalid parameter: Subject")
    check_order(topic, publication)


def check_attributes_of(publication: Publication) -> None:
    """Check the attributes of a message; SNS takes any number of them.

    Raises:
        AwsFault: One is not allowed.
    """
    try:
        check_names_and_values(publication.attributes)
    except ValueError as error:
        raise AwsFault("ParameterValueInvalid", str(error)) from None


def check_order(topic: Topic, publication: Publication) -> None:
    """Check group and deduplication id against the kind of the topic.

    Raises:
        AwsFault: One is malformed, missing, or not for this kind.
    """
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
    if deduplication is None and not topic.is_content_based:
        raise AwsFault(
            "InvalidParameter",
            "Invalid parameter: The topic should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly",
        )


def _deliver(subscription: Subscription, publication: Publication, deliver: Deliver) -> None:
    """Deliver to a queue, else to the subscription's dead letter queue, else not at all.

    With raw delivery a message of over 10 attributes is discarded as a client error (SNS developer
    guide, "Amazon SNS message attributes").
    """
    too_many = len(publication.attributes) > MAX_ATTRIBUTES
    if not too_many and deliver(_delivery(subscription.endpoint, subscription.topic, publication)):
        return
    dead_letter_arn = subscription.dead_letter_arn
    if dead_letter_arn is not None:
        if too_many:
            publication = replace(publication, attributes={})
        deliver(_delivery(dead_letter_arn, subscription.topic, publication))


def _delivery(queue_arn: str, topic: Topic, publication: Publication) -> Delivery:
    """Address a message. Groups go from FIFO to FIFO, and from standard to standard (fair queues)."""
    is_fifo = queue_arn.endswith(".fifo")
    return Delivery(
        queue_arn=queue_arn,
        topic_arn=topic.arn,
        body=publication.body,
        attributes=publication.attributes,
        group_id=publication.group_id if is_fifo == topic.is_fifo else None,
        deduplication_id=publication.deduplication_id if is_fifo else None,
    )


def body_for_queues(message: str, structure: str | None) -> str:
    """Return what queues get of a message that may have a text for each protocol.

    Raises:
        AwsFault: It should have, and has not.
    """
    if structure != "json":
        return message
    try:
        by_protocol = msgspec.json.decode(message, type=dict[str, object])
    except msgspec.MsgspecError:
        raise AwsFault(
            "InvalidParameter", f"{_STRUCTURE}JSON message body failed to parse"
        ) from None
    default = by_protocol.get("default")
    if not isinstance(default, str):
        raise AwsFault("InvalidParameter", f"{_STRUCTURE}No default entry in JSON message body")
    own = by_protocol.get("sqs")
    return own if isinstance(own, str) else default
