"""Commands over SQS queues, events over SNS topics into this App's own event queue."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from sourceflow.bus.changes import Destination
from sourceflow.bus.ports import Depth
from sourceflow.bus.routes import Routes
from sourceflow.errors import NotRunningError
from sourceflow.resilience.backoff import Backoff
from sourceflow.resilience.task_scope import TaskScope
from sourceflow.transports.aws.acknowledger import Acknowledger
from sourceflow.transports.aws.bus import configure_bus
from sourceflow.transports.aws.client import (
    AiohttpClient,
    ChainCredentials,
    SnsClient,
    SqsClient,
    resolve_endpoint,
)
from sourceflow.transports.aws.dead_letters import DeadLetterSender
from sourceflow.transports.aws.leases import Leases
from sourceflow.transports.aws.listener import Listener, ListenerOptions
from sourceflow.transports.aws.provisioning import Provisioner, plan_resources
from sourceflow.transports.aws.sender import Sender, Target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import timedelta

    from sourceflow.bus.outcome import Outcome
    from sourceflow.bus.ports import Delivery, Outgoing, TransportContext
    from sourceflow.messages import Kind
    from sourceflow.transports.aws.bus import Bus, BusConfiguration, ListenedQueue
    from sourceflow.transports.aws.client import CredentialsProvider
    from sourceflow.transports.aws.options import AwsOptions
    from sourceflow.transports.aws.provisioning import Provisioned

__all__ = ("AwsTransport",)

log = logging.getLogger(__name__)


class AwsTransport:
    """See the package's guide; ``App.use`` takes it.

    Args:
        options: How to reach AWS and how to work with it.
        configure: Says which command goes to which queue, which event to which topic, and what
            is listened to.
        credentials: Whose requests these are; botocore's chain where not given.

    Raises:
        ValueError: A name or an option is not valid.
    """

    def __init__(
        self,
        options: AwsOptions,
        configure: Callable[[Bus], object],
        *,
        credentials: CredentialsProvider | None = None,
    ) -> None:
        self._options = options
        self._bus: BusConfiguration = configure_bus(configure)
        self._credentials = credentials
        self._running: _Running | None = None

    @property
    def options(self) -> AwsOptions:
        """How it reaches AWS and works with it."""
        return self._options

    @property
    def routes(self) -> Routes:
        """Which types go where, and what is listened to."""
        options, bus = self._options, self._bus
        return Routes(
            commands=bus.commands if options.enable_command_routing else {},
            events=bus.events if options.enable_event_routing else {},
            listens=tuple(queue.name for queue in bus.command_queues)
            if options.enable_command_listener
            else (),
            subscribes=tuple(topic.name for topic in bus.topics)
            if options.enable_event_listener
            else (),
        )

    async def open(self, context: TransportContext) -> None:
        """Connect and provision; sending works from here on.

        Raises:
            AwsConfigurationError: A queue, topic or right is missing.
            AwsCredentialsError: There are no credentials, or they are refused.
        """
        self._running = await _Running.start(self._options, self._bus, context, self._credentials)

    async def start(self, receive: Callable[[Delivery], Awaitable[Outcome]]) -> None:
        """Begin to listen."""
        self._open.listen(receive)

    async def stop(self, grace: timedelta | None = None) -> None:
        """Stop receiving; finish what runs within the grace period, hand the rest back."""
        await self._open.stop(self._options.shutdown_grace if grace is None else grace)

    async def aclose(self) -> None:
        """Flush what is under way and disconnect."""
        running, self._running = self._running, None
        if running is not None:
            await running.aclose()

    @property
    def _open(self) -> _Running:
        if self._running is None:
            raise NotRunningError("the AWS transport is not open: start the App first")
        return self._running

    def admit(self, outgoing: Outgoing) -> None:
        """Check that a message can fit its destination.

        Raises:
            MessageTooLargeError: It never can.
        """
        self._open.sender.admit(outgoing)

    async def send(self, outgoing: Sequence[Outgoing]) -> Sequence[Exception | None]:
        """Send messages; return for each None when it is confirmed, or why it was not sent."""
        return await self._open.sender.send(outgoing)

    async def depths(self) -> Sequence[Depth]:
        """Return how much waits in each queue that is listened to."""
        return await self._open.depths()

    def describe(self) -> Mapping[str, object]:
        """Return what it is made of."""
        bus = self._bus
        return {
            "kind": "aws",
            "region": self._options.region,
            "resource_prefix": self._options.resource_prefix,
            "commands": {command.__name__: queue for command, queue in bus.commands.items()},
            "events": {event.__name__: topic for event, topic in bus.events.items()},
            "listens": list(self.routes.listens),
            "subscribes": list(self.routes.subscribes),
        }

    def __repr__(self) -> str:
        return f"AwsTransport(region={self._options.region!r})"


class _Running:
    """Everything that is open while the transport is."""

    def __init__(
        self, options: AwsOptions, bus: BusConfiguration, context: TransportContext
    ) -> None:
        self._options = options
        self._bus = bus
        self._context = context
        self._stack = AsyncExitStack()
        self._listeners: list[Listener] = []
        self._polling: list[asyncio.Task[None]] = []

    @classmethod
    async def start(
        cls,
        options: AwsOptions,
        bus: BusConfiguration,
        context: TransportContext,
        credentials: CredentialsProvider | None,
    ) -> _Running:
        running = cls(options, bus, context)
        async with AsyncExitStack() as stack:
            await running._open(stack, credentials)
            running._stack = stack.pop_all()
        return running

    async def _open(self, stack: AsyncExitStack, credentials: CredentialsProvider | None) -> None:
        options, context = self._options, self._context
        self._provisioned = await self._provision(credentials)
        credentials = ChainCredentials(clock=context.clock) if credentials is None else credentials
        sqs_at = await resolve_endpoint(
            "sqs", region=options.region, endpoint_url=options.endpoint_url
        )
        sns_at = await resolve_endpoint(
            "sns", region=options.region, endpoint_url=options.endpoint_url
        )
        sending = await stack.enter_async_context(AiohttpClient())
        receiving = await stack.enter_async_context(AiohttpClient())
        self._sqs = SqsClient(
            endpoint=sqs_at, credentials=credentials, http=sending, clock=context.clock
        )
        self._polls = SqsClient(
            endpoint=sqs_at, credentials=credentials, http=receiving, clock=context.clock
        )
        sns = SnsClient(endpoint=sns_at, credentials=credentials, http=sending, clock=context.clock)
        self._tasks = await stack.enter_async_context(TaskScope())
        self.sender = Sender(
            sqs=self._sqs,
            sns=sns,
            targets=self._targets(),
            tasks=self._tasks,
            clock=context.clock,
            backoff=Backoff(),
        )

    async def _provision(self, credentials: CredentialsProvider | None) -> Provisioned:
        plan = plan_resources(
            self._options,
            self._bus,
            self._context.app,
            subscribed=self._context.subscribed,
        )
        return await Provisioner.run(
            self._options, plan, clock=self._context.clock, credentials=credentials
        )

    def _targets(self) -> dict[Destination, Target]:
        found = self._provisioned
        queues = {
            Destination("queue", name): Target(
                name=found.queues[name].name,
                address=found.queues[name].url,
                is_topic=False,
                is_fifo=name.endswith(".fifo"),
                max_bytes=found.queues[name].max_message_bytes,
            )
            for name in set(self._bus.commands.values()) & found.queues.keys()
        }
        topics = {
            Destination("topic", name): Target(
                name=found.topics[name].name,
                address=found.topics[name].arn,
                is_topic=True,
                is_fifo=name.endswith(".fifo"),
                max_bytes=found.topics[name].max_message_bytes,
            )
            for name in set(self._bus.events.values()) & found.topics.keys()
        }
        return {**queues, **topics}

    def listen(self, receive: Callable[[Delivery], Awaitable[Outcome]]) -> None:
        shared = asyncio.Semaphore(self._options.max_concurrent_calls)
        if self._options.enable_command_listener:
            for queue in self._bus.command_queues:
                self._listen(queue.name, "command", queue, shared, receive)
        if self._options.enable_event_listener:
            for name in self._provisioned.event_queues:
                self._listen(name, "event", None, shared, receive)
        for listener in self._listeners:
            task = self._tasks.create_task(listener.run(), name=f"sourceflow {listener.name}")
            self._polling.append(task)

    def _listen(
        self,
        name: str,
        kind: Kind,
        override: ListenedQueue | None,
        shared: asyncio.Semaphore,
        receive: Callable[[Delivery], Awaitable[Outcome]],
    ) -> None:
        found = self._provisioned.queues[name]
        limits = _Limits.of(self._options, override)
        slots = [shared]
        if limits.own_concurrency is not None:
            slots.insert(0, asyncio.Semaphore(limits.own_concurrency))
        clock = self._context.clock
        options = ListenerOptions(
            name=name,
            url=found.url,
            kind=kind,
            is_fifo=name.endswith(".fifo"),
            wait_time=self._options.wait_time,
            visibility=limits.visibility,
            max_attempts=limits.max_attempts,
            prefetch=max(10, limits.own_concurrency or self._options.max_concurrent_calls),
            topics=self._provisioned.subscribed_arns if kind == "event" else (),
        )
        listener = Listener(
            options,
            sqs=self._polls,
            receive=receive,
            slots=slots,
            leases=Leases(
                sqs=self._sqs,
                queue_url=found.url,
                visibility=limits.visibility,
                clock=clock,
                queue=name,
            ),
            acknowledger=Acknowledger(
                sqs=self._sqs, queue=name, url=found.url, tasks=self._tasks, clock=clock
            ),
            dead_letters=DeadLetterSender(
                sqs=self._sqs,
                queue=name,
                dead_letter_url=found.dead_letter_url,
                is_fifo=name.endswith(".fifo"),
                records=self._context.dead_letters,
                observer=self._context.observer,
                clock=clock,
            ),
            clock=clock,
        )
        self._listeners.append(listener)

    async def stop(self, grace: timedelta) -> None:
        for listener in self._listeners:
            listener.stop()
        try:
            async with asyncio.timeout(grace.total_seconds()):
                for listener in self._listeners:
                    await listener.finished()
        except TimeoutError:
            log.warning("handlers did not end within %s; their messages are handed back", grace)
        for task in self._polling:
            task.cancel()
        if self._polling:
            await asyncio.wait(self._polling)
        for listener in self._listeners:
            await listener.hand_back()
        self._listeners.clear()
        self._polling.clear()

    async def depths(self) -> list[Depth]:
        names = [listener.name for listener in self._listeners]
        return list(await asyncio.gather(*(self._depth(name) for name in names)))

    async def _depth(self, name: str) -> Depth:
        found = await self._sqs.get_queue_attributes(
            self._provisioned.queues[name].url,
            (
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesDelayed",
            ),
        )
        return Depth(
            name,
            int(found["ApproximateNumberOfMessages"]),
            int(found["ApproximateNumberOfMessagesNotVisible"]),
            int(found["ApproximateNumberOfMessagesDelayed"]),
        )

    async def aclose(self) -> None:
        await self._stack.aclose()


class _Limits:
    """A queue's limits: its own, or those of the options."""

    __slots__ = ("max_attempts", "own_concurrency", "visibility")

    def __init__(
        self, *, own_concurrency: int | None, visibility: timedelta, max_attempts: int
    ) -> None:
        self.own_concurrency = own_concurrency
        self.visibility = visibility
        self.max_attempts = max_attempts

    @classmethod
    def of(cls, options: AwsOptions, override: ListenedQueue | None) -> _Limits:
        if override is None:
            return cls(
                own_concurrency=None,
                visibility=options.visibility_timeout,
                max_attempts=options.max_attempts,
            )
        return cls(
            own_concurrency=override.max_concurrent_calls,
            visibility=override.visibility_timeout or options.visibility_timeout,
            max_attempts=override.max_attempts or options.max_attempts,
        )
