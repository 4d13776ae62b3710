"""Where the queues and topics of an App are: as it found them when it started, or looked up now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from sourceflow.errors import AwsConfigurationError, AwsError
from sourceflow.transports.aws.health.once import Once
from sourceflow.transports.aws.provisioning import is_missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.transports.aws.client import SnsClient, SqsClient
    from sourceflow.transports.aws.provisioning import Provisioned, ProvisioningPlan

__all__ = ("Places", "QueuePlace", "known_places", "sought_places")


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where a queue is.

    Attributes:
        url: Its URL.
        arn: Its ARN.
        dead_letter_url: Its dead letter queue's URL; None where it has none.
    """

    url: str
    arn: str
    dead_letter_url: str | None


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is, by the names that the bus uses.

    Attributes:
        queues: Where each queue is, or why that is not known.
        topics: The ARN of each topic, or why it is not known.
    """

    queues: Mapping[str, Once[QueuePlace]]
    topics: Mapping[str, Once[str]]


def known_places(provisioned: Provisioned) -> Places:
    """Return where everything was when the App started."""
    return Places(
        queues={
            name: Once.known(QueuePlace(each.url, each.arn, each.dead_letter_url))
            for name, each in provisioned.queues.items()
        },
        topics={name: Once.known(each.arn) for name, each in provisioned.topics.items()},
    )


def sought_places(plan: ProvisioningPlan, sqs: SqsClient, sns: SnsClient) -> Places:
    """Return what looks everything up, when it is asked for.

    Actions: ``sqs:GetQueueUrl`` and ``sqs:GetQueueAttributes`` on the queues, ``sqs:GetQueueUrl`` on
    their dead letter queues; ``sns:ListTopics`` only where there is no queue to tell the account.
    """
    queues = {each.name: Once(partial(_find_queue, sqs, each.full_name)) for each in plan.queues}
    topics = {
        each.name: Once(partial(_find_topic, sns, each.full_name, tuple(queues.values())))
        for each in plan.topics
    }
    return Places(queues, topics)


async def _find_queue(sqs: SqsClient, name: str) -> QueuePlace:
    url = await sqs.get_queue_url(name)
    attributes = await sqs.get_queue_attributes(url, ("QueueArn", "RedrivePolicy"))
    return QueuePlace(url, attributes["QueueArn"], await _dead_letter_url(sqs, attributes))


async def _dead_letter_url(sqs: SqsClient, attributes: Mapping[str, str]) -> str | None:
    redrive = attributes.get("RedrivePolicy")
    if redrive is None:
        return None
    arn: str = msgspec.json.decode(redrive)["deadLetterTargetArn"]
    try:
        return await sqs.get_queue_url(arn.rpartition(":")[2])
    except AwsError as error:
        if is_missing(error):
            return None
        raise


async def _find_topic(sns: SnsClient, name: str, queues: tuple[Once[QueuePlace], ...]) -> str:
    """Return the ARN of a topic: it stands in the account and region of our queues."""
    failed: AwsError | None = None
    for queue in queues:
        try:
            place = await queue.get()
        except AwsError as error:
            failed = error
        else:
            _, partition, _, region, account, _ = place.arn.split(":")
            return f"arn:{partition}:sns:{region}:{account}:{name}"
    if failed is not None and not is_missing(failed):
        raise failed
    token: str | None = None
    while True:
        page = await sns.list_topics(token=token)
        for arn in page.arns:
            if arn.rpartition(":")[2] == name:
                return arn
        token = page.token
        if token is None:
            raise AwsConfigurationError(
                f"there is no topic {name!r}", code="NotFound", operation="ListTopics"
            )
