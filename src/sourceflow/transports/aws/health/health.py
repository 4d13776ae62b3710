"""What is looked at of AWS, for one App: no more than it needs for its work."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sourceflow.bus.changes import Destination
from sourceflow.bus.ports import HealthCheck
from sourceflow.errors import AwsError
from sourceflow.transports.aws.encryption import STORES, encrypted_destinations
from sourceflow.transports.aws.health.circuits import look_at_circuits
from sourceflow.transports.aws.health.judging import judge
from sourceflow.transports.aws.health.keys import KeyHealth, KeyUse
from sourceflow.transports.aws.health.listeners import look_at_listener
from sourceflow.transports.aws.health.once import Once
from sourceflow.transports.aws.health.queues import look_at_dead_letters, look_at_queue
from sourceflow.transports.aws.health.services import look_at_service
from sourceflow.transports.aws.health.topics import SubscriptionHealth, look_at_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sourceflow.bus.ports import Finding, HealthOptions
    from sourceflow.clock import Clock
    from sourceflow.resilience.circuit_breaker import CircuitBreaker
    from sourceflow.transports.aws.bus import BusConfiguration
    from sourceflow.transports.aws.client import SnsClient, SqsClient
    from sourceflow.transports.aws.encryption import KeyProvider, KeySection
    from sourceflow.transports.aws.health.places import Places
    from sourceflow.transports.aws.listener_status import ListenerStatus
    from sourceflow.transports.aws.options import AwsOptions
    from sourceflow.transports.aws.provisioning import ProvisioningPlan, QueuePlan, TopicPlan

__all__ = ("AwsHealth", "Work")


class Work(NamedTuple):
    """What a transport that runs can tell of itself.

    Attributes:
        listeners: How it goes with each queue that is listened to.
        circuits: The circuit breaker of each destination.
        latest_key: The data key that was decrypted last.
    """

    listeners: Callable[[], tuple[ListenerStatus, ...]]
    circuits: Callable[[], Mapping[Destination, CircuitBreaker]]
    latest_key: Callable[[], KeySection | None]


class AwsHealth:
    """Makes the checks of each report; remembers what spares calls in the next one.

    Args:
        options: The transport's options.
        bus: Where messages go.
        plan: The queues and topics that the App needs.
        places: Where they are.
        app: The App's name.
        sqs: Asks SQS.
        sns: Asks SNS.
        keys: The key service; None where nothing is encrypted or decrypted.
        clock: The time.
        work: What the transport can tell of itself; None where it does not run.
    """

    def __init__(
        self,
        options: AwsOptions,
        bus: BusConfiguration,
        plan: ProvisioningPlan,
        places: Places,
        *,
        app: str,
        sqs: SqsClient,
        sns: SnsClient,
        keys: KeyProvider | None,
        clock: Clock,
        work: Work | None,
    ) -> None:
        self._options = options
        self._bus = bus
        self._plan = plan
        self._places = places
        self._app = app
        self._sqs = sqs
        self._sns = sns
        self._key_name = "kms" if options.kms_key_id or options.decrypt_key_ids else "keys"
        self._keys = None if keys is None else KeyHealth(keys, clock)
        self._work = work
        self._subscriptions: dict[str, SubscriptionHealth] = {}

    def checks(self, options: HealthOptions) -> list[HealthCheck]:
        """Return the checks of one report: they share what they ask of AWS."""
        queues = {plan.name: Once(partial(self._attributes, plan)) for plan in self._plan.queues}
        topics = {plan.name: Once(partial(self._topic, plan)) for plan in self._plan.topics}
        checks = []
        if queues:
            checks.append(HealthCheck("sqs", partial(look_at_service, tuple(queues.values()))))
        if topics:
            checks.append(HealthCheck("sns", partial(look_at_service, tuple(topics.values()))))
        if self._keys is not None:
            checks.append(HealthCheck(self._key_name, partial(self._look_at_keys, self._keys)))
        for plan in self._plan.queues:
            look = partial(self._look_at_queue, plan, queues[plan.name])
            checks.append(HealthCheck(f"queue {plan.full_name}", look))
        for topic in self._plan.topics:
            look = partial(look_at_topic, topics[topic.name])
            checks.append(HealthCheck(f"topic {topic.full_name}", look))
        return [*checks, *self._receiving(), *self._working(options)]

    def _receiving(self) -> Iterator[HealthCheck]:
        for topic in self._plan.topics:
            if topic.queue is not None:
                look = partial(self._look_at_subscription, topic, topic.queue)
                yield HealthCheck(f"subscription {topic.full_name}", look)
        for plan in self._plan.queues:
            if plan.listened:
                look = partial(self._look_at_dead_letters, plan)
                yield HealthCheck(f"dead letters {plan.full_name}", look)

    def _working(self, options: HealthOptions) -> Iterator[HealthCheck]:
        if self._work is None:
            return
        statuses = {status.queue: status for status in self._work.listeners()}
        for plan in self._plan.queues:
            if plan.listened:
                look = partial(
                    look_at_listener,
                    statuses.get(plan.name),
                    wait_time=self._options.wait_time,
                    stalled=options.listener_stalled,
                    handling=options.handling_degraded,
                )
                yield HealthCheck(f"listener {plan.full_name}", look)
        if circuits := self._work.circuits():
            yield HealthCheck("circuits", partial(look_at_circuits, circuits))

    async def _attributes(self, plan: QueuePlan) -> dict[str, str]:
        place = await self._places.queues[plan.name].get()
        names = ("QueueArn", "Policy") if self._feeding(plan) else ("QueueArn",)
        return await self._sqs.get_queue_attributes(place.url, names)

    async def _topic(self, plan: TopicPlan) -> dict[str, str]:
        return await self._sns.get_topic_attributes(await self._places.topics[plan.name].get())

    def _feeding(self, plan: QueuePlan) -> list[TopicPlan]:
        return [topic for topic in self._plan.topics if topic.queue == plan.name]

    async def _look_at_queue(self, plan: QueuePlan, attributes: Once[dict[str, str]]) -> Finding:
        topics: list[str] = []
        for topic in self._feeding(plan):
            with suppress(AwsError):  # the topic's own check says so
                topics.append(await self._places.topics[topic.name].get())
        return await look_at_queue(attributes, topics=topics)

    async def _look_at_subscription(self, topic: TopicPlan, queue: str) -> Finding:
        known = self._subscriptions.get(topic.name)
        if known is None:
            try:
                topic_arn = await self._places.topics[topic.name].get()
                place = await self._places.queues[queue].get()
            except AwsError as error:
                return judge(error, missing="the topic, or the event queue, does not exist")
            known = SubscriptionHealth(self._sns, topic_arn, place.arn)
            self._subscriptions[topic.name] = known
        return await known.look()

    async def _look_at_dead_letters(self, plan: QueuePlan) -> Finding:
        try:
            place = await self._places.queues[plan.name].get()
        except AwsError as error:
            return judge(error, missing="its queue does not exist")
        return await look_at_dead_letters(self._sqs, place.dead_letter_url)

    async def _look_at_keys(self, keys: KeyHealth) -> Finding:
        encrypted = encrypted_destinations(self._options, self._bus)
        queues = [plan.name for plan in self._plan.queues]
        topics = [plan.name for plan in self._plan.topics]
        encrypts = [
            await self._arn(place)
            for place in encrypted
            if place.name in (queues if place.kind == "queue" else topics)
        ]
        decrypts = [
            await self._arn(place)
            for place in (
                *(Destination("queue", plan.name) for plan in self._plan.queues if plan.listened),
                *(Destination("topic", plan.name) for plan in self._plan.topics if plan.queue),
            )
        ]
        if self._options.encrypt_at_rest:
            encrypts.append(STORES)
            decrypts.append(STORES)
        use = KeyUse(
            source=f"/{self._app}",
            encrypts=encrypts,
            decrypts=decrypts,
            latest=(lambda: None) if self._work is None else self._work.latest_key,
        )
        return await keys.look(use)

    async def _arn(self, place: Destination) -> str:
        if place.kind == "topic":
            return await self._places.topics[place.name].get()
        return (await self._places.queues[place.name].get()).arn
