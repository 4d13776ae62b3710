"""Amazon SNS: the calls about topics and subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sourceflow.transports.aws.client.base import ServiceClient
from sourceflow.transports.aws.client.errors import unreadable, xml_error
from sourceflow.transports.aws.client.form import encode_form
from sourceflow.transports.aws.client.xml import InvalidXmlError, parse_xml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from sourceflow.errors import AwsError

__all__ = ("VERSION", "SnsTopics", "Subscription", "SubscriptionPage", "TopicPage", "read_result")

VERSION = (b"Version", "2010-03-31")


class Subscription(NamedTuple):
    """A subscription in a list.

    Attributes:
        arn: Its ARN; ``PendingConfirmation`` or ``Deleted`` where it has none.
        endpoint: Where it delivers to: the ARN of a queue.
    """

    arn: str
    endpoint: str


class SubscriptionPage(NamedTuple):
    """Up to 100 subscriptions.

    Attributes:
        subscriptions: They.
        token: Leads to the next page; None on the last one.
    """

    subscriptions: tuple[Subscription, ...]
    token: str | None


class TopicPage(NamedTuple):
    """Up to 100 topics.

    Attributes:
        arns: Their ARNs.
        token: Leads to the next page; None on the last one.
    """

    arns: tuple[str, ...]
    token: str | None


class SnsTopics(ServiceClient):
    """The part of ``SnsClient`` that looks at topics, and how it speaks SNS's protocol."""

    async def get_topic_attributes(self, topic_arn: str) -> dict[str, str]:
        """Return the attributes of a topic, such as ``MaximumMessageSize`` where it was set, by name.

        Raises:
            AwsConfigurationError: There is no such topic.
        """
        result = await self._ask("GetTopicAttributes", (b"TopicArn", topic_arn))
        return _attributes(result, "GetTopicAttributes")

    async def get_subscription_attributes(self, subscription_arn: str) -> dict[str, str]:
        """Return the attributes of a subscription, such as ``RawMessageDelivery``, by name.

        Raises:
            AwsConfigurationError: There is no such subscription.
        """
        result = await self._ask(
            "GetSubscriptionAttributes", (b"SubscriptionArn", subscription_arn)
        )
        return _attributes(result, "GetSubscriptionAttributes")

    async def list_subscriptions_by_topic(
        self, topic_arn: str, *, token: str | None = None
    ) -> SubscriptionPage:
        """Return subscriptions of a topic.

        Args:
            topic_arn: The topic.
            token: The page before said so; None is the first page.

        Raises:
            AwsConfigurationError: There is no such topic.
        """
        result = await self._ask(
            "ListSubscriptionsByTopic", (b"TopicArn", topic_arn), *_page(token)
        )
        found = tuple(
            Subscription(member.findtext("SubscriptionArn", ""), member.findtext("Endpoint", ""))
            for member in result.iterfind("Subscriptions/member")
        )
        return SubscriptionPage(found, result.findtext("NextToken") or None)

    async def list_topics(self, *, token: str | None = None) -> TopicPage:
        """Return topics of the account.

        Args:
            token: The page before said so; None is the first page.
        """
        result = await self._ask("ListTopics", *_page(token))
        found = tuple(
            member.findtext("TopicArn", "") for member in result.iterfind("Topics/member")
        )
        return TopicPage(found, result.findtext("NextToken") or None)

    async def _ask(self, operation: str, *fields: tuple[bytes, str]) -> Element:
        body = encode_form(((b"Action", operation), VERSION, *fields))
        return read_result(await self._call(operation, body), operation)

    @staticmethod
    def _read_error(
        status: int, headers: Mapping[str, str], body: bytes, *, operation: str
    ) -> AwsError:
        return xml_error(status, headers, body, operation=operation)

    @staticmethod
    def _headers(operation: str) -> Mapping[str, str]:  # noqa: ARG004 - the form says which
        return {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


def read_result(answer: bytes, operation: str) -> Element:
    """Return what an answer says.

    Raises:
        AwsTransientError: It cannot be read.
    """
    try:
        result = parse_xml(answer).find(f"{operation}Result")
    except InvalidXmlError as error:
        raise unreadable(operation) from error
    if result is None:
        raise unreadable(operation)
    return result


def _attributes(result: Element, operation: str) -> dict[str, str]:
    attributes = result.find("Attributes")
    if attributes is None:
        raise unreadable(operation)
    return {entry.findtext("key", ""): entry.findtext("value", "") for entry in attributes}


def _page(token: str | None) -> tuple[tuple[bytes, str], ...]:
    return () if token is None else ((b"NextToken", token),)
