"""What a request to SNS needs the right to do, on which topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sourceflow.testing.local_aws.identities import Identity

__all__ = ("check_identity",)

_LISTS: Final = frozenset({"ListTopics", "ListSubscriptions"})
_TOPIC_PARTS: Final = 6


def check_identity(
    identity: Identity, action: str, form: Mapping[str, str], arn_of: Callable[[str], str]
) -> str:
    """Let somebody do what they ask for, or not; return the ARN of what they do it to.

    Args:
        identity: Who asks.
        action: The operation; a batch needs the right of the single one.
        form: The request.
        arn_of: Returns the ARN of a topic's name.

    Raises:
        AwsFault: They may not.
    """
    arn = _resource(action, form, arn_of)
    identity.check(f"sns:{action.removesuffix('Batch')}", arn)
    if action == "CreateTopic" and "Tags.member.1.Key" in form:
        identity.check("sns:TagResource", arn)
    return arn


def _resource(action: str, form: Mapping[str, str], arn_of: Callable[[str], str]) -> str:
    """Return the topic that the right is needed on.

    What is done to a subscription needs a right on its topic: the service authorization reference
    names no resource for it, and this is what AWS answers who lacks it. So it is with lists, and
    the topics of the account.
    """
    if action in _LISTS:
        return arn_of("*")
    if action == "CreateTopic":
        return arn_of(form.get("Name", ""))
    if "SubscriptionArn" in form:
        return ":".join(form["SubscriptionArn"].split(":")[:_TOPIC_PARTS])
    return form.get("TopicArn") or form.get("TargetArn") or form.get("ResourceArn", "")
