"""Subscriptions of queues to topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.sns.filter_policy import (
    check_filter_policy,
    wants_attributes,
    wants_body,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.testing.local_aws.attributes import MessageAttribute
    from sourceflow.testing.local_aws.sns.topic import Topic

__all__ = ("Subscription",)

_SCOPES: Final = ("MessageAttributes", "MessageBody")
_DEFAULTS: Final = {"RawMessageDelivery": "false", "FilterPolicyScope": "MessageAttributes"}


class Subscription:
    """A queue's subscription to a topic.

    Args:
        arn: Its ARN.
        topic: The topic.
        endpoint: The ARN of the queue.
        attributes: What it is set to.

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
        self.dead_letter_arn: str | None = None
        self._filter: dict[str, Any] | None = None
        # The scope says what a policy may be like, so it comes first.
        for name in sorted(attributes, key=lambda name: name != "FilterPolicyScope"):
            self.set(name, attributes[name])

    def set(self, name: str, value: str) -> None:
        """Set an attribute; an empty value removes a policy.

        Raises:
            AwsFault: It is unknown or wrong.
        """
        match name:
            case "RawMessageDelivery":
                if value not in {"true", "false"}:
                    raise _wrong(name, f"Invalid value [{value}]. Must be true or false.")
            case "FilterPolicyScope":
                if value not in _SCOPES:
                    raise _wrong(name, f"Invalid value [{value}].")
            case "FilterPolicy":
                self._filter = self._checked_filter(value)
            case "RedrivePolicy":
                self.dead_letter_arn = self._checked_redrive(value)
            case _:
                raise AwsFault("InvalidParameter", "Invalid parameter: AttributeName")
        if value:
            self.attributes[name] = value
        else:
            self.attributes.pop(name, None)

    def _checked_redrive(self, value: str) -> str | None:
        if not value:
            return None
        try:
            arn = str(msgspec.json.decode(value, type=dict[str, Any]).get("deadLetterTargetArn"))
        except msgspec.MsgspecError:
            raise _wrong("RedrivePolicy", "failed to parse JSON.") from None
        if not arn.startswith("arn:aws:sqs:"):
            raise _wrong("RedrivePolicy", "deadLetterTargetArn is an invalid arn")
        if self.endpoint.endswith(".fifo") and not arn.endswith(".fifo"):
            raise _wrong(
                "RedrivePolicy",
                "must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.",
            )
        return arn

    def _checked_filter(self, value: str) -> dict[str, Any] | None:
        if not value or value == "{}":
            return None
        try:
            return check_filter_policy(value, may_nest=self._filters_body)
        except ValueError as error:
            raise _wrong("FilterPolicy", str(error)) from None

    def has(self, attributes: Mapping[str, str]) -> bool:
        """Whether another Subscribe with these attributes asks for what there is."""
        values = self.values
        return all(_parsed(values.get(name)) == _parsed(text) for name, text in attributes.items())

    @property
    def values(self) -> dict[str, str]:
        """All attributes that are set, or have a default."""
        return {**_DEFAULTS, **self.attributes}

    @property
    def is_raw(self) -> bool:
        """Whether messages are delivered as they are."""
        return self.attributes.get("RawMessageDelivery") == "true"

    @property
    def _filters_body(self) -> bool:
        return self.attributes.get("FilterPolicyScope") == "MessageBody"

    def wants(self, body: str, attributes: Mapping[str, MessageAttribute]) -> bool:
        """Whether a message passes the filter policy."""
        if self._filter is None:
            return True
        if self._filters_body:
            return wants_body(self._filter, body)
        return wants_attributes(self._filter, attributes)


def _wrong(name: str, reason: str) -> AwsFault:
    return AwsFault("InvalidParameter", f"Invalid parameter: {name}: {reason}")


def _parsed(value: str | None) -> Any:
    """Policies are compared as documents, not as texts."""
    try:
        return None if value is None else msgspec.json.decode(value)
    except msgspec.MsgspecError:
        return value
