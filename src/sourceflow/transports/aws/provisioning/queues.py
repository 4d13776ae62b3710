"""Queues and their dead letter queues."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from sourceflow.errors import AwsConfigurationError, AwsError
from sourceflow.transports.aws.provisioning.policies import may_allow, with_topics, without_topic
from sourceflow.transports.aws.provisioning.resources import ProvisionedQueue

if TYPE_CHECKING:
    from collections.abc import Collection

    from sourceflow.clock import Clock
    from sourceflow.transports.aws.control_plane import ControlPlane
    from sourceflow.transports.aws.provisioning.plan import QueuePlan

__all__ = ("FoundQueue", "Queues", "is_missing")

log = logging.getLogger(__name__)

DEFAULT_MAX_BYTES: Final = 1_048_576
"""What a message takes at most where the queue does not say (SQS API reference, ``SendMessage``)."""

DELETED_RECENTLY: Final = 60.0
"""Seconds until the name of a deleted queue is free (SQS API reference, ``DeleteQueue``)."""

POLICY_TRIES: Final = 5
"""How often a policy is written that another instance overwrites at the same moment."""

_MISSING: Final = frozenset(
    {"QueueDoesNotExist", "NonExistentQueue", "AWS.SimpleQueueService.NonExistentQueue", "NotFound"}
)
_COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_EXISTS: Final = frozenset({"QueueAlreadyExists", "QueueNameExists"})


def is_missing(error: AwsError) -> bool:
    """Whether AWS says that a queue or topic does not exist."""
    return error.code in _MISSING


class FoundQueue(NamedTuple):
    """A queue that is there.

    Attributes:
        url: Its URL.
        attributes: All its attributes.
    """

    url: str
    attributes: dict[str, str]

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.attributes["QueueArn"]

    @property
    def keeps(self) -> int:
        """How many messages it holds, visible or not, by SQS's estimate."""
        return sum(int(self.attributes.get(name, 0)) for name in _COUNTS)


