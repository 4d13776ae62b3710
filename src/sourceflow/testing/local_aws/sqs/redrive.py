"""Redrive policies: which queue takes the messages that were received too often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.testing.local_aws.errors import AwsFault

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("RedriveAllowPolicy", "RedrivePolicy", "redrive_fault")

MAX_RECEIVES: Final = 1_000


@dataclass(frozen=True, slots=True)
class RedrivePolicy:
    """Where a queue's dead letters go.

    Attributes:
        target_arn: The dead letter queue.
        max_receives: How often a message is received before it goes there.
    """

    target_arn: str
    max_receives: int

    @classmethod
    def of(cls, text: str) -> RedrivePolicy:
        """Read a policy (SQS API reference, ``SetQueueAttributes``, RedrivePolicy).

        Raises:
            AwsFault: It is no JSON object, lacks a part, or has a count out of range.
        """
        policy = _object("RedrivePolicy", text)
        for name in ("deadLetterTargetArn", "maxReceiveCount"):
            if name not in policy:
                raise redrive_fault(f"it does not contain mandatory attribute: {name}.")
        count = str(policy["maxReceiveCount"])
        if not count.isdecimal() or not 1 <= int(count) <= MAX_RECEIVES:
            raise redrive_fault(
                f"Invalid value for maxReceiveCount: {count}, valid values are from 1 to "
                f"{MAX_RECEIVES} both inclusive."
            )
        return cls(str(policy["deadLetterTargetArn"]), int(count))


@dataclass(frozen=True, slots=True)
class RedriveAllowPolicy:
    """Which queues may use a queue as their dead letter queue.

    Attributes:
        permission: ``allowAll``, ``denyAll`` or ``byQueue``.
        source_arns: The queues that may, with ``byQueue``.
    """

    permission: str = "allowAll"
    source_arns: Sequence[str] = ()

    @classmethod
    def of(cls, text: str) -> RedriveAllowPolicy:
        """Read a policy.

        Raises:
            AwsFault: It is no JSON object.
        """
        policy = _object("RedriveAllowPolicy", text)
        return cls(
            str(policy.get("redrivePermission", "allowAll")),
            tuple(map(str, policy.get("sourceQueueArns", ()))),
        )

    def allows(self, source_arn: str) -> bool:
        """Whether a queue may send its dead letters here."""
        if self.permission == "byQueue":
            return source_arn in self.source_arns
        return self.permission == "allowAll"


def redrive_fault(reason: str) -> AwsFault:
    """Return the refusal of a RedrivePolicy."""
    return AwsFault(
        "InvalidParameterValue",
        f"Value for parameter RedrivePolicy is invalid. Reason: {reason}",
    )


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise AwsFault(
            "InvalidParameterValue",
            f"Value {text} for parameter {name} is invalid. Reason: it is not a valid JSON map.",
        ) from None
