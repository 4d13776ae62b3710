"""The envelope of messages that are not delivered raw."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from sourceflow.testing.local_aws.attributes import MessageAttribute
    from sourceflow.testing.local_aws.sns.publishing import Publication
    from sourceflow.testing.local_aws.sns.subscription import Subscription
    from sourceflow.testing.local_aws.sns.topic import Published

__all__ = ("notification",)


def notification(
    subscription: Subscription,
    publication: Publication,
    published: Published,
    *,
    now: float,
    endpoint: str,
) -> str:
    """Write the JSON document that carries a message; that of a FIFO topic is numbered, not signed."""
    document: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": published.message_id,
        "TopicArn": subscription.topic.arn,
    }
    if published.sequence_number is not None:
        document["SequenceNumber"] = published.sequence_number
    if publication.subject is not None:
        document["Subject"] = publication.subject
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    document |= {"Message": publication.body, "Timestamp": time.replace("+00:00", "Z")}
    if not subscription.topic.is_fifo:
        document |= {
            "SignatureVersion": subscription.topic.attributes.get("SignatureVersion", "1"),
            "Signature": base64.b64encode(b"LocalAws signs nothing").decode(),
            "SigningCertURL": f"{endpoint}/SimpleNotificationService.pem",
        }
    document["UnsubscribeURL"] = (
        f"{endpoint}/?Action=Unsubscribe&SubscriptionArn={subscription.arn}"
    )
    if publication.attributes:
        document["MessageAttributes"] = {
            name: {"Type": value.data_type, "Value": _text(value)}
            for name, value in publication.attributes.items()
        }
    return msgspec.json.encode(document).decode()


def _text(value: MessageAttribute) -> str | None:
    if value.binary_value is None:
        return value.string_value
    return base64.b64encode(value.binary_value).decode()
