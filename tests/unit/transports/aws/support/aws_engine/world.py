"""Everything there is: one AWS, the workers on it, and those who send, steal and redrive."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from aws_engine.ledger import Ledger, dead_letter_queue, is_dead_letter_queue, tag_of
from aws_engine.virtual_loop import OWNER, LoopClock, VirtualLoop
from aws_engine.wire import Wire
from aws_engine.worker import FIFO, REGION, STANDARD, Job, Order, Script, Worker
from sourceflow.errors import AwsError, CircuitOpenError, SendManyError
from sourceflow.stores.memory import MemoryStores
from sourceflow.testing import LocalAws
from sourceflow.transports.aws.client import Endpoint, SendEntry, SqsClient

__all__ = ("World",)


class DurableStores(MemoryStores):
    """Stores that outlive every worker, as a database does."""

    durable = True


#: Seconds in which everything is done once nothing fails any more.
LONGEST_DRAIN = 3600


class World:
    """Runs until each rule has done its part; time passes only while something runs.

    Args:
        shares_stores: Whether the workers share their stores, as a service shares its database;
            otherwise each has its own, and forgets them with its life.
    """

    def __init__(self, *, shares_stores):
        self.loop = VirtualLoop()
        self.clock = LoopClock(self.loop)
        self.aws = LocalAws(clock=self.clock, region=REGION)
        self.ledger = Ledger(self.aws, self.loop.time, shares_stores)
        self.loop.set_exception_handler(self._note_error)
        self.script = Script(self.clock)
        self.workers = []
        self._stores = DurableStores() if shares_stores else None
        self._born = 0
        self._named = 0
        self._admin = SqsClient(
            endpoint=Endpoint(service="sqs", region=REGION, url=self.aws.endpoint_url),
            credentials=self.aws.static_credentials(),
            http=self.aws,
            clock=self.clock,
        )
        self.run(self._make_queues())

    def run(self, work):
        return self.loop.run_until_complete(work)

    def _note_error(self, loop, context):
        """Note what nobody else is told of; timers of the dead are no concern of the living."""
        handle = context.get("handle")
        owner = None if handle is None else handle._context.get(OWNER)
        if owner is None or not owner.wire.is_dead:
            self.ledger.violations.append(f"{context['message']}: {context.get('exception')!r}")

    async def _make_queues(self):
        for name in (FIFO, STANDARD, dead_letter_queue(FIFO), dead_letter_queue(STANDARD)):
            fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
            await self._admin.create_queue(
                name, attributes={"MessageRetentionPeriod": "1209600", **fifo}
            )

    def close(self):
        for worker in list(self.workers):
            self.kill_worker(worker)
        self.run(self.loop.shutdown_asyncgens())
        self.loop.close()

    def pass_time(self, seconds):
        self.run(asyncio.sleep(seconds))

    # -- workers

    @property
    def serving(self):
        return [worker for worker in self.workers if worker.is_serving]

    def start_worker(self):
        self._born += 1
        worker = Worker(
            f"w{self._born}",
            aws=self.aws,
            ledger=self.ledger,
            clock=self.clock,
            stores=self._stores or MemoryStores(),
            script=self.script,
            make_wire=lambda worker: Wire(worker, self.aws, self.ledger),
        )
        self.run(worker.start())
        self.workers.append(worker)

    def stop_worker(self, worker, *, to_the_end):
        worker.begin_to_stop()
        if to_the_end:
            self.run(worker.stopped())

    def kill_worker(self, worker):
        self.run(worker.die())
        self.workers.remove(worker)

    def bury(self):
        """Forget the workers that have stopped; what they raised comes out here."""
        for worker in [worker for worker in self.workers if worker.is_over]:
            self.run(worker.stopped())
            self.workers.remove(worker)

    # -- messages

    def new_tag(self, kind="m"):
        self._named += 1
        return f"{kind} {self._named}"

    def send(self, worker, queue, keys_and_steps):
        """Send commands in one call; each is named, and its handler knows what to do."""
        command = Order if queue == FIFO else Job
        commands = []
        for key, steps in keys_and_steps:
            tag = self.new_tag()
            self.script.steps[tag] = list(steps)
            commands.append(command(key=key, tag=tag))
        self.run(self._send(worker, commands))
        return [each.tag for each in commands]

    async def _send(self, worker, commands):
        with suppress(AwsError, CircuitOpenError, SendManyError):
            if len(commands) == 1:
                await worker.app.send(commands[0])
            else:
                await worker.app.send_many(commands)

    def send_junk(self, queue, kind, key):
        """A stranger sends what no handler takes."""
        tag = self.new_tag(kind)
        body = tag if kind == "garbage" else json.dumps(self._document(kind, tag, key, queue))
        self.run(
            self._admin.send_message_batch(
                self._admin_url(queue),
                [_entry(queue, body, {}, key, tag.replace(" ", "-"))],
            )
        )
        self.ledger.accepted.add(tag)

    def _document(self, kind, tag, key, queue):
        known = "Order" if queue == FIFO else "Job"
        return {
            "specversion": "1.0",
            "id": tag.replace(" ", "-"),
            "source": "/stranger",
            "type": "Nobody" if kind == "unknown" else known,
            "subject": key,
            "time": "2026-01-01T00:00:00Z",
            "datacontenttype": "application/json",
            "kind": "event" if kind == "wrong kind" else "command",
            "dataversion": 1,
            "correlationid": tag.replace(" ", "-"),
            "data": {"key": key, "tag": tag},
        }

    def _admin_url(self, queue):
        return self.aws._sqs.queues.url_of(queue)

    def in_flight(self):
        """The receives that SQS still believes in, by workers that live."""
        return [
            held
            for held in self.ledger.held.values()
            if not is_dead_letter_queue(held.queue) and self.ledger.hides(held)
        ]

    def steal(self, held):
        """Let a message show to others while its lease runs, as if the lease had ended."""
        self.aws._sqs.queues.named(held.queue).change_visibility(held.handle, 0, self.aws._now())

    def redrive(self, worker, queue, steps):
        """Send all dead letters of a queue again; handlers do something else now."""
        for each in self.ledger.messages(dead_letter_queue(queue)):
            self.script.steps[tag_of(each.body)] = list(steps)
        with suppress(AwsError):
            self.run(worker.redrive(queue))

    # -- the end

    def is_quiet(self):
        return not any(self.ledger.messages(name) for name in (FIFO, STANDARD))

    def is_sound(self):
        """Whether nothing fails but handlers."""
        now = self.loop.time()
        return self.script.away_until <= now and not any(
            worker.wire.is_cut or worker.wire.faults for worker in self.workers
        )

    def mend(self):
        """Let nothing fail any more."""
        self.script.steps.clear()
        self.script.away_until = 0.0
        for worker in self.workers:
            worker.wire.faults.clear()
            worker.wire.cut_until = 0.0

    def drain(self):
        """Let everything succeed, and wait until no message is left to be handled."""
        self.mend()
        if not self.serving:
            self.start_worker()
        end = self.loop.time() + LONGEST_DRAIN
        while not self.is_quiet():
            self.pass_time(5)
            self.ledger.check(self.workers)
            left = [
                tag_of(each.body)
                for name in (FIFO, STANDARD)
                for each in self.ledger.messages(name)
            ]
            assert self.loop.time() < end, f"never done: {left}"


def _entry(queue, body, attributes, group, name):
    is_fifo = queue == FIFO
    return SendEntry(
        id="0",
        body=body,
        attributes=attributes,
        group_id=group if is_fifo else None,
        deduplication_id=name if is_fifo else None,
    )
