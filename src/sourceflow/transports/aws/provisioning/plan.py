"""What an App needs of AWS, worked out from its options and its bus."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sourceflow.transports.aws.names import (
    check_queue_name,
    check_topic_name,
    dead_letter_name,
    display_name,
    event_queue_name,
    is_fifo,
)
from sourceflow.transports.aws.options import CRASHES_PER_ATTEMPT

if TYPE_CHECKING:
    from collections.abc import Collection

    from sourceflow.transports.aws.bus import BusConfiguration, ListenedQueue
    from sourceflow.transports.aws.options import AwsOptions

__all__ = ("ProvisioningPlan", "QueuePlan", "TopicPlan", "plan_resources")

DEAD_LETTER_RETENTION: Final = timedelta(days=14)
"""The longest there is. On standard queues it counts from the first send, not from the move
(SQS developer guide, "dead-letter queue message retention"), so it is never less than the queue's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlan:
    """A queue with its dead letter queue.

    Attributes:
        name: As the bus calls it.
        full_name: With the prefix.
        dead_letter_name: Its dead letter queue's full name.
        attributes: What it is created with; its dead letter queue's ARN is added then.
        dead_letter_attributes: What its dead letter queue is created with.
        max_receive_count: After so many receives SQS itself gives a message up.
        listened: Whether messages are taken from it here.
    """

    name: str
    full_name: str
    dead_letter_name: str
    attributes: dict[str, str]
    dead_letter_attributes: dict[str, str]
    max_receive_count: int
    listened: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPlan:
    """A topic.

    Attributes:
        name: As the bus calls it.
        full_name: With the prefix.
        attributes: What it is created with.
        queue: The event queue that is subscribed to it; None where nothing is.
        types: The types that SNS passes on; None for all.
    """

    name: str
    full_name: str
    attributes: dict[str, str]
    queue: str | None
    types: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningPlan:
    """Everything an App needs.

    Attributes:
        queues: Queues that are sent to or listened to.
        topics: Topics that are published to or subscribed to.
        event_queues: The names of those queues that take events.
    """

    queues: tuple[QueuePlan, ...]
    topics: tuple[TopicPlan, ...]
    event_queues: tuple[str, ...]


def plan_resources(
    options: AwsOptions, bus: BusConfiguration, app: str, *, subscribed: Collection[str]
) -> ProvisioningPlan:
    """Work out what an App needs.

    Events come into a queue of the App's own, never into a command queue: a standard topic cannot
    feed a FIFO queue (SNS developer guide, "FIFO topics"), and commands and events need different
    rights. FIFO topics feed a FIFO event queue, all others a standard one.

    Args:
        options: The transport's options.
        bus: Where messages go.
        app: The App's name.
        subscribed: Wire names of the events that somebody in the App listens to.

    Raises:
        ValueError: A name is too long with the prefix before it.
    """
    prefix = options.resource_prefix
    listened = {
        queue.name: queue for queue in bus.command_queues if options.enable_command_listener
    }
    commands = bus.commands.values() if options.enable_command_routing else ()
    names = dict.fromkeys([*commands, *listened])
    topics = _topics(options, bus, app, subscribed)
    event_queues = tuple(dict.fromkeys(topic.queue for topic in topics if topic.queue is not None))
    queues = [
        _queue(name, prefix, options, listened.get(name), listened=name in listened)
        for name in names
    ]
    queues += [_queue(name, prefix, options, None, listened=True) for name in event_queues]
    return ProvisioningPlan(queues=tuple(queues), topics=topics, event_queues=event_queues)


def _topics(
    options: AwsOptions, bus: BusConfiguration, app: str, subscribed: Collection[str]
) -> tuple[TopicPlan, ...]:
    events = bus.events.values() if options.enable_event_routing else ()
    names = dict.fromkeys(events)
    wanted = {topic.name: topic for topic in bus.topics} if options.enable_event_listener else {}
    names.update(dict.fromkeys(wanted))
    if options.dead_letter_monitor is not None:
        names.update(dict.fromkeys(options.dead_letter_monitor.topics))
    return tuple(
        TopicPlan(
            name=name,
            full_name=check_topic_name(name, prefix=options.resource_prefix),
            attributes=_topic_attributes(name),
            queue=event_queue_name(app, fifo=is_fifo(name)) if name in wanted else None,
            types=tuple(sorted(subscribed)) if name in wanted and wanted[name].filter else None,
        )
        for name in names
    )


def _topic_attributes(name: str) -> dict[str, str]:
    attributes = {"DisplayName": display_name(name)}
    if is_fifo(name):
        attributes |= {"FifoTopic": "true", "ContentBasedDeduplication": "false"}
    return attributes


def _queue(
    name: str,
    prefix: str,
    options: AwsOptions,
    override: ListenedQueue | None,
    *,
    listened: bool,
) -> QueuePlan:
    visibility = options.visibility_timeout
    attempts = options.max_attempts
    if override is not None:
        visibility = override.visibility_timeout or visibility
        attempts = override.max_attempts or attempts
    kind = _kind_attributes(name)
    return QueuePlan(
        name=name,
        full_name=check_queue_name(name, prefix=prefix),
        dead_letter_name=check_queue_name(dead_letter_name(name), prefix=prefix),
        attributes={
            **kind,
            "MessageRetentionPeriod": _seconds(options.message_retention),
            "VisibilityTimeout": _seconds(visibility),
            "ReceiveMessageWaitTimeSeconds": _seconds(options.wait_time),
        },
        dead_letter_attributes={**kind, "MessageRetentionPeriod": _seconds(DEAD_LETTER_RETENTION)},
        max_receive_count=CRASHES_PER_ATTEMPT * attempts,
        listened=listened,
    )


def _kind_attributes(name: str) -> dict[str, str]:
    """Return what makes a queue a FIFO queue: high throughput, and never content-based ids."""
    if not is_fifo(name):
        return {}
    return {
        "FifoQueue": "true",
        "ContentBasedDeduplication": "false",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
    }


def _seconds(duration: timedelta) -> str:
    return str(-(-duration // timedelta(seconds=1)))
