"""One process of the service: an App of its own on the real transport, until it stops or dies."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from datetime import timedelta
from unittest.mock import patch

from aws_engine.ledger import MAX_ATTEMPTS, MAX_CALLS, VISIBILITY, dead_letter_queue
from aws_engine.virtual_loop import OWNER
from sourceflow import App, Command, Discard, Entity, Key, Reject, Retry, Saga, handles
from sourceflow.bus.observer import Observer
from sourceflow.errors import DependencyError
from sourceflow.host import engine
from sourceflow.transports.aws import AwsOptions, AwsTransport, connections, running
from sourceflow.transports.aws.provisioning import Provisioned, ProvisionedQueue

__all__ = ("FIFO", "STANDARD", "Job", "Order", "Script", "Worker")

FIFO = "orders.fifo"
STANDARD = "jobs"
REGION = "us-east-1"
GRACE = timedelta(seconds=10)


class Order(Command):
    key: Key[str]
    tag: str


class Job(Command):
    key: Key[str]
    tag: str


class Orders(Entity):
    key: Key[str]
    count: int = 0


class Jobs(Entity):
    key: Key[str]
    count: int = 0


class Script:
    """What the handlers do, by message: each try takes the next step, and no step means success.

    Attributes:
        steps: What is left to do, as pairs of what and how many seconds it takes.
        away_until: When the handlers' database answers again.
    """

    def __init__(self, clock):
        self._clock = clock
        self.steps = {}
        self.away_until = 0.0

    def work_left(self):
        """Seconds that handlers will run for in all."""
        return sum(seconds for steps in self.steps.values() for _, seconds in steps)

    async def play(self, tag):
        if self._clock.monotonic() < self.away_until:
            raise DependencyError("the database is away")
        steps = self.steps.get(tag)
        what, seconds = steps.pop(0) if steps else ("succeed", 0)
        await self._clock.sleep(seconds)
        match what:
            case "fail":
                raise ValueError(tag)
            case "reject":
                raise Reject(tag)
            case "discard":
                raise Discard(tag)
            case "later":
                raise Retry(timedelta(seconds=40))
            case "much later":
                raise Retry(timedelta(seconds=70))


class OrderSaga(Saga[Orders]):
    def __init__(self, script: Script) -> None:
        self.script = script

    @handles
    async def handle(self, entity: Orders | None, command: Order) -> Orders:
        await self.script.play(command.tag)
        return Orders(key=command.key, count=1 + (entity.count if entity else 0))


class JobSaga(Saga[Jobs]):
    def __init__(self, script: Script) -> None:
        self.script = script

    @handles
    async def handle(self, entity: Jobs | None, command: Job) -> Jobs:
        await self.script.play(command.tag)
        return Jobs(key=command.key, count=1 + (entity.count if entity else 0))


class _Witness(Observer):
    def __init__(self, worker):
        self._worker = worker

    def sent(self, envelope, destination, error):
        if error is None:
            self._worker.ledger.confirmed(envelope.message.tag)

    def handled(self, envelope, sequence, seconds):
        self._worker.ledger.committed(self._worker, envelope.message.tag)


class _Transport(AwsTransport):
    """The real one; says what is handled when, and when it is to stop."""

    def __init__(self, worker, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._worker = worker

    async def start(self, receive):
        async def watched(delivery):
            with self._worker.handling(self._receipt_handle(delivery.origin)) as ended:
                outcome = await receive(delivery)
                ended(outcome)
            return outcome

        await super().start(watched)

    def _receipt_handle(self, queue):
        """Return which receive the running task handles."""
        task = asyncio.current_task()
        return next(
            lease.message.receipt_handle
            for listener in self._open._listeners
            if listener.name == queue
            for lease in listener._leases._held
            if lease.handling is task
        )

    async def stop(self, grace=None):
        self._worker.is_stopping = True
        await super().stop(grace)
        self._worker.ledger.stopped(self._worker)


class Worker:
    """An App with its transport, from its start to its end.

    Attributes:
        name: For people.
        is_stopping: Whether its transport was asked to stop.
        running: What it handles.
    """

    def __init__(self, name, *, aws, ledger, clock, stores, script, make_wire):
        self.name = name
        self.ledger = ledger
        self.wire = make_wire(self)
        self.is_stopping = False
        self.running = []
        self._aws = aws
        self._tasks = {}
        self._leave = asyncio.Event()
        self._transport = _Transport(
            self,
            AwsOptions(
                region=REGION,
                endpoint_url=aws.endpoint_url,
                max_concurrent_calls=MAX_CALLS,
                max_attempts=MAX_ATTEMPTS,
                visibility_timeout=timedelta(seconds=VISIBILITY),
                shutdown_grace=GRACE,
            ),
            lambda bus: (
                bus.send.command(Order, queue=FIFO)
                .command(Job, queue=STANDARD)
                .listen.to.command_queue(FIFO)
                .command_queue(STANDARD)
            ),
            credentials=aws.static_credentials(),
        )
        self.app = App(
            [OrderSaga, JobSaga],
            name="shop",
            stores=stores,
            services=[script],
            observer=_Witness(self),
            clock=clock,
        ).use(self._transport)

    def __repr__(self):
        return self.name

    def handling(self, handle):
        return _Handling(self, self.ledger.held[handle])

    @property
    def is_serving(self):
        """Whether nobody has asked it to stop."""
        return not self._leave.is_set() and not self.wire.is_dead

    @property
    def is_over(self):
        return self._main.done()

    async def start(self):
        """Start it; it provisions nothing, as everything is there."""
        loop = asyncio.get_running_loop()
        started = loop.create_future()
        whose = OWNER.set(self)
        self._main = asyncio.create_task(self._run(started))
        OWNER.reset(whose)
        await asyncio.wait((started, self._main), return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            self._main.result()

    async def _run(self, started):
        with (
            patch.object(connections, "open_http_client", lambda *_: nullcontext(self.wire)),
            patch.object(running.Provisioner, "run", self._provisioned),
            patch.object(engine, "LoopWatchdog", nullcontext),  # a thread, in real time
        ):
            await self.app.__aenter__()
        started.set_result(None)
        await self._leave.wait()
        await self.app.__aexit__(None, None, None)

    async def _provisioned(self, *_, **__):
        def queue(name):
            return ProvisionedQueue(
                name=name,
                url=self._aws._sqs.queues.url_of(name),
                arn=self._aws._sqs.queues.named(name).arn,
                dead_letter_url=self._aws._sqs.queues.url_of(dead_letter_queue(name)),
                max_message_bytes=1_048_576,
            )

        return Provisioned(
            queues={name: queue(name) for name in (FIFO, STANDARD)},
            topics={},
            event_queues=(),
            subscribed_arns=frozenset(),
            warnings=(),
        )

    async def redrive(self, queue):
        """Send the dead letters of a queue again."""
        await self._transport.dead_letters.redrive(queue)

    def begin_to_stop(self):
        """Ask it to stop, as SIGTERM does."""
        self._leave.set()

    async def stopped(self):
        """Wait until it has stopped."""
        await self._main

    def own(self, task):
        """Note a task that somebody of this process has started."""
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def die(self):
        """End it as ``kill -9`` does: nothing more leaves it, whatever its tasks still try."""
        self.wire.is_dead = True
        self.is_stopping = True
        while left := list(self._tasks):
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=0.001)
        self.running.clear()


class _Handling:
    """Tells the ledger of one handling, however it ends."""

    def __init__(self, worker, held):
        self._worker = worker
        self._held = held
        self._outcome = None

    def __enter__(self):
        self._worker.ledger.began(self._worker, self._held)
        self._worker.running.append(self._held)
        return self._end

    def _end(self, outcome):
        self._outcome = outcome

    def __exit__(self, *_):
        if not self._worker.wire.is_dead:
            self._worker.running.remove(self._held)
            self._worker.ledger.ended(self._worker, self._held, self._outcome)
