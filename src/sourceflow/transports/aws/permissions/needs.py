"""The queues, topics and keys of an App, as ARNs, by what is done with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sourceflow.transports.aws.encryption import encrypted_destinations
from sourceflow.transports.aws.names import is_fifo
from sourceflow.transports.aws.permissions.keys import KeyName
from sourceflow.transports.aws.provisioning import plan_resources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sourceflow.transports.aws.bus import BusConfiguration
    from sourceflow.transports.aws.options import AwsOptions
    from sourceflow.transports.aws.permissions.account import Account
    from sourceflow.transports.aws.provisioning import QueuePlan, TopicPlan

__all__ = ("Needs",)

Arns = tuple[str, ...]


class Needs:
    """The queues, topics and keys of an App, as ARNs, by what is done with them.

    Dead letter queues are those that provisioning makes. A queue that was made by others, with
    another dead letter queue, needs rights on that one.

    Args:
        options: The transport's options.
        bus: Where messages go, and what is listened to.
        app: The App's name.
        account: Where it runs.
    """

    def __init__(
        self, options: AwsOptions, bus: BusConfiguration, app: str, account: Account
    ) -> None:
        self.options = options
        self.app = app
        self.account = account
        self._bus = bus
        plan = plan_resources(options, bus, app, subscribed=())
        self._queues = {queue.name: queue for queue in plan.queues}
        self._topics = {topic.name: topic for topic in plan.topics}
        self._event_queues = plan.event_queues

    def without_listening(self) -> Needs:
        """Return what is left where nothing is listened to."""
        options = replace(self.options, enable_command_listener=False, enable_event_listener=False)
        return Needs(options, self._bus, self.app, self.account)

    @property
    def queues(self) -> Arns:
        """Queues that are sent to or listened to, event queues among them."""
        return self._queue_arns(self._queues.values())

    @property
    def dead_letter_queues(self) -> Arns:
        """The dead letter queue of each."""
        return self._dead_letter_arns(self._queues.values())

    @property
    def topics(self) -> Arns:
        """Topics that are published to, subscribed to or alerted."""
        return self._topic_arns(self._topics.values())

    @property
    def sent_to(self) -> Arns:
        """Queues that commands are routed to."""
        names = self._bus.commands.values() if self.options.enable_command_routing else ()
        return self._queue_arns(self._queues[name] for name in dict.fromkeys(names))

    @property
    def published_to(self) -> Arns:
        """Topics that events are routed to."""
        names = self._bus.events.values() if self.options.enable_event_routing else ()
        return self._topic_arns(self._topics[name] for name in dict.fromkeys(names))

    @property
    def listened(self) -> Arns:
        """Queues that messages are taken from."""
        return self._queue_arns(self._listened)

    @property
    def dead_letters(self) -> Arns:
        """The dead letter queues of those."""
        return self._dead_letter_arns(self._listened)

    @property
    def standard_dead_letters(self) -> Arns:
        """Those of them that keep no order: SQS itself may move their letters."""
        return self._dead_letter_arns(each for each in self._listened if not is_fifo(each.name))

    @property
    def event_queues(self) -> Arns:
        """Queues that topics deliver into: event queues, and their dead letter queues."""
        queues = [self._queues[name] for name in self._event_queues]
        return self._queue_arns(queues) + self._dead_letter_arns(queues)

    @property
    def subscribed(self) -> Arns:
        """Topics that deliver into event queues."""
        return self._topic_arns(each for each in self._topics.values() if each.queue is not None)

    @property
    def alerted(self) -> Arns:
        """Topics that alerts are published to."""
        monitor = self.options.dead_letter_monitor
        names = () if monitor is None else monitor.topics
        return self._topic_arns(self._topics[name] for name in dict.fromkeys(names))

    @property
    def encrypted(self) -> Arns:
        """Queues and topics that are sent to encrypted."""
        places = encrypted_destinations(self.options, self._bus)
        queues = [each for name, each in self._queues.items() if ("queue", name) in places]
        topics = [each for name, each in self._topics.items() if ("topic", name) in places]
        return self._queue_arns(queues) + self._topic_arns(topics)

    @property
    def origins(self) -> Arns:
        """What encrypted messages that arrive may have been encrypted for: where they were sent.

        Who listens to a dead letter queue reads what was sent to its queues.
        """
        listened = {each.full_name for each in self._listened}
        sources = [each for each in self._queues.values() if each.dead_letter_name in listened]
        arns = (*self.listened, *self.subscribed, *self._queue_arns(sources))
        return tuple(dict.fromkeys(arns))

    @property
    def encrypting_keys(self) -> tuple[KeyName, ...]:
        """Keys of KMS that data keys are made with; none where another key service is used."""
        return self._keys(self.options.kms_key_id)

    @property
    def decrypting_keys(self) -> tuple[KeyName, ...]:
        """Keys of KMS that may have encrypted what arrives."""
        return self._keys(self.options.kms_key_id, *self.options.decrypt_key_ids)

    @property
    def _listened(self) -> list[QueuePlan]:
        return [each for each in self._queues.values() if each.listened]

    def _keys(self, *names: str | None) -> tuple[KeyName, ...]:
        known = dict.fromkeys(name for name in names if name is not None)
        return tuple(KeyName.of(name, self.account) for name in known)

    def _queue_arns(self, queues: Iterable[QueuePlan]) -> Arns:
        return tuple(self.account.queue(each.full_name) for each in queues)

    def _dead_letter_arns(self, queues: Iterable[QueuePlan]) -> Arns:
        names = dict.fromkeys(each.dead_letter_name for each in queues)
        return tuple(map(self.account.queue, names))

    def _topic_arns(self, topics: Iterable[TopicPlan]) -> Arns:
        return tuple(self.account.topic(each.full_name) for each in topics)
