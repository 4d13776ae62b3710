"""Topics, and the subscriptions that bring their events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.bus.ports import Finding
from sourceflow.errors import AwsError
from sourceflow.transports.aws.health.judging import denial, is_denied, judge, not_looked_at
from sourceflow.transports.aws.provisioning import is_missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.transports.aws.client import SnsClient
    from sourceflow.transports.aws.health.once import Once

__all__ = ("SubscriptionHealth", "look_at_topic")


async def look_at_topic(attributes: Once[dict[str, str]]) -> Finding:
    """See that a topic is there.

    Actions: ``sns:GetTopicAttributes`` on the topic.

    Args:
        attributes: The topic's.
    """
    try:
        await attributes.get()
    except AwsError as error:
        return judge(error, missing="the topic does not exist")
    return Finding.healthy("the topic is there")


class SubscriptionHealth:
    """See that an event queue gets what a topic publishes.

    The list of a topic's subscriptions may be long; so it is read once, and the subscription that
    was found is asked for by its ARN from then on, where that is allowed.

    Actions: ``sns:ListSubscriptionsByTopic`` and ``sns:GetSubscriptionAttributes`` on the topic.
    Where they are denied, nothing is wrong: they are not needed to receive. The first alone shows
    that there is a subscription, and not how it delivers.
    """

    def __init__(self, sns: SnsClient, topic_arn: str, queue_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._queue_arn = queue_arn
        self._subscription_arn: str | None = None

    async def look(self) -> Finding:
        """Look at the subscription."""
        try:
            return await self._look()
        except AwsError as error:
            if is_denied(error):
                return not_looked_at(error)
            return judge(error, missing="the topic does not exist")

    async def _look(self) -> Finding:
        if self._subscription_arn is not None:
            known = await self._look_at(self._subscription_arn)
            if known is not None:
                return known
        self._subscription_arn = None
        arn = await self._find()
        if arn is None:
            return _NOT_SUBSCRIBED
        try:
            found = await self._look_at(arn)
        except AwsError as error:
            if is_denied(error):  # the list has to do, each time
                return Finding.healthy(f"subscribed; not looked at further: {denial(error)}")
            raise
        self._subscription_arn = arn
        return _NOT_SUBSCRIBED if found is None else found

    async def _look_at(self, arn: str) -> Finding | None:
        """Look at one subscription; None where it is gone."""
        try:
            return _judge_attributes(await self._sns.get_subscription_attributes(arn))
        except AwsError as error:
            if is_missing(error):
                return None
            raise

    async def _find(self) -> str | None:
        token: str | None = None
        while True:
            page = await self._sns.list_subscriptions_by_topic(self._topic_arn, token=token)
            for each in page.subscriptions:
                if each.endpoint == self._queue_arn and each.arn.startswith("arn:"):
                    return each.arn
            token = page.token
            if token is None:
                return None


_NOT_SUBSCRIBED = Finding.unhealthy("the event queue is not subscribed: no event arrives")


def _judge_attributes(attributes: Mapping[str, str]) -> Finding:
    if attributes.get("PendingConfirmation") == "true":
        return Finding.unhealthy("the subscription waits to be confirmed: no event arrives")
    if attributes.get("RawMessageDelivery") != "true":
        return Finding.degraded(
            "subscribed without raw delivery: events arrive in notifications of SNS"
        )
    return Finding.healthy("subscribed, with raw delivery")
