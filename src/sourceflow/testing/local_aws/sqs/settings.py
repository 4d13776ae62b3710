"""What queues can be set to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.policy import check_policy
from sourceflow.testing.local_aws.sqs.redrive import RedriveAllowPolicy, RedrivePolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("QueueSettings", "check_queue_name")

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.fifo)?")
MAX_NAME: Final = 80

_RANGES: Final[dict[str, tuple[int, int]]] = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
_DEFAULTS: Final[dict[str, str]] = {
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
    "SqsManagedSseEnabled": "true",
}
_FIFO_DEFAULTS: Final[dict[str, str]] = {
    "FifoQueue": "true",
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}
_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "FifoQueue": ("true",),
    "ContentBasedDeduplication": ("true", "false"),
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
    "SqsManagedSseEnabled": ("true", "false"),
}
_FREE: Final = ("Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId")


def check_queue_name(name: str) -> None:
    """Refuse what cannot be a queue's name.

    Raises:
        AwsFault: It cannot.
    """
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise AwsFault(
            "InvalidParameterValue",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        )


class QueueSettings:
    """The attributes of one queue, and what follows from them; they never change, but are replaced.

    Args:
        name: The queue's name.
        given: What it is created with; an empty value stands for none.

    Raises:
        AwsFault: An attribute is unknown or out of range.
    """

    def __init__(self, name: str, given: Mapping[str, str]) -> None:
        self.name = name
        self.is_fifo = name.endswith(".fifo")
        if self.is_fifo and given.get("FifoQueue") != "true":
            raise AwsFault(
                "InvalidParameterValue",
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or "
                "underscores, must end with .fifo suffix and be 1 to 80 in length.",
            )
        if not self.is_fifo and given.get("FifoQueue") == "true":
            raise AwsFault(
                "InvalidParameterValue",
                "The name of a FIFO queue must end with the suffix .fifo.",
            )
        for attribute, value in given.items():
            self._check(attribute, value)
        values = {**_DEFAULTS, **(_FIFO_DEFAULTS if self.is_fifo else {}), **given}
        if (
            self.is_fifo
            and values["FifoThroughputLimit"] == "perMessageGroupId"
            and values["DeduplicationScope"] != "messageGroup"
        ):
            raise AwsFault(
                "InvalidAttributeValue",
                "FifoThroughputLimit perMessageGroupId needs DeduplicationScope messageGroup",
            )
        self._values = {name: value for name, value in values.items() if value != ""}
        self._derive()

    def _check(self, name: str, value: str) -> None:
        if name in _FIFO_DEFAULTS and not self.is_fifo:
            raise AwsFault("InvalidAttributeName", f"Unknown Attribute {name}.")
        if name in _RANGES:
            least, most = _RANGES[name]
            if not (value.isascii() and value.isdigit()) or not least <= int(value) <= most:
                raise AwsFault("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
        elif name in _CHOICES:
            if value not in _CHOICES[name]:
                raise AwsFault("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
        elif name not in _FREE:
            raise AwsFault("InvalidAttributeName", f"Unknown Attribute {name}.")
        if name == "Policy" and value:
            try:
                check_policy(value)
            except ValueError as error:
                raise AwsFault(
                    "InvalidAttributeValue", f"Invalid value for the parameter Policy. {error}"
                ) from None

    def _derive(self) -> None:
        values = self._values
        self.delay = int(values["DelaySeconds"])
        self.visibility = int(values["VisibilityTimeout"])
        self.wait = int(values["ReceiveMessageWaitTimeSeconds"])
        self.retention = int(values["MessageRetentionPeriod"])
        self.max_bytes = int(values["MaximumMessageSize"])
        self.content_based = values.get("ContentBasedDeduplication") == "true"
        self.scope_is_group = values.get("DeduplicationScope") == "messageGroup"
        self.policy = values.get("Policy")
        self.key = values.get("KmsMasterKeyId")
        redrive = values.get("RedrivePolicy")
        self.redrive = None if redrive is None else RedrivePolicy.of(redrive)
        allow = values.get("RedriveAllowPolicy")
        self.redrive_allow = RedriveAllowPolicy() if allow is None else RedriveAllowPolicy.of(allow)

    def differs_from(self, given: Mapping[str, str]) -> str | None:
        """Return the first attribute of another CreateQueue that this queue does not have so."""
        for name, value in given.items():
            if self._values.get(name, "") != value:
                return name
        return None

    @property
    def values(self) -> Mapping[str, str]:
        """All attributes that are set, or have a default."""
        return self._values
