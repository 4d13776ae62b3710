"""Topics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.sqs.deduplication import Deduplication

if TYPE_CHECKING:
    from sourceflow.testing.local_aws.sns.subscription import Subscription

__all__ = ("Published", "Topic", "check_topic_attribute")

DEFAULT_MAX_BYTES: Final = 262_144
MAX_BYTES: Final = range(1_024, 1_048_577)
MAX_DISPLAY_NAME: Final = 100
_FREE: Final = frozenset(
    {"Policy", "DeliveryPolicy", "KmsMasterKeyId", "TracingConfig", "DisplayName"}
)
_CHOICES: Final = {
    "FifoTopic": ("true", "false"),
    "ContentBasedDeduplication": ("true", "false"),
    "FifoThroughputScope": ("Topic", "MessageGroup"),
    "SignatureVersion": ("1", "2"),
}
_FIFO_DEFAULTS: Final = {"ContentBasedDeduplication": "false", "FifoThroughputScope": "Topic"}


class Published(NamedTuple):
    """What the publisher is told.

    Attributes:
        message_id: What SNS calls the message.
        sequence_number: Its number on a FIFO topic, or None.
    """

    message_id: str
    sequence_number: str | None


@dataclass(slots=True, eq=False)
class Topic:
    """One topic.

    Attributes:
        arn: Its ARN.
        attributes: What it is set to.
        tags: Its tags.
        subscriptions: Its subscriptions, by the ARN of their queue.
        deduplication: On FIFO topics, what was seen within five minutes.
        published: How many messages it has taken.
    """

    arn: str
    attributes: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    deduplication: Deduplication[Published] = field(default_factory=Deduplication)
    published: int = 0

    @property
    def is_fifo(self) -> bool:
        """Whether it keeps order."""
        return self.arn.endswith(".fifo")

    @property
    def is_content_based(self) -> bool:
        """Whether the deduplication id is made of the body where none is given."""
        return self.attributes.get("ContentBasedDeduplication") == "true"

    @property
    def scope_is_group(self) -> bool:
        """Whether each group deduplicates for itself (SNS API reference, FifoThroughputScope)."""
        return self.attributes.get("FifoThroughputScope") == "MessageGroup"

    @property
    def max_bytes(self) -> int:
        """What a message takes at most."""
        return int(self.attributes.get("MaximumMessageSize", DEFAULT_MAX_BYTES))

    def next_sequence_number(self) -> str | None:
        """Return the number of the next message of a FIFO topic: 20 digits that grow."""
        if not self.is_fifo:
            return None
        self.published += 1
        return f"{10_000_000_000_000_000_000 + self.published * 1000}"

    def values(self, owner: str) -> dict[str, str]:
        """Return all attributes, as GetTopicAttributes shows them."""
        return {
            "DisplayName": "",
            "Policy": "",
            "EffectiveDeliveryPolicy": "{}",
            **(_FIFO_DEFAULTS if self.is_fifo else {}),
            **self.attributes,
            "TopicArn": self.arn,
            "Owner": owner,
            "SubscriptionsConfirmed": str(len(self.subscriptions)),
            "SubscriptionsPending": "0",
            "SubscriptionsDeleted": "0",
        }

    def has(self, attributes: dict[str, str]) -> bool:
        """Whether another CreateTopic with these attributes asks for what there is."""
        values = self.values("")
        return all(values.get(name, "") == value for name, value in attributes.items())


def check_topic_attribute(name: str, value: str, *, is_fifo: bool) -> None:
    """Check an attribute (SNS API reference, ``CreateTopic`` and ``SetTopicAttributes``).

    Raises:
        AwsFault: It is unknown, out of range, or for FIFO topics alone.
    """
    match name:
        case _ if name in _FIFO_DEFAULTS and not is_fifo:
            is_right = False
        case _ if name in _CHOICES:
            is_right = value in _CHOICES[name]
        case "MaximumMessageSize":
            is_right = value.isdecimal() and int(value) in MAX_BYTES
        case "DisplayName":
            is_right = len(value) <= MAX_DISPLAY_NAME
        case _:
            if name not in _FREE:
                raise AwsFault("InvalidParameter", "Invalid parameter: AttributeName")
            is_right = True
    if not is_right:
        raise AwsFault("InvalidParameter", f"Invalid parameter: {name}")
