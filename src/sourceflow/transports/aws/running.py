"""Everything that is open while the transport is: connections, sender, listeners."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Self

from sourceflow.bus.instrumentation import Place
from sourceflow.resilience.backoff import Backoff
from sourceflow.resilience.task_scope import TaskScope
from sourceflow.transports.aws.acknowledger import Acknowledger
from sourceflow.transports.aws.batcher import MAX_ENTRIES
from sourceflow.transports.aws.connections import Connections
from sourceflow.transports.aws.dead_letters import (
    DeadLetterOperator,
    DeadLetterSender,
    DeadLetterWatch,
    Records,
    SnsAlert,
    dead_letter_queues,
)
from sourceflow.transports.aws.encryption import (
    Cipher,
    DecryptingReceiver,
    encrypted_destinations,
    open_keys,
)
from sourceflow.transports.aws.followed_receives import FollowedReceives
from sourceflow.transports.aws.health import AwsHealth, Work, known_places
from sourceflow.transports.aws.leases import Leases
from sourceflow.transports.aws.listener import Listener
from sourceflow.transports.aws.listener_options import ListenerOptions
from sourceflow.transports.aws.names import is_fifo
from sourceflow.transports.aws.provisioning import Provisioner, plan_resources
from sourceflow.transports.aws.queue_limits import QueueLimits
from sourceflow.transports.aws.readings import Readings, depth_of
from sourceflow.transports.aws.sender import Sender
from sourceflow.transports.aws.slots import Slots
from sourceflow.transports.aws.targets import find_targets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from sourceflow.bus.outcome import Outcome
    from sourceflow.bus.ports import Delivery, Depth, TransportContext
    from sourceflow.messages import Kind
    from sourceflow.transports.aws.bus import BusConfiguration, ListenedQueue
    from sourceflow.transports.aws.client import CredentialsProvider, SnsClient
    from sourceflow.transports.aws.dead_letters import DeadLetterMonitor, DeadLetterQueue
    from sourceflow.transports.aws.encryption import KeyProvider
    from sourceflow.transports.aws.listener_status import ListenerStatus
    from sourceflow.transports.aws.options import AwsOptions
    from sourceflow.transports.aws.pollers import Receives
    from sourceflow.transports.aws.provisioning import Provisioned

__all__ = ("RunningTransport",)

log = logging.getLogger(__name__)


class RunningTransport:
    """Everything that is open while the transport is; ``start`` opens it, ``aclose`` ends it."""

    def __init__(
        self,
        options: AwsOptions,
        bus: BusConfiguration,
        context: TransportContext,
        keys: KeyProvider | None,
    ) -> None:
        self._options = options
        self._keys = keys
        self._bus = bus
        self._context = context
        self._plan = plan_resources(options, bus, context.app, subscribed=context.subscribed)
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
        keys: KeyProvider | None,
    ) -> Self:
        """Connect and provision; nothing stays open where that fails.

        Raises:
            AwsConfigurationError: A queue, topic or right is missing.
            AwsCredentialsError: There are no credentials, or they are refused.
        """
        running = cls(options, bus, context, keys)
        async with AsyncExitStack() as stack:
            await running._open(stack, credentials)
            running._stack = stack.pop_all()
        return running

    async def _open(self, stack: AsyncExitStack, credentials: CredentialsProvider | None) -> None:
        options, context = self._options, self._context
        self._provisioned = await self._provision(credentials)
        connections = await Connections.open(options, credentials, context.clock, stack)
        self._sqs, self._polls, sns = connections.sqs, connections.polls, connections.sns
        self._tasks = await stack.enter_async_context(TaskScope())
        keys = await open_keys(
            options,
            self._keys,
            stack,
            credentials=connections.credentials,
            clock=context.clock,
        )
        self._cipher = None if keys is None else self._make_cipher(keys)
        self.health = self._make_health(connections, keys)
        self.sender = Sender(
            sqs=self._sqs,
            sns=sns,
            targets=find_targets(options, self._bus, self._provisioned),
            tasks=self._tasks,
            clock=context.clock,
            backoff=Backoff(),
            linger=options.linger,
            deadline=options.send_timeout,
            circuit=options.circuit_breaker,
            cipher=self._cipher,
            wire=context.wire,
        )
        self._letters = self._dead_letter_queues()
        self.dead_letters = DeadLetterOperator.of(
            self._letters,
            self._provisioned,
            sqs=self._sqs,
            context=context,
            cipher=self._cipher,
            encrypted=encrypted_destinations(options, self._bus),
        )
        monitor = options.dead_letter_monitor
        self._watched = None if monitor is None else self._watch(monitor, sns)
        if context.wire is not None:
            context.wire.watch(
                Readings(
                    sqs=connections.sqs_looks,
                    sender=self.sender,
                    listeners=self._listeners,
                    letters=self._letters,
                    cipher=self._cipher,
                )
            )

    async def _provision(self, credentials: CredentialsProvider | None) -> Provisioned:
        options = self._options
        if self._context.operating:
            options = replace(options, provisioning="off")
        return await Provisioner.run(
            options, self._plan, clock=self._context.clock, credentials=credentials
        )

    def _make_cipher(self, keys: KeyProvider) -> Cipher:
        return Cipher.of(
            keys,
            tasks=self._tasks,
            clock=self._context.clock,
            lifetime=self._options.data_key_lifetime,
        )

    def _make_health(self, connections: Connections, keys: KeyProvider | None) -> AwsHealth:
        cipher = self._cipher
        work = Work(
            listeners=lambda: self.statuses,
            circuits=lambda: self.sender.circuits,
            latest_key=lambda: None if cipher is None else cipher.latest_key,
        )
        return AwsHealth(
            self._options,
            self._bus,
            self._plan,
            known_places(self._provisioned),
            app=self._context.app,
            sqs=connections.sqs_looks,
            sns=connections.sns_looks,
            keys=keys,
            clock=self._context.clock,
            work=None if self._context.operating else work,
        )

    def _dead_letter_queues(self) -> dict[str, DeadLetterQueue]:
        commands = [queue.name for queue in self._bus.command_queues]
        listened = commands if self._options.enable_command_listener else []
        return dead_letter_queues((*listened, *self._provisioned.event_queues), self._provisioned)

    def _watch(self, options: DeadLetterMonitor, sns: SnsClient) -> DeadLetterWatch:
        context, topics = self._context, self._provisioned.topics
        hooks = [
            hook.to(sns, topics[hook.topic].arn) if isinstance(hook, SnsAlert) else hook
            for hook in options.alerts
        ]
        return DeadLetterWatch(
            tuple(self._letters.values()),
            options,
            hooks,
            sqs=self._sqs,
            records=Records(context.dead_letters, context.clock),
            clock=context.clock,
            app=context.app,
        )

    def listen(self, receive: Callable[[Delivery], Awaitable[Outcome]]) -> None:
        """Begin to receive; all queues share the places of ``max_concurrent_calls``."""
        shared = Slots(self._options.max_concurrent_calls)
        if self._options.enable_command_listener:
            for queue in self._bus.command_queues:
                self._listen(queue.name, "command", queue, shared, receive)
        if self._options.enable_event_listener:
            for name in self._provisioned.event_queues:
                self._listen(name, "event", None, shared, receive)
        for listener in self._listeners:
            task = self._tasks.create_task(listener.run(), name=f"sourceflow {listener.name}")
            self._polling.append(task)
        if self._watched is not None:
            task = self._tasks.create_task(self._watched.run(), name="sourceflow dead letters")
            self._polling.append(task)

    def _listen(
        self,
        name: str,
        kind: Kind,
        override: ListenedQueue | None,
        shared: Slots,
        receive: Callable[[Delivery], Awaitable[Outcome]],
    ) -> None:
        found = self._provisioned.queues[name]
        limits = QueueLimits.of(self._options, override)
        clock = self._context.clock
        concurrency = limits.own_concurrency or self._options.max_concurrent_calls
        options = ListenerOptions(
            name=name,
            url=found.url,
            kind=kind,
            is_fifo=is_fifo(name),
            overlaps=self._context.durable and not self._options.strict_order,
            wait_time=self._options.wait_time,
            visibility=limits.visibility,
            max_attempts=limits.max_attempts,
            timeout=limits.timeout,
            concurrency=concurrency,
            capacity=concurrency + max(MAX_ENTRIES, concurrency),
            topics=self._provisioned.subscribed_arns if kind == "event" else (),
        )
        receive = self._decrypting(name, kind, limits, receive)
        sqs: Receives = self._polls
        if self._context.wire is not None:
            place = Place("aws_sqs", name, found.url)
            receive = self._context.wire.processing(place, receive)
            sqs = FollowedReceives(sqs, place=place, wire=self._context.wire, clock=clock)
        listener = Listener(
            options,
            sqs=sqs,
            receive=receive,
            slots=shared.of_queue(limits.own_concurrency),
            leases=Leases(
                sqs=self._sqs,
                queue_url=found.url,
                visibility=limits.visibility,
                clock=clock,
                queue=name,
            ),
            acknowledger=partial(
                Acknowledger,
                sqs=self._sqs,
                queue=name,
                url=found.url,
                tasks=self._tasks,
                clock=clock,
            ),
            dead_letters=DeadLetterSender(
                sqs=self._sqs,
                queue=name,
                dead_letter_url=found.dead_letter_url,
                is_fifo=is_fifo(name),
                records=self._context.dead_letters,
                observer=self._context.observer,
                clock=clock,
            ),
            clock=clock,
        )
        self._listeners.append(listener)

    def _decrypting(
        self,
        name: str,
        kind: Kind,
        limits: QueueLimits,
        receive: Callable[[Delivery], Awaitable[Outcome]],
    ) -> Callable[[Delivery], Awaitable[Outcome]]:
        """Return what decrypts before it handles; only where there is a key, as each message passes."""
        if self._cipher is None:
            return receive
        found = self._provisioned
        queue = found.queues[name]
        topics = found.subscribed_arns if kind == "event" else frozenset()
        return DecryptingReceiver(
            receive,
            cipher=self._cipher,
            destinations={queue.arn} | topics | found.feeding(queue.url),
            subscribed=self._context.subscribed,
            requires=limits.requires_encryption,
            observer=self._context.observer,
        )

    async def stop(self, grace: timedelta) -> None:
        """Stop receiving; give handlers the grace period, then hand back what they hold.

        Cancelled meanwhile, it hands back at once.
        """
        for listener in self._listeners:
            listener.stop()
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await asyncio.gather(*(listener.finished() for listener in self._listeners))
        except TimeoutError:
            log.warning("handlers did not end within %s; their messages are handed back", grace)
        finally:
            await self._hand_back()

    async def _hand_back(self) -> None:
        for task in self._polling:
            task.cancel()
        if self._polling:
            await asyncio.wait(self._polling)
        await asyncio.gather(*(listener.hand_back() for listener in self._listeners))
        await asyncio.gather(*(listener.acknowledged() for listener in self._listeners))
        self._listeners.clear()
        self._polling.clear()

    async def depths(self) -> list[Depth]:
        """Return how much waits in each queue that is listened to."""
        asked = (depth_of(self._sqs, listener) for listener in self._listeners)
        return list(await asyncio.gather(*asked))

    @property
    def statuses(self) -> tuple[ListenerStatus, ...]:
        """How it goes with each queue that is listened to."""
        return tuple(listener.status for listener in self._listeners)

    async def aclose(self) -> None:
        """Wait for batches under way, then disconnect; what is throttled now fails."""
        self.sender.hurry()
        await self._stack.aclose()
