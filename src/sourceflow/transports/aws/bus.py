"""The fluent configuration: which message goes where, and what is listened to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sourceflow.bus.changes import Destination
from sourceflow.transports.aws.names import check_queue_name, check_topic_name
from sourceflow.transports.aws.options import (
    MAX_VISIBILITY,
    check_attempts,
    check_count,
    check_duration,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = (
    "Bus",
    "BusConfiguration",
    "ListenedQueue",
    "SubscribedTopic",
    "configure_bus",
)


SHORTEST_TIMEOUT: Final = timedelta(milliseconds=1)
"""A limit of nothing would fail every handling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenedQueue:
    """A command queue that is listened to; None leaves a value to the options.

    Attributes:
        name: The queue.
        max_concurrent_calls: Messages of this queue handled at a time.
        visibility_timeout: How long its messages are hidden before their lease is renewed.
        max_attempts: How often the handling of a message may fail.
        timeout: How long one handling may take before it has failed; None sets no limit.
        require_encryption: Whether messages in clear are refused.
    """

    name: str
    max_concurrent_calls: int | None = None
    visibility_timeout: timedelta | None = None
    max_attempts: int | None = None
    timeout: timedelta | None = None
    require_encryption: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribedTopic:
    """A topic whose events reach this App.

    Attributes:
        name: The topic.
        filter: Let SNS pass on only types that somebody here listens to. It takes AWS up to 15
            minutes to follow a change, and a rolling deploy would drop new types meanwhile.
    """

    name: str
    filter: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BusConfiguration:
    """What the fluent configuration says.

    Attributes:
        commands: Command type to queue.
        events: Event type to topic.
        command_queues: Queues that are listened to.
        topics: Topics that are subscribed to.
        encrypts: For queues and topics that say so, whether their messages travel encrypted.
    """

    commands: Mapping[type[Any], str]
    events: Mapping[type[Any], str]
    command_queues: tuple[ListenedQueue, ...]
    topics: tuple[SubscribedTopic, ...]
    encrypts: Mapping[Destination, bool]


class Bus:
    """Begins, and goes on with, the configuration: sections come in any order, or not at all."""

    def __init__(self) -> None:
        self._commands: dict[type[Any], str] = {}
        self._events: dict[type[Any], str] = {}
        self._queues: dict[str, ListenedQueue] = {}
        self._topics: dict[str, SubscribedTopic] = {}
        self._encrypts: dict[Destination, bool] = {}

    @property
    def send(self) -> Send:
        """Say where commands go."""
        return Send(self)

    @property
    def raise_(self) -> Raise:
        """Say where events go."""
        return Raise(self)

    @property
    def listen(self) -> Listen:
        """Say which command queues are listened to."""
        return Listen(self)

    @property
    def subscribe(self) -> Subscribe:
        """Say which topics are subscribed to."""
        return Subscribe(self)

    def build(self) -> BusConfiguration:
        """Return what was said."""
        return BusConfiguration(
            commands=dict(self._commands),
            events=dict(self._events),
            command_queues=tuple(self._queues.values()),
            topics=tuple(self._topics.values()),
            encrypts=dict(self._encrypts),
        )


