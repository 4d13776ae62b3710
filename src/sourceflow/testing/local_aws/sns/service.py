"""The operations of SNS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.ids import new_id
from sourceflow.testing.local_aws.sns.answers import (
    batch_result,
    list_of,
    map_of_texts,
    page_of,
    texts,
)
from sourceflow.testing.local_aws.sns.batches import check_ids, check_publications
from sourceflow.testing.local_aws.sns.forms import attributes_of, entries_of, map_of, required
from sourceflow.testing.local_aws.sns.publishing import Publication, body_for_queues, publish
from sourceflow.testing.local_aws.sns.rights import check_identity
from sourceflow.testing.local_aws.sns.subscription import Subscription
from sourceflow.testing.local_aws.sns.topic import Topic, check_topic_attribute
from sourceflow.testing.local_aws.sse import SENDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from xml.etree.ElementTree import Element

    from sourceflow.testing.local_aws.identities import Identity
    from sourceflow.testing.local_aws.sns.delivery import Deliver
    from sourceflow.testing.local_aws.sse import Sse

    Form = Mapping[str, str]

__all__ = ("Sns",)

ARN_PARTS: Final = 6
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo")


class Sns:
    """Every topic of one account in one region.

    Args:
        region: The region.
        account_id: The account.
        deliver: Takes messages into queues.
        endpoint: Returns where SNS is reached, for links in notifications.
        sse: Says who may use the keys that topics are encrypted with.
    """

    def __init__(
        self,
        *,
        region: str,
        account_id: str,
        deliver: Deliver,
        endpoint: Callable[[], str],
        sse: Sse,
    ) -> None:
        self._sse = sse
        self._region = region
        self._account_id = account_id
        self._deliver = deliver
        self._endpoint = endpoint
        self._topics: dict[str, Topic] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._publishing: dict[str, Callable[[Form, float], Element]] = {
            "Publish": self._publish,
            "PublishBatch": self._publish_batch,
        }
        self._managing: dict[str, Callable[[Form], Element | None]] = {
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
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    def call(
        self, action: str, form: Form, now: float, identity: Identity | None = None
    ) -> Element | None:
        """Run an operation; return its result as XML.

        Args:
            action: The operation.
            form: The request.
            now: Seconds since 1970.
            identity: Who asks; None is the account itself.

        Raises:
            AwsFault: It is refused.
        """
        if action not in self._publishing and action not in self._managing:
            raise AwsFault("InvalidAction", f"Could not find operation {action}", status=400)
        if identity is not None:
            arn = check_identity(identity, action, form, self._arn_of)
            if action in self._publishing and arn in self._topics:
                key = self._topics[arn].attributes.get("KmsMasterKeyId") or None
                self._sse.use(identity, "sns", key, SENDS)
        if action in self._publishing:
            return self._publishing[action](form, now)
        return self._managing[action](form)

    def _arn_of(self, name: str) -> str:
        return f"arn:aws:sns:{self._region}:{self._account_id}:{name}"

    def _topic(self, arn: str) -> Topic:
        topic = self._topics.get(arn)
        if topic is not None:
            return topic
        parts = arn.count(":") + 1
        if parts < ARN_PARTS:
            raise AwsFault(
                "InvalidParameter",
                f"Invalid parameter: TopicArn Reason: An ARN must have at least {ARN_PARTS} "
                f"elements, not {parts}",
            )
        raise AwsFault("NotFound", "Topic does not exist", status=404)

    def _subscription(self, form: Form) -> Subscription:
        subscription = self._subscriptions.get(required(form, "SubscriptionArn"))
        if subscription is None:
            raise AwsFault("NotFound", "Subscription does not exist", status=404)
        return subscription

    def _create_topic(self, form: Form) -> Element:
        name = required(form, "Name")
        attributes = map_of(form, "Attributes")
        if not _NAME.fullmatch(name):
            raise AwsFault("InvalidParameter", "Invalid parameter: Topic Name")
        is_fifo = name.endswith(".fifo")
        if is_fifo != (attributes.get("FifoTopic") == "true"):
            raise AwsFault(
                "InvalidParameter",
                "Invalid parameter: Topic Name: FIFO topics must end with .fifo and have "
                "FifoTopic set to true",
            )
        for attribute, value in attributes.items():
            check_topic_attribute(attribute, value, is_fifo=is_fifo)
        tags = _tags_of(form)
        arn = self._arn_of(name)
        existing = self._topics.get(arn)
        if existing is None:
            self._topics[arn] = Topic(arn, attributes, tags)
        else:
            _check_same(existing, attributes, tags)
        return texts({"TopicArn": arn})

    def _delete_topic(self, form: Form) -> None:
        topic = self._topics.pop(required(form, "TopicArn"), None)
        if topic is not None:
            for subscription in topic.subscriptions.values():
                del self._subscriptions[subscription.arn]

    def _list_topics(self, form: Form) -> Element:
        rows = [{"TopicArn": arn} for arn in self._topics]
        return page_of("Topics", rows, form.get("NextToken"))

    def _get_topic(self, form: Form) -> Element:
        return map_of_texts(self._topic(required(form, "TopicArn")).values(self._account_id))

    def _set_topic(self, form: Form) -> None:
        topic = self._topic(required(form, "TopicArn"))
        name, value = required(form, "AttributeName"), form.get("AttributeValue", "")
        if name == "FifoTopic":
            raise AwsFault("InvalidParameter", "Invalid parameter: AttributeName")
        check_topic_attribute(name, value, is_fifo=topic.is_fifo)
        topic.attributes[name] = value

    def _subscribe(self, form: Form) -> Element:
        topic = self._topic(required(form, "TopicArn"))
        endpoint = _queue_arn_of(form)
        if endpoint.endswith(".fifo") and not topic.is_fifo:
            raise AwsFault(
                "InvalidParameter",
                "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not "
                "be subscribed to standard SNS topics",
            )
        attributes = map_of(form, "Attributes")
        existing = topic.subscriptions.get(endpoint)
        if existing is None:
            existing = Subscription(
                arn=f"{topic.arn}:{new_id()}",
                topic=topic,
                endpoint=endpoint,
                attributes=attributes,
            )
            topic.subscriptions[endpoint] = self._subscriptions[existing.arn] = existing
        elif not existing.has(attributes):
            raise AwsFault(
                "InvalidParameter",
                "Invalid parameter: Attributes Reason: Subscription already exists with "
                "different attributes",
            )
        return texts({"SubscriptionArn": existing.arn})

    def _unsubscribe(self, form: Form) -> None:
        subscription = self._subscriptions.pop(required(form, "SubscriptionArn"), None)
        if subscription is not None:
            del subscription.topic.subscriptions[subscription.endpoint]

    def _list_all_subscriptions(self, form: Form) -> Element:
        return self._listed(self._subscriptions.values(), form)

    def _list_subscriptions(self, form: Form) -> Element:
        topic = self._topic(required(form, "TopicArn"))
        return self._listed(topic.subscriptions.values(), form)

    def _listed(self, subscriptions: Iterable[Subscription], form: Form) -> Element:
        rows = [self._described(each) for each in subscriptions]
        return page_of("Subscriptions", rows, form.get("NextToken"))

    def _described(self, subscription: Subscription) -> dict[str, str]:
        return {
            "SubscriptionArn": subscription.arn,
            "Owner": self._account_id,
            "Protocol": "sqs",
            "Endpoint": subscription.endpoint,
            "TopicArn": subscription.topic.arn,
        }

    def _get_subscription(self, form: Form) -> Element:
        subscription = self._subscription(form)
        values = {**subscription.values, **self._described(subscription)}
        if "FilterPolicy" not in values:
            del values["FilterPolicyScope"]
        return map_of_texts({**values, "PendingConfirmation": "false"})

    def _set_subscription(self, form: Form) -> None:
        self._subscription(form).set(
            required(form, "AttributeName"), form.get("AttributeValue", "")
        )

    def _publish(self, form: Form, now: float) -> Element:
        topic = self._topic(form.get("TopicArn") or required(form, "TargetArn"))
        return texts(self._publish_one(topic, _publication(form), now))

    def _publish_one(self, topic: Topic, publication: Publication, now: float) -> dict[str, str]:
        published = publish(
            topic,
            publication,
            now=now,
            deliver=self._deliver,
            endpoint=self._endpoint(),
        )
        answer = {"MessageId": published.message_id}
        if published.sequence_number is not None:
            answer["SequenceNumber"] = published.sequence_number
        return answer

    def _publish_batch(self, form: Form, now: float) -> Element:
        topic = self._topic(required(form, "TopicArn"))
        entries = entries_of(form, "PublishBatchRequestEntries.member")
        check_ids(entries)
        publications = list(map(_publication, entries))
        check_publications(topic, publications)
        successful: list[dict[str, str]] = []
        failed: list[dict[str, str]] = []
        for entry, publication in zip(entries, publications, strict=True):
            try:
                answer = self._publish_one(topic, publication, now)
            except AwsFault as fault:
                failed.append(
                    {
                        "Id": entry["Id"],
                        "Code": fault.code,
                        "Message": fault.message,
                        "SenderFault": "true",
                    }
                )
            else:
                successful.append({"Id": entry["Id"], **answer})
        return batch_result(successful, failed)

    def _tag(self, form: Form) -> Element:
        self._topic(required(form, "ResourceArn")).tags.update(_tags_of(form))
        return texts({})

    def _untag(self, form: Form) -> Element:
        tags = self._topic(required(form, "ResourceArn")).tags
        for entry in entries_of(form, "TagKeys.member"):
            tags.pop(entry[""], None)
        return texts({})

    def _list_tags(self, form: Form) -> Element:
        tags = self._topic(required(form, "ResourceArn")).tags
        return list_of("Tags", [{"Key": key, "Value": value} for key, value in tags.items()])


def _check_same(existing: Topic, attributes: dict[str, str], tags: dict[str, str]) -> None:
    for name, is_same in (
        ("Attributes", existing.has(attributes)),
        ("Tags", not tags or tags == existing.tags),
    ):
        if not is_same:
            raise AwsFault(
                "InvalidParameter",
                f"Invalid parameter: {name} Reason: Topic already exists with different "
                f"{name.lower()}",
            )


def _queue_arn_of(form: Form) -> str:
    protocol, endpoint = form.get("Protocol", ""), form.get("Endpoint", "")
    if protocol != "sqs":
        raise AwsFault(
            "InvalidParameter",
            f"Invalid parameter: LocalAws delivers to sqs only, not to {protocol}",
        )
    if not endpoint.startswith("arn:aws:sqs:"):
        raise AwsFault("InvalidParameter", "Invalid parameter: SQS endpoint ARN")
    return endpoint


def _publication(form: Form) -> Publication:
    return Publication(
        body=body_for_queues(form.get("Message", ""), form.get("MessageStructure")),
        attributes=attributes_of(form),
        subject=form.get("Subject"),
        group_id=form.get("MessageGroupId"),
        deduplication_id=form.get("MessageDeduplicationId"),
    )


def _tags_of(form: Form) -> dict[str, str]:
    return {
        entry.get("Key", ""): entry.get("Value", "") for entry in entries_of(form, "Tags.member")
    }
