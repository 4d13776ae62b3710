"""Where the messages of an App go, as found on AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.bus.changes import Destination
from sourceflow.transports.aws.encryption import encrypted_destinations
from sourceflow.transports.aws.names import is_fifo
from sourceflow.transports.aws.packing import Target

if TYPE_CHECKING:
    from sourceflow.transports.aws.bus import BusConfiguration
    from sourceflow.transports.aws.options import AwsOptions
    from sourceflow.transports.aws.provisioning import Provisioned

__all__ = ("find_targets",)


def find_targets(
    options: AwsOptions, bus: BusConfiguration, found: Provisioned
) -> dict[Destination, Target]:
    """Return every queue and topic that there is a route to."""
    encrypted = encrypted_destinations(options, bus)
    queues = {
        Destination("queue", name): Target(
            name=found.queues[name].name,
            address=found.queues[name].url,
            is_topic=False,
            is_fifo=is_fifo(name),
            max_bytes=found.queues[name].max_message_bytes,
            arn=found.queues[name].arn,
            encrypts=Destination("queue", name) in encrypted,
        )
        for name in set(bus.commands.values()) & found.queues.keys()
    }
    topics = {
        Destination("topic", name): Target(
            name=found.topics[name].name,
            address=found.topics[name].arn,
            is_topic=True,
            is_fifo=is_fifo(name),
            max_bytes=found.topics[name].max_message_bytes,
            arn=found.topics[name].arn,
            encrypts=Destination("topic", name) in encrypted,
        )
        for name in set(bus.events.values()) & found.topics.keys()
    }
    return {**queues, **topics}
