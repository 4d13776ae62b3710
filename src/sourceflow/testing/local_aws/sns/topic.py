"""Topics and subscriptions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.sns.filter_policy import (
    check_filter_policy,
    wants_attributes,
    wants_body,
)
from sourceflow.testing.local_aws.sqs.deduplication import Deduplication

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.testing.local_aws.attributes import MessageAttribute

__all__ = ("Subscription", "Topic")

DEFAULT_MAX_BYTES: Final = 262_144
_SETTABLE: Final = frozenset(
    {"RawMessageDelivery", "FilterPolicy", "FilterPolicyScope", "RedrivePolicy"}
)


@dataclass(slots=True)
class Topic:
    """One topic.

    Attributes:
        arn: Its ARN.
        attributes: What it is set to.
        tags: Its tags.
        deduplication: On FIFO topics, what was seen within five minutes.
        published: How many messages it has taken.
    """

    arn: str
    attributes: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)
    deduplication: Deduplication[str] = field(default_factory=Deduplication)
    published: int = 0

    @property
    def is_fifo(self) -> bool:
        """Whether it keeps order."""
        return self.arn.endswith(".fifo")

    @property
    def max_bytes(self) -> int:
        """What a message takes at most."""
        return int(self.attributes.get("MaximumMessageSize", DEFAULT_MAX_BYTES))


class Subscription:
    """A queue's subscription to a topic.

    Raises:
        AwsFault: An attribute is unknown or wrong.
    """

    def __init__(
        self, *, arn: str, topic: Topic, endpoint: str, attributes: Mapping[str, str]
    ) -> None:
        self.arn = arn
        self.topic = topic
        self.endpoint = endpoint
        self.attributes: dict[str, str] = {}
        self._filter: dict[str, Any] | None = None
        for name, value in attributes.items():
            self.set(name, value)

    def set(self, name: str, value: str) -> None:
        """Set an attribute; an empty value removes it.

        Raises:
            AwsFault: It is unknown or wrong.
        """
        if name not in _SETTABLE:
            raise AwsFault("InvalidParameter", "Invalid parameter: AttributeName")
        if name == "RawMessageDelivery" and value not in {"true", "false"}:
            raise _wrong("RawMessageDelivery", "must be true or false")
        if name == "FilterPolicyScope" and value not in {"MessageAttributes", "MessageBody"}:
            raise _wrong("FilterPolicyScope", "unknown scope")
        if name == "RedrivePolicy" and value:
            self._check_redrive(value)
        if name == "FilterPolicy":
            self._set_filter(value)
        if value:
            self.attributes[name] = value
        else:
            self.attributes.pop(name, None)

    def _check_redrive(self, value: str) -> None:
        try:
            msgspec.json.decode(value, type=dict[str, Any])["deadLetterTargetArn"]
        except (msgspec.MsgspecError, KeyError):
            raise _wrong("RedrivePolicy", "deadLetterTargetArn is missing") from None

    def _set_filter(self, value: str) -> None:
        try:
            self._filter = check_filter_policy(value) if value and value != "{}" else None
        except ValueError as error:
            raise _wrong("FilterPolicy", str(error)) from None

    def has(self, attributes: Mapping[str, str]) -> bool:
        """Whether another Subscribe with these attributes asks for what there is."""
        return all(
            _parsed(self.attributes.get(name)) == _parsed(value)
            for name, value in attributes.items()
        )

    @property
    def is_raw(self) -> bool:
        """Whether messages are delivered as they are."""
        return self.attributes.get("RawMessageDelivery") == "true"

    @property
    def dead_letter_arn(self) -> str | None:
        """Where messages go that cannot be delivered."""
        policy = self.attributes.get("RedrivePolicy")
        if policy is None:
            return None
        return str(msgspec.json.decode(policy)["deadLetterTargetArn"])

    def wants(self, body: str, attributes: Mapping[str, MessageAttribute]) -> bool:
        """Whether a message passes the filter policy."""
        if self._filter is None:
            return True
        if self.attributes.get("FilterPolicyScope") == "MessageBody":
            return wants_body(self._filter, body)
        return wants_attributes(self._filter, attributes)


def _wrong(name: str, reason: str) -> AwsFault:
    return AwsFault("InvalidParameter", f"Invalid parameter: {name}: {reason}")


def _parsed(value: str | None) -> Any:
    try:
        return None if value is None else msgspec.json.decode(value)
    except msgspec.MsgspecError:
        return value
