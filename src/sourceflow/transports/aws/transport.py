"""Commands over SQS queues, events over SNS topics into this App's own event queue."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from sourceflow.bus.routes import Routes
from sourceflow.clock import SystemClock
from sourceflow.errors import NotRunningError
from sourceflow.transports.aws.bus import configure_bus
from sourceflow.transports.aws.client import ChainCredentials
from sourceflow.transports.aws.connections import LOOKS, Connections
from sourceflow.transports.aws.encryption import (
    check_keys,
    encrypted_destinations,
    open_keys,
    open_record_cipher,
)
from sourceflow.transports.aws.health import AwsHealth, sought_places
from sourceflow.transports.aws.permissions import Account, find_account, permissions_of
from sourceflow.transports.aws.provisioning import Resources, plan_resources
from sourceflow.transports.aws.running import RunningTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from sourceflow.bus.changes import Destination
    from sourceflow.bus.outcome import Outcome
    from sourceflow.bus.ports import (
        Delivery,
        Depth,
        HealthCheck,
        HealthOptions,
        Outgoing,
        RecordCipher,
        TransportContext,
    )
    from sourceflow.clock import Clock
    from sourceflow.resilience.circuit_breaker import CircuitBreaker
    from sourceflow.transports.aws.bus import Bus, BusConfiguration
    from sourceflow.transports.aws.client import CredentialsProvider
    from sourceflow.transports.aws.dead_letters import DeadLetterOperator
    from sourceflow.transports.aws.encryption import KeyProvider
    from sourceflow.transports.aws.listener_status import ListenerStatus
    from sourceflow.transports.aws.options import AwsOptions
    from sourceflow.transports.aws.permissions import Permissions, PolicyMode, Role

__all__ = ("AwsTransport",)


class AwsTransport:
    """See the package's guide; ``App.use`` takes it.

    Args:
        options: How to reach AWS and how to work with it.
        configure: Says which command goes to which queue, which event to which topic, and what
            is listened to.
        credentials: Whose requests these are; botocore's chain where not given.
        keys: A key service that messages and stores are encrypted with, instead of AWS KMS.

    Raises:
        ValueError: A name or an option is not valid, or there is no key to encrypt with.
    """

    def __init__(
        self,
        options: AwsOptions,
        configure: Callable[[Bus], object],
        *,
        credentials: CredentialsProvider | None = None,
        keys: KeyProvider | None = None,
    ) -> None:
        self._options = options
        self._bus: BusConfiguration = configure_bus(configure)
        self._credentials = credentials
        self._keys = keys
        check_keys(options, self._bus, keys)
        self._running: RunningTransport | None = None
        self._inspected: AwsHealth | None = None

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
            retries_unheard=options.unheard_events == "retry",
        )

    def record_cipher(
        self, *, app: str, clock: Clock
    ) -> AbstractAsyncContextManager[RecordCipher | None]:
        """Open what encrypts the records of the App's stores; None where there is no key."""
        given = self._credentials
        return open_record_cipher(
            self._options,
            self._keys,
            credentials=ChainCredentials(clock=clock) if given is None else given,
            app=app,
            clock=clock,
        )

    async def open(self, context: TransportContext) -> None:
        """Connect and provision; sending works from here on.

        Raises:
            AwsConfigurationError: A queue, topic or right is missing.
            AwsCredentialsError: There are no credentials, or they are refused.
        """
        self._running = await RunningTransport.start(
            self._options, self._bus, context, self._credentials, self._keys
        )

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
    def _open(self) -> RunningTransport:
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

    @property
    def dead_letters(self) -> DeadLetterOperator:
        """Looks at dead letters, sends them again, removes them.

        Raises:
            NotRunningError: The App does not run.
        """
        return self._open.dead_letters

    async def depths(self) -> Sequence[Depth]:
        """Return how much waits in each queue that is listened to."""
        return await self._open.depths()

    @property
    def circuits(self) -> Mapping[Destination, CircuitBreaker]:
        """The circuit breaker of each queue and topic that is sent to, to look at, trip or reset.

        Raises:
            NotRunningError: The App is not running.
        """
        return self._open.sender.circuits

    @property
    def listeners(self) -> tuple[ListenerStatus, ...]:
        """How it goes with each queue that is listened to.

        Raises:
            NotRunningError: The App is not running.
        """
        return self._open.statuses

    def resources(
        self, app: str, *, subscribed: Collection[str]
    ) -> AbstractAsyncContextManager[Resources]:
        """Connect to see, make and remove the queues and topics of an App; it need not run.

        Args:
            app: The App's name.
            subscribed: The wire names of events that somebody in it listens to.

        Raises:
            AwsCredentialsError: There are no credentials.
            ValueError: A name is too long with its prefix.
        """
        plan = plan_resources(self._options, self._bus, app, subscribed=subscribed)
        return Resources.open(
            self._options, plan, app=app, clock=SystemClock(), credentials=self._credentials
        )

    async def find_account(self) -> str:
        """Ask AWS whose account the credentials are of; nobody needs a right for that.

        Raises:
            AwsCredentialsError: There are no credentials, or they are refused.
            AwsError: AWS does not answer.
        """
        return await find_account(self._options, self._credentials)

    def permissions(
        self,
        app: str,
        *,
        account: str,
        mode: PolicyMode = "production",
        role: Role | None = None,
        region: str | None = None,
        sse_keys: Sequence[str] = (),
    ) -> Permissions:
        """Return what an App with this transport needs the right to do, as IAM policies.

        Args:
            app: The App's name.
            account: The id of the AWS account that it runs in.
            mode: ``production`` names every queue and topic, ``development`` all that begin with
                the ``resource_prefix``.
            role: Whose rights; None is one role that does all that the App is configured to do.
            region: The region that ARNs name; that of the options where not given.
            sse_keys: ARNs of KMS keys with which AWS itself encrypts the queues and topics, where
                somebody has set that up.

        Raises:
            ValueError: The account, mode or role is none, or a name is too long with its prefix.
        """
        return permissions_of(
            self._options,
            self._bus,
            app,
            account=Account(id=account, region=region or self._options.region),
            mode=mode,
            role=role,
            sse_keys=sse_keys,
        )

    def health_checks(self, options: HealthOptions) -> Sequence[HealthCheck]:
        """Return what to look at of AWS, of the listeners and of the circuits.

        Raises:
            NotRunningError: The App is neither running nor inspected.
        """
        health = self._open.health if self._inspected is None else self._inspected
        return health.checks(options)

    @asynccontextmanager
    async def inspect(
        self, *, app: str, subscribed: Collection[str], clock: Clock
    ) -> AsyncIterator[None]:
        """Find out where AWS is, for ``health_checks``; nothing is made, and nothing received.

        Args:
            app: The App's name.
            subscribed: The wire names of events that somebody in it listens to.
            clock: The time.

        Raises:
            AwsConfigurationError: The region or the address is none.
        """
        options = self._options
        async with AsyncExitStack() as stack:
            found = await Connections.open(options, self._credentials, clock, stack)
            plan = plan_resources(options, self._bus, app, subscribed=subscribed)
            self._inspected = AwsHealth(
                options,
                self._bus,
                plan,
                sought_places(plan, found.sqs_looks, found.sns_looks),
                app=app,
                sqs=found.sqs_looks,
                sns=found.sns_looks,
                keys=await open_keys(
                    options,
                    self._keys,
                    stack,
                    credentials=found.credentials,
                    clock=clock,
                    retry=LOOKS,
                ),
                clock=clock,
                work=None,
            )
            try:
                yield
            finally:
                self._inspected = None

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
            "encrypts_at_rest": self._options.encrypt_at_rest,
            "encrypts": sorted(str(place) for place in encrypted_destinations(self._options, bus)),
        }

    def __repr__(self) -> str:
        return f"AwsTransport(region={self._options.region!r})"