class _Section:
    """A section of the configuration; leads to all others."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    @property
    def send(self) -> Send:
        """Say where commands go."""
        return self._bus.send

    @property
    def raise_(self) -> Raise:
        """Say where events go."""
        return self._bus.raise_

    @property
    def listen(self) -> Listen:
        """Say which command queues are listened to."""
        return self._bus.listen

    @property
    def subscribe(self) -> Subscribe:
        """Say which topics are subscribed to."""
        return self._bus.subscribe


class Send(_Section):
    """Where commands go."""

    def command(self, command: type[Any], *, queue: str, encrypt: bool | None = None) -> Send:
        """Route a command type to a queue.

        Args:
            command: The type.
            queue: The queue.
            encrypt: Whether messages to this queue travel encrypted, of other types too; the
                options say so where no route to it does.

        Raises:
            ValueError: The name cannot be a queue's, the type has a queue already, or another route
                to the queue says otherwise about encryption.
            TypeError: It is no type.
        """
        check_queue_name(queue)
        _route(self._bus._commands, command, queue, "queue")  # noqa: SLF001 - one mechanism
        _encrypt(self._bus._encrypts, Destination("queue", queue), encrypt)  # noqa: SLF001 - one mechanism
        return self


class Raise(_Section):
    """Where events go."""

    def event(self, event: type[Any], *, topic: str, encrypt: bool | None = None) -> Raise:
        """Route an event type to a topic.

        Args:
            event: The type.
            topic: The topic.
            encrypt: Whether messages to this topic travel encrypted, of other types too; the
                options say so where no route to it does.

        Raises:
            ValueError: The name cannot be a topic's, the type has a topic already, or another route
                to the topic says otherwise about encryption.
            TypeError: It is no type.
        """
        check_topic_name(topic)
        _route(self._bus._events, event, topic, "topic")  # noqa: SLF001 - one mechanism
        _encrypt(self._bus._encrypts, Destination("topic", topic), encrypt)  # noqa: SLF001 - one mechanism
        return self


class Listen(_Section):
    """What is listened to."""

    @property
    def to(self) -> Listen:
        """Read on."""
        return self

    def command_queue(
        self,
        name: str,
        *,
        max_concurrent_calls: int | None = None,
        visibility_timeout: timedelta | None = None,
        max_attempts: int | None = None,
        timeout: timedelta | None = None,
        require_encryption: bool | None = None,
    ) -> Listen:
        """Listen to a command queue; values given here override the options for it.

        Args:
            name: The queue.
            max_concurrent_calls: Messages of this queue handled at a time.
            visibility_timeout: How long its messages are hidden before their lease is renewed.
            max_attempts: How often the handling of a message may fail.
            timeout: How long one handling may take: its handler is cancelled then, its commit is
                not, and the message is tried again. No limit where not given.
            require_encryption: Whether its messages are refused when they arrive in clear.

        Raises:
            ValueError: The name cannot be a queue's, the queue is listened to already, or a value
                is out of range.
        """
        check_queue_name(name)
        if name in self._bus._queues:  # noqa: SLF001 - one mechanism
            raise ValueError(f"the queue {name!r} is listened to twice")
        if max_concurrent_calls is not None:
            check_count("max_concurrent_calls", max_concurrent_calls)
        if visibility_timeout is not None:
            check_duration(
                "visibility_timeout", visibility_timeout, timedelta(seconds=1), MAX_VISIBILITY
            )
        if max_attempts is not None:
            check_attempts("max_attempts", max_attempts)
        if timeout is not None:
            check_duration("timeout", timeout, SHORTEST_TIMEOUT, None)
        self._bus._queues[name] = ListenedQueue(  # noqa: SLF001 - one mechanism
            name=name,
            max_concurrent_calls=max_concurrent_calls,
            visibility_timeout=visibility_timeout,
            max_attempts=max_attempts,
            timeout=timeout,
            require_encryption=require_encryption,
        )
        return self


class Subscribe(_Section):
    """What is subscribed to."""

    @property
    def to(self) -> Subscribe:
        """Read on."""
        return self

    def topic(self, name: str, *, filter: bool = False) -> Subscribe:  # noqa: A002 - the design's word
        """Subscribe this App's event queue to a topic.

        Raises:
            ValueError: The name cannot be a topic's, or the topic is subscribed to already.
        """
        check_topic_name(name)
        if name in self._bus._topics:  # noqa: SLF001 - one mechanism
            raise ValueError(f"the topic {name!r} is subscribed to twice")
        self._bus._topics[name] = SubscribedTopic(name=name, filter=filter)  # noqa: SLF001 - one mechanism
        return self


def _route(routes: dict[type[Any], str], message: type[Any], name: str, what: str) -> None:
    if not isinstance(message, type):
        raise TypeError(f"a route is for a message type, not for {message!r}")
    known = routes.setdefault(message, name)
    if known != name:
        raise ValueError(
            f"{message.__name__} goes to the {what} {known!r} already, not also to {name!r}"
        )


def _encrypt(encrypts: dict[Destination, bool], place: Destination, encrypt: bool | None) -> None:
    if encrypt is None:
        return
    if encrypts.setdefault(place, encrypt) != encrypt:
        raise ValueError(f"one route to {place} says encrypt=True, another encrypt=False")


def configure_bus(configure: Callable[[Bus], object]) -> BusConfiguration:
    """Return what a configuration function says."""
    bus = Bus()
    configure(bus)
    return bus.build()
