"""What people do with the resources of an App: see what is missing, make it, remove what is left."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sourceflow.errors import AwsError
from sourceflow.transports.aws.control_plane import ControlPlane
from sourceflow.transports.aws.names import dead_letter_name, event_queue_name
from sourceflow.transports.aws.provisioning.policies import allowed_topics
from sourceflow.transports.aws.provisioning.provision import Provisioner
from sourceflow.transports.aws.provisioning.queues import Queues, is_missing
from sourceflow.transports.aws.provisioning.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import CredentialsProvider
    from sourceflow.transports.aws.options import AwsOptions
    from sourceflow.transports.aws.provisioning.plan import ProvisioningPlan, QueuePlan, TopicPlan
    from sourceflow.transports.aws.provisioning.queues import FoundQueue
    from sourceflow.transports.aws.provisioning.resources import Provisioned

__all__ = ("Resource", "Resources")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Something on AWS that is missing, or left over.

    Attributes:
        kind: ``queue``, ``dead letter queue``, ``topic``, ``subscription`` or ``policy``: the right
            of a topic to send to a queue.
        name: The full name of the queue or topic; of the last two, the queue's.
        topic: Of the last two, the topic's full name.
        address: The URL of a queue, or the ARN of a subscription or a topic; empty where missing.
        keeps: Messages that a queue holds; with any it is not removed.
    """

    kind: str
    name: str
    topic: str = ""
    address: str = ""
    keeps: int = 0


class Resources:
    """The resources of one App.

    Args:
        plane: Calls AWS.
        plan: What the App needs.
        app: Its name.
        prefix: What stands before the names of all its resources.
        clock: Waits for names that are not free yet.
    """

    def __init__(
        self, plane: ControlPlane, plan: ProvisioningPlan, *, app: str, prefix: str, clock: Clock
    ) -> None:
        self._plane = plane
        self._plan = plan
        self._app = app
        self._prefix = prefix
        self._clock = clock
        self._queues = Queues(plane, clock, [])
        self._topics = Topics(plane, [])

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        options: AwsOptions,
        plan: ProvisioningPlan,
        *,
        app: str,
        clock: Clock,
        credentials: CredentialsProvider | None = None,
    ) -> AsyncIterator[Resources]:
        """Connect.

        Raises:
            AwsCredentialsError: There are no credentials.
        """
        plane = await ControlPlane.open(
            region=options.region, endpoint_url=options.endpoint_url, credentials=credentials
        )
        try:
            yield cls(plane, plan, app=app, prefix=options.resource_prefix, clock=clock)
        finally:
            await plane.aclose()

    async def make(self) -> Provisioned:
        """Make what is missing, as an App does that starts; change nothing there is."""
        return await Provisioner(self._plane, self._plan, self._clock).ensure()

    async def missing(self) -> list[Resource]:
        """Return what ``make`` would make; change nothing."""
        found: list[Resource] = []
        queues: dict[str, FoundQueue | None] = {}
        for plan in self._plan.queues:
            queue = queues[plan.name] = await self._queues.find(plan.full_name)
            found += await self._missing_of(plan, queue)
        arn = next((queue.arn for queue in queues.values() if queue is not None), None)
        for topic in self._plan.topics:
            there = await self._topics.look_up(topic, arn)
            if there is None:
                found.append(Resource(kind="topic", name=topic.full_name))
            if topic.queue is not None:
                topic_arn = "" if there is None else there.arn
                found += await self._missing_links(topic, topic_arn, queues[topic.queue])
        return found

    async def _missing_of(self, plan: QueuePlan, queue: FoundQueue | None) -> list[Resource]:
        found = [] if queue is not None else [Resource(kind="queue", name=plan.full_name)]
        has_own = queue is not None and "RedrivePolicy" in queue.attributes
        if not has_own and await self._queues.find(plan.dead_letter_name) is None:
            found.append(Resource(kind="dead letter queue", name=plan.dead_letter_name))
        return found

    async def _missing_links(
        self, topic: TopicPlan, topic_arn: str, queue: FoundQueue | None
    ) -> list[Resource]:
        assert topic.queue is not None  # it is subscribed to
        name = self._prefix + topic.queue
        links = [
            Resource(kind=kind, name=name, topic=topic.full_name)
            for kind in ("policy", "subscription")
        ]
        if queue is None or not topic_arn:
            return links
        policy, subscription = links
        allowed = allowed_topics(queue.attributes.get("Policy", ""), queue.arn)
        found = [] if topic_arn in allowed else [policy]
        if await self._topics.subscription(topic_arn, queue.arn) is None:
            found.append(subscription)
        return found

    async def surplus(self) -> list[Resource]:
        """Return what this App has made and no longer needs; change nothing.

        What is provably the App's own are its event queues, by their names, and what our statement
        in their policies names: the topics that once fed them, and the subscriptions to those.
        Command queues and topics may be another App's, too, and are never among it.
        """
        found: list[Resource] = []
        for fifo in (False, True):
            name = event_queue_name(self._app, fifo=fifo)
            queue = await self._queues.find(self._prefix + name)
            if queue is not None:
                found += await self._surplus_of(name, queue)
        return found

    async def _surplus_of(self, name: str, queue: FoundQueue) -> list[Resource]:
        full_name = self._prefix + name
        wanted = {topic.full_name for topic in self._plan.topics if topic.queue == name}
        found: list[Resource] = []
        for arn in allowed_topics(queue.attributes.get("Policy", ""), queue.arn):
            topic = arn.rpartition(":")[2]
            if topic in wanted:
                continue
            subscription = await self._subscription(arn, queue.arn)
            if subscription is not None:
                found.append(
                    Resource(kind="subscription", name=full_name, topic=topic, address=subscription)
                )
            found.append(Resource(kind="policy", name=full_name, topic=topic, address=arn))
        if name in self._plan.event_queues:
            return found
        found.append(_queue("queue", full_name, queue))
        dead = await self._queues.find(dead_letter_name(full_name))
        if dead is not None:
            found.append(_queue("dead letter queue", dead_letter_name(full_name), dead))
        return found

    async def _subscription(self, topic_arn: str, queue_arn: str) -> str | None:
        try:
            return await self._topics.subscription(topic_arn, queue_arn)
        except AwsError as error:
            if is_missing(error):  # the topic was deleted, and its subscriptions with it
                return None
            raise

    async def remove(self, resource: Resource) -> bool:
        """Remove something that ``surplus`` has named; return whether it is gone.

        A queue that holds messages stays, also those that have come in the meantime.
        """
        if resource.kind == "subscription":
            await self._plane.sns("unsubscribe", SubscriptionArn=resource.address)
        elif resource.kind == "policy":
            await self._forbid(resource)
        else:
            queue = await self._queues.find(resource.name)
            if queue is None or queue.keeps:
                return queue is None
            await self._plane.sqs("delete_queue", QueueUrl=queue.url)
        return True

    async def _forbid(self, resource: Resource) -> None:
        """Take a topic out of our statement, in the policy of its queue and the dead letter queue."""
        for name in (resource.name, dead_letter_name(resource.name)):
            queue = await self._queues.find(name)
            if queue is not None:
                await self._queues.forbid(queue, resource.address)


def _queue(kind: str, name: str, queue: FoundQueue) -> Resource:
    return Resource(kind=kind, name=name, address=queue.url, keeps=queue.keeps)
