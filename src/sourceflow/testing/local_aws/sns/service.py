"""The operations of SNS."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import Element, SubElement

from sourceflow.testing.local_aws.attributes import size_of_attributes
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.sns.forms import attributes_of, entries_of, map_of, required
from sourceflow.testing.local_aws.sns.publishing import Publication, publish
from sourceflow.testing.local_aws.sns.topic import Subscription, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sourceflow.testing.local_aws.sns.delivery import Deliver
    from sourceflow.testing.local_aws.sns.publishing import Published

__all__ = ("Sns",)

PAGE: Final = 100
MAX_ENTRIES: Final = 10
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo")
_ENTRY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_BOOLEANS: Final = ("true", "false")
_TOPIC_ATTRIBUTES: Final = frozenset(
    {
        "DisplayName", "Policy", "DeliveryPolicy", "KmsMasterKeyId", "FifoTopic",
        "ContentBasedDeduplication", "FifoThroughputScope", "MaximumMessageSize",
        "SignatureVersion", "TracingConfig",
    }
)  # fmt: skip


class Sns:
    """Every topic of one account in one region.

    Args:
        region: The region.
        account_id: The account.
        deliver: Takes messages into queues.
        endpoint: Returns where SNS is reached, for links in notifications.
    """

    def __init__(
        self, *, region: str, account_id: str, deliver: Deliver, endpoint: Callable[[], str]
    ) -> None:
        self._region = region
        self._account_id = account_id
        self._deliver = deliver
        self._endpoint = endpoint
        self._topics: dict[str, Topic] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._operations: dict[str, Callable[[Mapping[str, str], float], Element | None]] = {
            "CreateTopic": self._create_topic,
            "DeleteTopic": self._delete_topic,
            "ListTopics": self._list_topics,
            "GetTopicAttributes": self._get_topic,
            "SetTopicAttributes": self._set_topic,
            "Subscribe": self._subscribe,
            "Unsubscribe": self._unsubscribe,
            "ListSubscriptions": self._list_all_subscriptions,
            "ListSubscriptionsByTopic": self._list_subscriptions,
            "GetSubscriptionAttributes": self._get_subscription,
            "SetSubscriptionAttributes": self._set_subscription,
            "Publish": self._publish,
            "PublishBatch": self._publish_batch,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    def call(self, action: str, form: Mapping[str, str], now: float) -> Element | None:
        """Run an operation; return its result as XML.

        Raises:
            AwsFault: It is refused.
        """
        operation = self._operations.get(action)
        if operation is None:
            raise AwsFault("InvalidAction", f"Could not find operation {action}", status=400)
        return operation(form, now)

    def _topic(self, arn: str) -> Topic:
        topic = self._topics.get(arn)
        if topic is None:
            raise AwsFault("NotFound", "Topic does not exist", status=404)
        return topic

    def _subscription(self, arn: str) -> Subscription:
        subscription = self._subscriptions.get(arn)
        if subscription is None:
            raise AwsFault("NotFound", "Subscription does not exist", status=404)
        return subscription

    def _subscriptions_of(self, topic: Topic) -> list[Subscription]:
        return [each for each in self._subscriptions.values() if each.topic is topic]

    def _create_topic(self, form: Mapping[str, str], now: float) -> Element:  # noqa: ARG002 - one shape for all
        name = required(form, "Name")
        attributes = map_of(form, "Attributes")
        if not _NAME.fullmatch(name):
            raise AwsFault("InvalidParameter", "Invalid parameter: Topic Name")
        if name.endswith(".fifo") != (attributes.get("FifoTopic") == "true"):
            raise AwsFault(
                "InvalidParameter",
                "Invalid parameter: Topic Name: FIFO topics must end with .fifo and have "
                "FifoTopic set to true",
            )
        for attribute, value in attributes.items():
            _check_topic_attribute(attribute, value, is_fifo=name.endswith(".fifo"))
        arn = f"arn:aws:sns:{self._region}:{self._account_id}:{name}"
        existing = self._topics.get(arn)
        if existing is None:
            tags = {
                entry["Key"]: entry.get("Value", "") for entry in entries_of(form, "Tags.member")
            }
            self._topics[arn] = Topic(arn, attributes, tags)
        elif any(_current(existing, key) != value for key, value in attributes.items()):
            raise AwsFault(
                "InvalidParameter",
                "Invalid parameter: Attributes Reason: Topic already exists with different "
                "attributes",
            )
        return _texts({"TopicArn": arn})

    def _delete_topic(self, form: Mapping[str, str], now: float) -> None:  # noqa: ARG002 - one shape for all
        topic = self._topics.pop(required(form, "TopicArn"), None)
        if topic is not None:
            for subscription in self._subscriptions_of(topic):
                del self._subscriptions[subscription.arn]

    def _list_topics(self, form: Mapping[str, str], now: float) -> Element:  # noqa: ARG002 - one shape for all
        return _page("Topics", [{"TopicArn": arn} for arn in self._topics], form)

    def _get_topic(self, form: Mapping[str, str], now: float) -> Element:  # noqa: ARG002 - one shape for all
        topic = self._topic(required(form, "TopicArn"))
        defaults = {"DisplayName": "", "Policy": "", "EffectiveDeliveryPolicy": "{}"}
        if topic.is_fifo:
            defaults |= {"ContentBasedDeduplication": "false", "FifoThroughputScope": "Topic"}
        attributes = {
            **defaults,
            **topic.attributes,
            "TopicArn": topic.arn,
            "Owner": self._account_id,
            "SubscriptionsConfirmed": str(len(self._subscriptions_of(topic))),
            "SubscriptionsPending": "0",
            "SubscriptionsDeleted": "0",
        }
        return _map(attributes)

    def _set_topic(self, form: Mapping[str, str], now: float) -> None:  # noqa: ARG002 - one shape for all
        topic = self._topic(required(form, "TopicArn"))
        name, value = required(form, "AttributeName"), form.get("AttributeValue", "")
        if name == "FifoTopic":
            raise AwsFault("InvalidParameter", "Invalid parameter: AttributeName")
        _check_topic_attribute(name, value, is_fifo=topic.is_fifo)
        topic.attributes[name] = value

    def _subscribe(self, form: Mapping[str, str], now: float) -> Element:  # noqa: ARG002 - one shape for all
        topic = self._topic(required(form, "TopicArn"))
        endpoint = form.get("Endpoint", "")
        if form.get("Protocol") != "sqs":
            raise AwsFault("InvalidParameter", "Invalid parameter: LocalAws delivers to sqs only")
        if not endpoint.startswith("arn:aws:sqs:"):
            raise AwsFault("InvalidParameter", "Invalid parameter: SQS endpoint ARN")
        if endpoint.endswith(".fifo") and not topic.is_fifo:
            raise AwsFault(
                "InvalidParameter",
                "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not "
                "be subscribed to standard SNS topics",
            )
        attributes = map_of(form, "Attributes")
        for existing in self._subscriptions_of(topic):
            if existing.endpoint == endpoint:
                if existing.has(attributes):
                    return _texts({"SubscriptionArn": existing.arn})
                raise AwsFault(
                    "InvalidParameter",
                    "Invalid parameter: Attributes Reason: Subscription already exists with "
                    "different attributes",
                )
        arn = f"{topic.arn}:{uuid.uuid4()}"
        self._subscriptions[arn] = Subscription(
            arn=arn, topic=topic, endpoint=endpoint, attributes=attributes
        )
        return _texts({"SubscriptionArn": arn})

    def _unsubscribe(self, form: Mapping[str, str], now: float) -> None:  # noqa: ARG002 - one shape for all
        self._subscriptions.pop(required(form, "SubscriptionArn"), None)

    def _list_all_subscriptions(self, form: Mapping[str, str], now: float) -> Element:  # noqa: ARG002 - one shape for all
        return self._listed(self._subscriptions.values(), form)

    def _list_subscriptions(self, form: Mapping[str, str], now: float) -> Element:  # noqa: ARG002 - one shape for all
        return self._listed(self._subscriptions_of(self._topic(required(form, "TopicArn"))), form)

    def _listed(self, subscriptions: Iterable[Subscription], form: Mapping[str, str]) -> Element:
        rows = [
            {
                "SubscriptionArn": each.arn,
                "Owner": self._account_id,
                "Protocol": "sqs",
                "Endpoint": each.endpoint,
                "TopicArn": each.topic.arn,
            }
            for each in subscriptions
        ]
        return _page("Subscriptions", rows, form)

    def _get_subscription(self, form: Mapping[str, str], now: float) -> Element:  # noqa: ARG002 - one shape for all
        subscription = self._subscription(required(form, "SubscriptionArn"))
        return _map(
            {
                "RawMessageDelivery": "false",
                **subscription.attributes,
                "SubscriptionArn": subscription.arn,
                "TopicArn": subscription.topic.arn,
                "Protocol": "sqs",
                "Endpoint": subscription.endpoint,
                "Owner": self._account_id,
                "PendingConfirmation": "false",
            }
        )

    def _set_subscription(self, form: Mapping[str, str], now: float) -> None:  # noqa: ARG002 - one shape for all
        subscription = self._subscription(required(form, "SubscriptionArn"))
        subscription.set(required(form, "AttributeName"), form.get("AttributeValue", ""))

    def _publish(self, form: Mapping[str, str], now: float) -> Element:
        topic = self._topic(form.get("TopicArn") or required(form, "TargetArn"))
        return _published(self._publish_one(topic, form, now))

    def _publish_one(self, topic: Topic, form: Mapping[str, str], now: float) -> Published:
        return publish(
            topic, self._subscriptions_of(topic), _publication(form), now=now,
            deliver=self._deliver, endpoint=self._endpoint(),
        )  # fmt: skip

    def _publish_batch(self, form: Mapping[str, str], now: float) -> Element:
        topic = self._topic(required(form, "TopicArn"))
        entries = entries_of(form, "PublishBatchRequestEntries.member")
        _check_batch(entries, topic.max_bytes)
        result = Element("PublishBatchResult")
        successful, failed = SubElement(result, "Successful"), SubElement(result, "Failed")
        for entry in entries:
            try:
                published = _published(self._publish_one(topic, entry, now))
            except AwsFault as fault:
                member = SubElement(failed, "member")
                details = {"Code": fault.code, "Message": fault.message, "SenderFault": "true"}
            else:
                member = SubElement(successful, "member")
                details = {child.tag: child.text or "" for child in published}
            for name, text in {"Id": entry["Id"], **details}.items():
                SubElement(member, name).text = text
        return result

    def _tag(self, form: Mapping[str, str], now: float) -> None:  # noqa: ARG002 - one shape for all
        topic = self._topic(required(form, "ResourceArn"))
        for entry in entries_of(form, "Tags.member"):
            topic.tags[entry["Key"]] = entry.get("Value", "")

    def _untag(self, form: Mapping[str, str], now: float) -> None:  # noqa: ARG002 - one shape for all
        topic = self._topic(required(form, "ResourceArn"))
        for entry in entries_of(form, "TagKeys.member"):
            topic.tags.pop(entry[""], None)

    def _list_tags(self, form: Mapping[str, str], now: float) -> Element:  # noqa: ARG002 - one shape for all
        topic = self._topic(required(form, "ResourceArn"))
        return _members("Tags", [{"Key": key, "Value": value} for key, value in topic.tags.items()])


def _check_topic_attribute(name: str, value: str, *, is_fifo: bool) -> None:
    if name not in _TOPIC_ATTRIBUTES:
        raise AwsFault("InvalidParameter", "Invalid parameter: AttributeName")
    if name in {"ContentBasedDeduplication", "FifoThroughputScope"} and not is_fifo:
        raise AwsFault("InvalidParameter", f"Invalid parameter: {name} is for FIFO topics")
    if name == "ContentBasedDeduplication" and value not in _BOOLEANS:
        raise AwsFault("InvalidParameter", f"Invalid parameter: {name}")
    if name == "FifoThroughputScope" and value not in {"Topic", "MessageGroup"}:
        raise AwsFault("InvalidParameter", f"Invalid parameter: {name}")
    if name == "MaximumMessageSize" and not (
        value.isdigit() and 1024 <= int(value) <= 1_048_576  # noqa: PLR2004 - SetTopicAttributes
    ):
        raise AwsFault("InvalidParameter", f"Invalid parameter: {name}")
    if name == "DisplayName" and len(value) > 100:  # noqa: PLR2004 - SetTopicAttributes
        raise AwsFault("InvalidParameter", f"Invalid parameter: {name}")


def _current(topic: Topic, name: str) -> str:
    default = "false" if name == "ContentBasedDeduplication" else ""
    return topic.attributes.get(name, default)


def _publication(form: Mapping[str, str]) -> Publication:
    return Publication(
        body=form.get("Message", ""),
        attributes=attributes_of(form),
        subject=form.get("Subject"),
        group_id=form.get("MessageGroupId"),
        deduplication_id=form.get("MessageDeduplicationId"),
    )


def _published(published: Published) -> Element:
    texts = {"MessageId": published.message_id}
    if published.sequence_number is not None:
        texts["SequenceNumber"] = published.sequence_number
    return _texts(texts)


def _check_batch(entries: Sequence[Mapping[str, str]], max_bytes: int) -> None:
    if not entries:
        raise AwsFault("EmptyBatchRequest", "The batch request doesn't contain any entries.")
    if len(entries) > MAX_ENTRIES:
        raise AwsFault(
            "TooManyEntriesInBatchRequest",
            f"The batch request contains more entries than permissible: {len(entries)} > "
            f"{MAX_ENTRIES}.",
        )
    ids = [entry.get("Id", "") for entry in entries]
    if not all(map(_ENTRY_ID.fullmatch, ids)):
        raise AwsFault("InvalidBatchEntryId", "The Id of a batch entry doesn't abide by the rules.")
    if len(set(ids)) < len(ids):
        raise AwsFault("BatchEntryIdsNotDistinct", "Two or more batch entries have the same Id.")
    total = sum(
        len(entry.get("Message", "").encode()) + size_of_attributes(attributes_of(entry))
        for entry in entries
    )
    if total > max_bytes:
        raise AwsFault(
            "BatchRequestTooLong", "The length of all the batch messages put together is too long."
        )


def _texts(values: Mapping[str, str]) -> Element:
    result = Element("Result")
    for name, text in values.items():
        SubElement(result, name).text = text
    return result


def _map(values: Mapping[str, str]) -> Element:
    result = Element("Result")
    attributes = SubElement(result, "Attributes")
    for name, text in values.items():
        entry = SubElement(attributes, "entry")
        SubElement(entry, "key").text = name
        SubElement(entry, "value").text = text
    return result


def _members(name: str, rows: Iterable[Mapping[str, str]]) -> Element:
    result = Element("Result")
    listed = SubElement(result, name)
    for row in rows:
        member = SubElement(listed, "member")
        for key, text in row.items():
            SubElement(member, key).text = text
    return result


def _page(name: str, rows: Sequence[Mapping[str, str]], form: Mapping[str, str]) -> Element:
    start = int(form.get("NextToken") or 0)
    result = _members(name, rows[start : start + PAGE])
    if len(rows) > start + PAGE:
        SubElement(result, "NextToken").text = str(start + PAGE)
    return result
