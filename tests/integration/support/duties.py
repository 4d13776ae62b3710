"""The duties of the roles of an App, each done with rights of its own, on a LocalAws.

The App is the demo's, with a command of its own that is handled where it is sent: so who only sends
publishes too. Everything travels encrypted.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from letter_watch import LetterWatch
from sourceflow import Aggregate, App, Command, Event, Key, Middleware, Saga, handles, subscribes
from sourceflow.bus.ports import DeadLetterFilter
from sourceflow.clock import SystemClock
from sourceflow.demo.order_file import commands_of, sample_orders
from sourceflow.demo.orders import COMPONENTS, AddOrderLine, OrderSummary, ShipOrder, topology
from sourceflow.transports.aws import AwsOptions, AwsTransport, DeadLetterMonitor, SnsAlert
from sourceflow.transports.aws.bus import configure_bus
from sourceflow.transports.aws.control_plane import ControlPlane
from sourceflow.transports.aws.names import dead_letter_name
from sourceflow.transports.aws.provisioning import Provisioner, plan_resources

__all__ = ("APP", "ROLES", "Duties", "fitted")

APP = "orders"
PREFIX = "shop-"
COMMANDS = ("orders.fifo", "shipping.fifo")
EVENTS = "orders-events"
QUEUES = (*COMMANDS, EVENTS)
SECOND = timedelta(seconds=1)
ROLES = ("provisioner", "sender", "worker", "operator")
ORDERS = sample_orders()[:2]
OTHER = sample_orders()[2]
COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
)


class Announce(Command):
    """Handled where it is sent."""

    id: Key[str]


class Announced(Event):
    id: Key[str]


class Announcements(Saga[None]):
    @handles
    def announce(self, command: Announce) -> None:
        self.raise_event(Announced(id=command.id))


class Board(Aggregate[None]):
    @subscribes
    def announced(self, event: Announced) -> None:
        """It came."""


def fitted(bus):
    """The demo's topology, and one event more."""
    return topology(bus).raise_.event(Announced, topic="order-events")


class Gate(Middleware):
    """Holds what arrives until it is opened."""

    def __init__(self):
        self.opened = asyncio.Event()
        self.held = set()
        self._arrived = asyncio.Condition()

    async def handle_command(self, message, following):
        await self._hold(message, following)

    async def handle_event(self, message, following):
        await self._hold(message, following)

    async def _hold(self, message, following):
        async with self._arrived:
            self.held.add(message.type_name)
            self._arrived.notify_all()
        await self.opened.wait()
        await following(message)

    async def holds(self, *types):
        async with self._arrived:
            await self._arrived.wait_for(lambda: set(types) <= self.held)


class MonitorsClock(SystemClock):
    """Tells when the monitor of dead letters has looked at all of them."""

    INTERVAL = timedelta(seconds=777)

    def __init__(self):
        super().__init__()
        self.looked = asyncio.Event()

    async def sleep(self, seconds):
        if seconds == self.INTERVAL.total_seconds():
            self.looked.set()
        await super().sleep(seconds)