class Queues:
    """Makes and finds queues."""

    def __init__(self, plane: ControlPlane, clock: Clock, warnings: list[str]) -> None:
        self._plane = plane
        self._clock = clock
        self._warnings = warnings

    async def ensure(self, plan: QueuePlan) -> ProvisionedQueue:
        """Make a queue and its dead letter queue where they are missing; change nothing there is."""
        found = await self.find(plan.full_name)
        if found is None:
            dead = await self._dead_letters(plan)
            redrive = {"deadLetterTargetArn": dead.arn, "maxReceiveCount": plan.max_receive_count}
            found = await self._create(
                plan.full_name,
                {**plan.attributes, "RedrivePolicy": msgspec.json.encode(redrive).decode()},
            )
        else:
            self._compare(plan, found.attributes)
        queue = await self._described(plan, found)
        if (
            queue.dead_letter_url is None
        ):  # it gets no redrive policy, but its messages a place to go
            queue = replace(queue, dead_letter_url=(await self._dead_letters(plan)).url)
        return queue

    async def _dead_letters(self, plan: QueuePlan) -> FoundQueue:
        """Find a dead letter queue, or make it."""
        return await self.find(plan.dead_letter_name) or await self._create(
            plan.dead_letter_name, plan.dead_letter_attributes
        )

    async def look_up(self, plan: QueuePlan) -> ProvisionedQueue | None:
        """Find a queue and its dead letter queue."""
        found = await self.find(plan.full_name)
        return None if found is None else await self._described(plan, found)

    async def _described(self, plan: QueuePlan, found: FoundQueue) -> ProvisionedQueue:
        return ProvisionedQueue(
            name=plan.full_name,
            url=found.url,
            arn=found.arn,
            dead_letter_url=await self._dead_letter_url(plan, found.attributes),
            max_message_bytes=int(found.attributes.get("MaximumMessageSize", DEFAULT_MAX_BYTES)),
        )

    async def _dead_letter_url(self, plan: QueuePlan, attributes: dict[str, str]) -> str | None:
        """Return the URL of the queue that the redrive policy names: it may have another name."""
        redrive = attributes.get("RedrivePolicy")
        if redrive is None:
            return None
        arn: str = msgspec.json.decode(redrive)["deadLetterTargetArn"]
        name = arn.rpartition(":")[2]
        try:
            answer = await self._plane.sqs("get_queue_url", QueueName=name)
        except AwsError as error:
            if not is_missing(error):
                raise
            self._warnings.append(
                f"the dead letter queue {name!r} of {plan.full_name!r} does not exist"
            )
            return None
        return str(answer["QueueUrl"])

    async def find(self, name: str) -> FoundQueue | None:
        """Find a queue by its full name, with all its attributes."""
        try:
            url: str = (await self._plane.sqs("get_queue_url", QueueName=name))["QueueUrl"]
            return FoundQueue(url, await self._attributes(url))
        except AwsError as error:
            if is_missing(error):
                return None
            raise

    async def _attributes(self, url: str) -> dict[str, str]:
        answer = await self._plane.sqs("get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
        found: dict[str, str] = answer["Attributes"]
        return found

    async def _create(self, name: str, attributes: dict[str, str]) -> FoundQueue:
        """Create a queue; another instance may create it at the same moment, or have deleted it."""
        try:
            answer = await self._plane.sqs("create_queue", QueueName=name, Attributes=attributes)
        except AwsError as error:
            if error.code in _EXISTS:
                found = await self.find(name)
                if found is not None:
                    return found
                raise
            if error.code.rpartition(".")[2] != "QueueDeletedRecently":
                raise
            log.warning(
                "the queue %s was deleted a moment ago; waiting until its name is free", name
            )
            await self._clock.sleep(DELETED_RECENTLY)
            return await self._create(name, attributes)
        url: str = answer["QueueUrl"]
        return FoundQueue(url, await self._attributes(url))

    def _compare(self, plan: QueuePlan, attributes: dict[str, str]) -> None:
        for name, wanted in plan.attributes.items():
            actual = attributes.get(name, "false" if wanted in {"true", "false"} else None)
            if actual is not None and actual != wanted:
                self._warnings.append(
                    f"the queue {plan.full_name!r} has {name} {actual}, not {wanted}; "
                    "it is left as it is"
                )
        if "RedrivePolicy" not in attributes:
            self._warnings.append(
                f"the queue {plan.full_name!r} has no redrive policy; it is left as it is, and its "
                f"dead letters go to {plan.dead_letter_name!r}"
            )

    async def arn_of(self, url: str) -> str:
        """Return a queue's ARN."""
        return (await self._attributes(url))["QueueArn"]

    async def may_allow(self, queue_arn: str, url: str, topic_arn: str) -> bool:
        """Whether a topic may deliver into a queue, by our statement or by anybody's."""
        return may_allow((await self._attributes(url)).get("Policy", ""), queue_arn, topic_arn)

    async def allow(self, queue_arn: str, url: str, topics: Collection[str]) -> None:
        """Let topics deliver into a queue.

        Two instances may do this at once, and the later write wins: so it is read again, and
        written again where it got lost.

        Raises:
            AwsConfigurationError: The policy would become too long, or is never there.
        """
        for _ in range(POLICY_TRIES):
            policy = (await self._attributes(url)).get("Policy", "")
            wanted = with_topics(policy, queue_arn, topics)
            if wanted is None:
                return
            await self._plane.sqs(
                "set_queue_attributes", QueueUrl=url, Attributes={"Policy": wanted}
            )
        raise AwsConfigurationError(
            f"the policy of {queue_arn} was overwritten {POLICY_TRIES} times: who else sets it?",
            code="PolicyOverwritten",
        )

    async def forbid(self, queue: FoundQueue, topic: str) -> None:
        """Take a topic out of our statement in a queue's policy, where it stands in it."""
        policy = without_topic(queue.attributes.get("Policy", ""), queue.arn, topic)
        if policy is not None:
            await self._plane.sqs(
                "set_queue_attributes", QueueUrl=queue.url, Attributes={"Policy": policy}
            )
