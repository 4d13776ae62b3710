"""Topics and their subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.errors import AwsError
from sourceflow.transports.aws.provisioning.queues import is_missing
from sourceflow.transports.aws.provisioning.resources import ProvisionedTopic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sourceflow.transports.aws.control_plane import ControlPlane
    from sourceflow.transports.aws.provisioning.plan import TopicPlan

__all__ = ("Topics",)

DEFAULT_MAX_BYTES: Final = 262_144
"""What a message takes at most where the topic does not say (SNS API reference, ``Publish``)."""

_REFUSED: Final = frozenset({"InvalidParameter", "InvalidParameterException"})


class Topics:
    """Makes and finds topics and subscriptions."""

    def __init__(self, plane: ControlPlane, warnings: list[str]) -> None:
        self._plane = plane
        self._warnings = warnings

    async def ensure(self, plan: TopicPlan) -> ProvisionedTopic:
        """Make a topic where it is missing; change nothing there is."""
        try:
            answer = await self._plane.sns(
                "create_topic", Name=plan.full_name, Attributes=plan.attributes
            )
        except AwsError as error:
            if error.code not in _REFUSED:
                raise
            kind = {key: value for key, value in plan.attributes.items() if key == "FifoTopic"}
            answer = await self._plane.sns("create_topic", Name=plan.full_name, Attributes=kind)
        found = await self._described(plan, answer["TopicArn"])
        assert found is not None  # it was made, or found, just now
        return found

    async def look_up(self, plan: TopicPlan, queue_arn: str | None) -> ProvisionedTopic | None:
        """Find a topic.

        Args:
            plan: The topic.
            queue_arn: The ARN of any queue of ours: the topic stands in the same account. All
                topics are listed where None.
        """
        if queue_arn is not None:
            _, partition, _, region, account, _ = queue_arn.split(":")
            return await self._described(
                plan, f"arn:{partition}:sns:{region}:{account}:{plan.full_name}"
            )
        async for arn in _pages(self._plane, "list_topics", "Topics", "TopicArn"):
            if arn.rpartition(":")[2] == plan.full_name:
                return await self._described(plan, arn)
        return None

    async def _described(self, plan: TopicPlan, arn: str) -> ProvisionedTopic | None:
        try:
            answer = await self._plane.sns("get_topic_attributes", TopicArn=arn)
        except AwsError as error:
            if is_missing(error):
                return None
            raise
        attributes: dict[str, str] = answer["Attributes"]
        for name, wanted in plan.attributes.items():
            actual = attributes.get(name) or ("false" if wanted == "false" else "")
            if actual != wanted:
                self._warnings.append(
                    f"the topic {plan.full_name!r} has {name} {actual!r}, not {wanted!r}; "
                    "it is left as it is"
                )
        return ProvisionedTopic(
            name=plan.full_name,
            arn=arn,
            max_message_bytes=int(attributes.get("MaximumMessageSize") or DEFAULT_MAX_BYTES),
        )

    async def subscribe(
        self, plan: TopicPlan, topic_arn: str, queue_arn: str, dead_letter_arn: str | None
    ) -> None:
        """Subscribe an event queue to a topic, with raw delivery; change no subscription there is."""
        attributes = {"RawMessageDelivery": "true"}
        if dead_letter_arn is not None:
            attributes["RedrivePolicy"] = _json({"deadLetterTargetArn": dead_letter_arn})
        if plan.types is not None:
            attributes["FilterPolicy"] = _json({"type": list(plan.types)})
        existing = await self.subscription(topic_arn, queue_arn)
        if existing is not None:
            await self._compare(plan, existing, attributes)
            return
        try:
            await self._plane.sns(
                "subscribe",
                TopicArn=topic_arn,
                Protocol="sqs",
                Endpoint=queue_arn,
                Attributes=attributes,
                ReturnSubscriptionArn=True,
            )
        except AwsError as error:
            existing = await self.subscription(topic_arn, queue_arn)
            if error.code not in _REFUSED or existing is None:
                raise
            await self._compare(plan, existing, attributes)  # another instance was quicker

    async def subscription(self, topic_arn: str, queue_arn: str) -> str | None:
        """Return the ARN of a queue's subscription to a topic, or None."""
        pages = _pages(
            self._plane,
            "list_subscriptions_by_topic",
            "Subscriptions",
            "SubscriptionArn",
            where=("Endpoint", queue_arn),
            TopicArn=topic_arn,
        )
        async for arn in pages:
            return arn
        return None

    async def _compare(self, plan: TopicPlan, arn: str, wanted: dict[str, str]) -> None:
        answer = await self._plane.sns("get_subscription_attributes", SubscriptionArn=arn)
        actual: dict[str, str] = answer["Attributes"]
        for name, value in wanted.items():
            if _parsed(actual.get(name)) != _parsed(value):
                self._warnings.append(
                    f"the subscription to {plan.full_name!r} has {name} "
                    f"{actual.get(name, 'unset')}, not {value}; it is left as it is"
                )
        if "FilterPolicy" in actual and "FilterPolicy" not in wanted:
            self._warnings.append(
                f"the subscription to {plan.full_name!r} filters: {actual['FilterPolicy']}; "
                "it is left as it is"
            )


async def _pages(
    plane: ControlPlane,
    operation: str,
    member: str,
    value: str,
    *,
    where: tuple[str, str] | None = None,
    **parameters: Any,
) -> AsyncIterator[str]:
    token: dict[str, str] = {}
    while True:
        answer = await plane.sns(operation, **parameters, **token)
        for each in answer.get(member, ()):
            if where is None or each.get(where[0]) == where[1]:
                yield each[value]
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _parsed(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
