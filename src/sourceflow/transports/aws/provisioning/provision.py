"""Brings AWS and a plan together."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from sourceflow.errors import AwsConfigurationError
from sourceflow.transports.aws.control_plane import ControlPlane
from sourceflow.transports.aws.provisioning.queues import Queues
from sourceflow.transports.aws.provisioning.resources import (
    Provisioned,
    ProvisionedQueue,
    ProvisionedTopic,
)
from sourceflow.transports.aws.provisioning.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import CredentialsProvider
    from sourceflow.transports.aws.options import AwsOptions
    from sourceflow.transports.aws.provisioning.plan import ProvisioningPlan, QueuePlan, TopicPlan

__all__ = ("Provisioner",)

log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")


class Provisioner:
    """Makes, checks or finds what a plan names. Any number of instances may do so at once.

    Args:
        plane: Calls AWS.
        plan: What is needed.
        clock: Waits for names that are not free yet.
    """

    def __init__(self, plane: ControlPlane, plan: ProvisioningPlan, clock: Clock) -> None:
        self._plan = plan
        self._warnings: list[str] = []
        self._queues = Queues(plane, clock, self._warnings)
        self._topics = Topics(plane, self._warnings)

    @classmethod
    async def run(
        cls,
        options: AwsOptions,
        plan: ProvisioningPlan,
        *,
        clock: Clock,
        credentials: CredentialsProvider | None = None,
    ) -> Provisioned:
        """Do what the options say.

        Raises:
            AwsConfigurationError: Something is missing that is not to be made, or cannot be.
        """
        plane = await ControlPlane.open(
            region=options.region, endpoint_url=options.endpoint_url, credentials=credentials
        )
        try:
            provisioner = cls(plane, plan, clock)
            if options.provisioning == "ensure":
                return await provisioner.ensure()
            return await provisioner.look_up(thorough=options.provisioning == "verify")
        finally:
            await plane.aclose()

    async def ensure(self) -> Provisioned:
        """Add what is missing; what differs is a warning and is left as it is."""
        queues = await self._all(self._queues.ensure(plan) for plan in self._plan.queues)
        topics = await self._all(self._topics.ensure(plan) for plan in self._plan.topics)
        by_name = dict(zip((plan.name for plan in self._plan.queues), queues, strict=True))
        fed = self._fed(topics)
        await self._all(
            self._feed(by_name[name], plans_and_topics) for name, plans_and_topics in fed.items()
        )
        return self._provisioned(queues, topics)

    async def look_up(self, *, thorough: bool) -> Provisioned:
        """Find everything, and change nothing.

        Args:
            thorough: Also check subscriptions and dead letter queues.

        Raises:
            AwsConfigurationError: Something is missing; names all of it.
        """
        queues = await self._all(self._queues.look_up(plan) for plan in self._plan.queues)
        arn = next((queue.arn for queue in queues if queue is not None), None)
        topics = await self._all(self._topics.look_up(plan, arn) for plan in self._plan.topics)
        missing = _missing("queue", self._plan.queues, queues)
        missing += _missing("topic", self._plan.topics, topics)
        if thorough and not missing:
            missing = await self._missing_links(_there(queues), _there(topics))
        if missing:
            raise AwsConfigurationError(
                f"missing: {'; '.join(missing)} (provisioning='ensure' makes them)",
                code="NotProvisioned",
            )
        return self._provisioned(_there(queues), _there(topics))

    async def _missing_links(
        self, queues: list[ProvisionedQueue], topics: list[ProvisionedTopic]
    ) -> list[str]:
        missing = [
            f"a dead letter queue of {queue.name!r}"
            for plan, queue in zip(self._plan.queues, queues, strict=True)
            if plan.listened and queue.dead_letter_url is None
        ]
        by_name = dict(zip((plan.name for plan in self._plan.queues), queues, strict=True))
        for name, pairs in self._fed(topics).items():
            queue = by_name[name]
            for _, topic in pairs:
                if await self._topics.subscription(topic.arn, queue.arn) is None:
                    missing.append(f"the subscription of {queue.name!r} to {topic.name!r}")
                if not await self._queues.may_allow(queue.arn, queue.url, topic.arn):
                    missing.append(f"the right of {topic.name!r} to send to {queue.name!r}")
        return missing

    def _fed(
        self, topics: Iterable[ProvisionedTopic]
    ) -> dict[str, list[tuple[TopicPlan, ProvisionedTopic]]]:
        """Return for each event queue the topics that feed it."""
        fed: dict[str, list[tuple[TopicPlan, ProvisionedTopic]]] = {}
        for plan, topic in zip(self._plan.topics, topics, strict=True):
            if plan.queue is not None:
                fed.setdefault(plan.queue, []).append((plan, topic))
        return fed

    async def _feed(
        self, queue: ProvisionedQueue, pairs: list[tuple[TopicPlan, ProvisionedTopic]]
    ) -> None:
        """Let topics deliver into a queue, then subscribe it: the policy has to be there first."""
        arns = [topic.arn for _, topic in pairs]
        await self._queues.allow(queue.arn, queue.url, arns)
        dead_letter_arn = None
        if queue.dead_letter_url is not None:
            dead_letter_arn = await self._queues.arn_of(queue.dead_letter_url)
            await self._queues.allow(dead_letter_arn, queue.dead_letter_url, arns)
        for plan, topic in pairs:
            await self._topics.subscribe(plan, topic.arn, queue.arn, dead_letter_arn)

    def _provisioned(
        self, queues: list[ProvisionedQueue], topics: list[ProvisionedTopic]
    ) -> Provisioned:
        for warning in self._warnings:
            log.warning("%s", warning)
        return Provisioned(
            queues=_by_name(self._plan.queues, queues),
            topics=_by_name(self._plan.topics, topics),
            event_queues=self._plan.event_queues,
            subscribed_arns=frozenset(
                topic.arn
                for plan, topic in zip(self._plan.topics, topics, strict=True)
                if plan.queue is not None
            ),
            warnings=tuple(self._warnings),
        )

    async def _all(self, calls: Iterable[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
        """Do things side by side; the first error is raised as it is."""
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(call) for call in calls]
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        return [task.result() for task in running]


def _missing(
    what: str,
    plans: Iterable[QueuePlan | TopicPlan],
    found: Iterable[object | None],
) -> list[str]:
    return [
        f"the {what} {plan.full_name!r}"
        for plan, each in zip(plans, found, strict=True)
        if each is None
    ]


def _there(found: Iterable[ResultT | None]) -> list[ResultT]:
    return [each for each in found if each is not None]


def _by_name(
    plans: Iterable[QueuePlan | TopicPlan], found: Iterable[ResultT]
) -> Mapping[str, ResultT]:
    return {plan.name: each for plan, each in zip(plans, found, strict=True)}