class Duties:
    """What each role does, one after the other; each raises where it comes to nothing.

    Args:
        aws: A LocalAws with credentials of the name of each role, and of ``root``.
        patience: How long to wait for what never comes.
        stores: Makes the stores that all of them work on, anew for each; in memory where None.
        more: Options of the transport.
    """

    def __init__(self, aws, *, patience, stores=lambda: None, **more):
        self._aws = aws
        self._stores = stores
        self._patience = patience
        monitor = DeadLetterMonitor(
            interval=MonitorsClock.INTERVAL, alert_threshold=1, alerts=(SnsAlert("alerts"),)
        )
        self.options = AwsOptions(
            region="us-east-1",
            endpoint_url=aws.endpoint_url,
            resource_prefix=PREFIX,
            wait_time=timedelta(0),
            shutdown_grace=timedelta(0),
            provisioning="verify",
            dead_letter_monitor=monitor,
            **more,
        )
        self.transport = AwsTransport(self.options, fitted)
        self._root = None

    async def __aenter__(self):
        self._root = await ControlPlane.open(
            region="us-east-1",
            endpoint_url=self._aws.endpoint_url,
            credentials=self._aws.static_credentials("root"),
        )
        return self

    async def __aexit__(self, *_):
        await self._root.aclose()

    async def do(self, role):
        """Do what a role does.

        Raises:
            Exception: Something is not as it should be then.
        """
        await getattr(self, f"_{role}")(self._aws.static_credentials(role))

    async def do_as_root(self, *roles):
        """Do what others do, by all rights."""
        for role in roles:
            await getattr(self, f"_{role}")(self._aws.static_credentials("root"))

    async def encrypt_by_aws(self, key):
        """Let SQS and SNS encrypt every queue and every topic with a key."""
        for queue in (*QUEUES, *map(dead_letter_name, QUEUES)):
            await self._root.sqs(
                "set_queue_attributes",
                QueueUrl=await self._url(queue),
                Attributes={"KmsMasterKeyId": key},
            )
        for topic in ("order-events", "alerts"):
            await self._root.sns(
                "set_topic_attributes",
                TopicArn=f"arn:aws:sns:us-east-1:000000000000:{PREFIX}{topic}",
                AttributeName="KmsMasterKeyId",
                AttributeValue=key,
            )

    async def _provisioner(self, credentials):
        plan = plan_resources(self.options, configure_bus(fitted), APP, subscribed=())
        options = replace(self.options, provisioning="ensure")
        for _ in range(2):  # it finds what it has made
            await Provisioner.run(options, plan, clock=SystemClock(), credentials=credentials)

    async def _sender(self, credentials):
        options = replace(self.options, enable_command_listener=False, enable_event_listener=False)
        transport = AwsTransport(options, fitted, credentials=credentials)
        components = [*COMPONENTS, Announcements, Announce]
        app = App(components, name=APP, stores=self._stores()).use(transport)
        async with app:
            await app.send_many([each for order in ORDERS[:1] for each in commands_of(order)])
            await app.send(Announce(id="a"))
            await app.drained(timeout=self._patience)
            await app.send(ship(OTHER))
            await _see_all(app)
        for queue in QUEUES:
            assert (await self._counts(queue))[0] > 0, f"nothing has come into {queue}"

    async def _worker(self, credentials):
        async with self._watched_alerts() as alerted:
            await self._garbage()
            await self._hand_back(credentials)
            await self._handle_all(credentials)
            assert await alerted(), "nobody was alerted"

    async def _hand_back(self, credentials):
        """Take messages of each queue, and hand them back; give up those that make no sense."""
        gate, letters = Gate(), LetterWatch()
        options = replace(self.options, dead_letter_monitor=None)
        work = self._work(options, credentials, gate, letters, SystemClock())
        async with work, asyncio.timeout(self._patience):
            await gate.holds("CreateOrder", "ShipOrder", "Announced")
            for _ in range(len(QUEUES) + 1):
                await letters.letter()
        for queue in QUEUES:
            assert (await self._counts(queue))[1] == 0, f"{queue} was not handed back"

    async def _handle_all(self, credentials):
        gate, letters, clock = Gate(), LetterWatch(), MonitorsClock()
        gate.opened.set()
        async with self._work(self.options, credentials, gate, letters, clock) as app:
            for command in commands_of(ORDERS[1]):
                await app.send(command)
            await app.drained(timeout=self._patience)
            for order in ORDERS:
                row = await app.get(OrderSummary, order.order_id)
                assert (row.lines, row.shipped) == (len(order.lines), True)
            await _see_all(app)
            await app.send(one_too_many(ORDERS[0]))
            async with asyncio.timeout(self._patience):
                await letters.letter()
                await clock.looked.wait()

    @asynccontextmanager
    async def _work(self, options, credentials, gate, letters, clock):
        transport = AwsTransport(options, fitted, credentials=credentials)
        components = [*COMPONENTS, Announcements, Announce, Board]
        app = App(
            components,
            name=APP,
            stores=self._stores(),
            middleware=[gate],
            observer=letters,
            clock=clock,
        )
        async with app.use(transport):
            yield app

    async def _operator(self, credentials):
        transport = AwsTransport(self.options, fitted, credentials=credentials)
        app = App(COMPONENTS, name=APP, stores=self._stores()).use(transport)
        async with app.operating():
            dead = transport.dead_letters
            for queue in QUEUES:
                assert await dead.depth(queue) == len(await dead.peek(queue)) > 0
            rejected = DeadLetterFilter(reason="rejected")
            again = await dead.redrive("orders.fifo", target="shipping.fifo", filter=rejected)
            assert (again.moved, again.failed) == (1, 0)
            for queue in COMMANDS:
                assert (await dead.redrive(queue)).moved == 1
            await self._interrupted_move(dead)
            for queue in QUEUES:
                await dead.purge(queue)
            await app.send(ship(OTHER))

    async def _interrupted_move(self, dead):
        """Let SQS itself move letters, and stop it, once it has told twice how far it is.

        A second look is taken only by who was answered the first time: to stop it at the first
        would hide that it was refused.
        """
        before = self._aws.calls["ListMessageMoveTasks"]
        moving = asyncio.create_task(dead.redrive(EVENTS, rate=1))
        async with asyncio.timeout(self._patience):
            while (  # noqa: ASYNC110 - nothing tells of it
                self._aws.calls["ListMessageMoveTasks"] < before + 2 and not moving.done()
            ):
                await asyncio.sleep(0.01)
        moving.cancel()
        await asyncio.wait([moving])
        assert moving.cancelled(), "SQS did not move letters itself"
        task = await self._root.sqs("list_message_move_tasks", SourceArn=self._dead_arn(EVENTS))
        assert task["Results"][0]["Status"] in {"CANCELLING", "CANCELLED"}

    def _dead_arn(self, queue):
        return f"arn:aws:sqs:us-east-1:000000000000:{PREFIX}{queue}-dlq"

    async def _garbage(self):
        """Put what nobody can read into each queue, and twice into the one that keeps no order."""
        for queue in (*QUEUES, EVENTS):
            fifo = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
            await self._root.sqs(
                "send_message",
                QueueUrl=await self._url(queue),
                MessageBody="no document",
                **(fifo if queue.endswith(".fifo") else {}),
            )

    @asynccontextmanager
    async def _watched_alerts(self):
        """Subscribe to the topic of alerts, and tell whether one has come."""
        made = await self._root.sqs("create_queue", QueueName="pager")
        arn = "arn:aws:sqs:us-east-1:000000000000:pager"
        policy = (
            '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", '
            '"Resource": "*"}}'
        )
        await self._root.sqs(
            "set_queue_attributes", QueueUrl=made["QueueUrl"], Attributes={"Policy": policy}
        )
        await self._root.sns(
            "subscribe",
            TopicArn=f"arn:aws:sns:us-east-1:000000000000:{PREFIX}alerts",
            Protocol="sqs",
            Endpoint=arn,
        )

        async def alerted():
            answer = await self._root.sqs("receive_message", QueueUrl=made["QueueUrl"])
            return "Messages" in answer

        yield alerted

    async def _counts(self, queue):
        answer = await self._root.sqs(
            "get_queue_attributes", QueueUrl=await self._url(queue), AttributeNames=COUNTS
        )
        return [int(answer["Attributes"][name]) for name in COUNTS]

    async def _url(self, queue):
        return (await self._root.sqs("get_queue_url", QueueName=PREFIX + queue))["QueueUrl"]


async def _see_all(app):
    """Look at the health of everything; dead letters there may be."""
    report = await app.health()
    for entry in report.entries:
        assert entry.status != "unhealthy", entry
        assert "looked at" not in entry.detail, entry
        assert entry.detail != "subscribed", "nobody saw how it delivers"


def ship(order):
    """Return the command that sends an order off, which its last line would send."""
    return ShipOrder(
        order_id=order.order_id, ship_date=order.shipped_date, country=order.ship_country
    )


def one_too_many(order):
    """Return a line that the order has no room for: it is rejected."""
    return AddOrderLine(
        order_id=order.order_id,
        product_id=1,
        quantity=1,
        unit_price=Decimal(1),
        discount=Decimal(0),
    )
