"""What people do with dead letters: look, send again, remove."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

from sourceflow.bus.changes import Destination
from sourceflow.errors import DecryptionFailedError
from sourceflow.transports.aws.dead_letters import move_task
from sourceflow.transports.aws.dead_letters.edit import edited_body, edited_message
from sourceflow.transports.aws.dead_letters.letter import read_letter, record_of
from sourceflow.transports.aws.dead_letters.letter_cipher import LetterCipher
from sourceflow.transports.aws.dead_letters.move_task import MoveTask, can_move
from sourceflow.transports.aws.dead_letters.mover import Mover, MoveTarget
from sourceflow.transports.aws.dead_letters.pacer import Pacer
from sourceflow.transports.aws.dead_letters.records import Records
from sourceflow.transports.aws.dead_letters.redrive import Redrive
from sourceflow.transports.aws.dead_letters.visit import Visit, count_messages
from sourceflow.transports.aws.names import is_fifo

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sourceflow.bus.ports import DeadLetterFilter, TransportContext
    from sourceflow.clock import Clock
    from sourceflow.messages import Codec
    from sourceflow.transports.aws.client import ReceivedMessage, SqsClient
    from sourceflow.transports.aws.dead_letters.letter import QueuedLetter
    from sourceflow.transports.aws.dead_letters.queue import DeadLetterQueue
    from sourceflow.transports.aws.dead_letters.redrive import RedriveResult
    from sourceflow.transports.aws.encryption import Cipher
    from sourceflow.transports.aws.leases import Lease
    from sourceflow.transports.aws.provisioning import Provisioned
    from sourceflow.transports.aws.wire import Arrived

__all__ = ("DeadLetterOperator",)


class DeadLetterOperator:
    """Looks at the dead letters of this App's queues, sends them again, removes them.

    ``queue`` is always the queue that is listened to, as the bus calls it, without a prefix:
    ``orders.fifo``, or ``orders-events`` for the events of the App ``orders``. Its dead letter
    queue is found through it.

    Args:
        queues: The dead letter queues, by the queue whose letters they keep.
        targets: Every queue of the App, by name.
        sqs: Calls SQS.
        records: Where dead letters are recorded.
        codec: Reads messages of the types that the App knows.
        clock: The time.
        app: The App's name: the source of messages that take the place of unreadable ones.
        cipher: Encrypts and decrypts; None where the App has no keys.
    """

    def __init__(
        self,
        queues: Mapping[str, DeadLetterQueue],
        targets: Mapping[str, MoveTarget],
        *,
        sqs: SqsClient,
        records: Records,
        codec: Codec,
        clock: Clock,
        app: str,
        cipher: Cipher | None = None,
    ) -> None:
        self._queues = queues
        self._targets = targets
        self._sqs = sqs
        self._records = records
        self._codec = codec
        self._clock = clock
        self._app = app
        self._cipher = cipher

    @classmethod
    def of(
        cls,
        queues: Mapping[str, DeadLetterQueue],
        provisioned: Provisioned,
        *,
        sqs: SqsClient,
        context: TransportContext,
        cipher: Cipher | None,
        encrypted: Collection[Destination],
    ) -> Self:
        """Return an operator of dead letter queues who may send to every queue of the App."""
        return cls(
            queues,
            {
                name: MoveTarget(
                    url=queue.url,
                    arn=queue.arn,
                    is_fifo=is_fifo(name),
                    max_bytes=queue.max_message_bytes,
                    kind="event" if name in provisioned.event_queues else "command",
                    encrypts=Destination("queue", name) in encrypted,
                )
                for name, queue in provisioned.queues.items()
            },
            sqs=sqs,
            records=Records(context.dead_letters, context.clock),
            codec=context.codec,
            clock=context.clock,
            app=context.app,
            cipher=cipher,
        )

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues whose dead letters are within reach."""
        return tuple(self._queues)

    async def depth(self, queue: str) -> int:
        """Return how many dead letters a queue has, by SQS's estimate.

        Raises:
            ValueError: This App does not listen to such a queue.
            AwsError: It cannot be asked.
        """
        return sum(await count_messages(self._sqs, self._queue(queue).url))

    async def peek(self, queue: str, limit: int = 10) -> tuple[QueuedLetter, ...]:
        """Return dead letters without removing them: hidden while it looks, then shown again.

        Of one FIFO group SQS hands out ten at most until they are shown again, so no more are seen.

        Args:
            queue: The queue whose dead letters are meant.
            limit: How many at most.

        Raises:
            ValueError: This App does not listen to such a queue, or the limit is less than 1.
            AwsError: It cannot be read.
        """
        _check_limit(limit)
        found = self._queue(queue)
        held: list[Lease] = []
        async with self._visit(found) as visit:
            while len(held) < limit and not visit.is_full:
                received = await visit.look()
                if not received:
                    break
                held += received
            shown = held[:limit]
            cipher = LetterCipher(self._cipher, found)
            return tuple(
                [await read_letter(each.message, found, self._codec, cipher) for each in shown]
            )

    async def redrive(
        self,
        queue: str,
        *,
        target: str | None = None,
        filter: DeadLetterFilter | None = None,  # noqa: A002 - what people call it
        limit: int | None = None,
        rate: float | None = None,
    ) -> RedriveResult:
        """Send dead letters to their queue again, or to another one.

        Body, attributes, envelope ids and FIFO groups stay; the note does too, so that only the
        subscribers run that failed. Each letter is deleted after its target has confirmed it, and
        its record is marked as replayed. See ``Redrive`` for what holds when it is interrupted, when
        letters come back while it runs, and when several run at once.

        An encrypted letter goes to its own queue as it is. For another one it is decrypted and
        encrypted again, as it would be refused there; a letter that can't be decrypted stays.

        Of a standard queue with 10,000 letters and more, without filter and limit, SQS moves them
        itself by a move task. It does not say which went: the records of all letters that were
        given up before are marked then. A letter that fails again at once may be moved twice.

        Args:
            queue: The queue whose dead letters are meant.
            target: Another queue of this App, of the same kind; None is the queue itself. Then
                letters that came from other queues, which share the dead letter queue, are left.
            filter: Which letters; None is all of them.
            limit: How many at most.
            rate: How many a second at most.

        Raises:
            ValueError: This App has no such queue, the target is not of the same kind, or limit
                or rate are not positive.
            AwsError: A queue can't be used. What was moved until then is moved.
            DependencyError: There is no data key to be had now. What was moved until then is moved.
        """
        if limit is not None:
            _check_limit(limit)
        if rate is not None and not rate > 0:
            raise ValueError(f"rate is more than 0 a second, not {rate}")
        found = self._queue(queue)
        to = self._target(found, target)
        begin = self._clock.now()
        moved = 0
        own = target is None
        encrypts_again = self._cipher is not None and to.url != found.source_url
        can = can_move(found, to_source=own, where=filter, limit=limit, rate=rate)
        if can and not encrypts_again:
            moved = await self._let_sqs_move(found, to, rate)
        mover = self._mover(found, to, rate)
        async with self._visit(found) as visit:
            result = await Redrive(
                found, visit, mover, self._records, where=filter, limit=limit, own_only=own
            ).run()
        if moved and not (result.failed or result.left):
            await self._records.mark_all_replayed(found.source, until=begin)
        return replace(result, moved=result.moved + moved)

    async def _let_sqs_move(
        self, queue: DeadLetterQueue, target: MoveTarget, rate: float | None
    ) -> int:
        """Let SQS move letters itself if there are many; what it leaves is moved after that."""
        visible, _, _ = await count_messages(self._sqs, queue.url)
        if visible < move_task.LEAST:
            return 0
        return await MoveTask(queue, target, rate=rate, sqs=self._sqs, clock=self._clock).run()

    async def resend(
        self,
        letter: QueuedLetter,
        *,
        body: bytes | str | None = None,
        message: object | None = None,
        target: str | None = None,
    ) -> str:
        """Send an edited message in the place of a dead letter.

        It is a new message with a new id, so that what is known of the old one does not make it a
        duplicate. Attributes and note stay: of an event, only the subscribers run that failed. The
        letter is deleted after the new message is confirmed, and its record is marked as replayed.

        Args:
            letter: As ``peek`` returned it.
            body: The edited document; its id is replaced.
            message: Or the edited command or event, which takes the metadata of the letter.
            target: Another queue of this App, of the same kind; None is the letter's queue.

        Returns:
            The id of the new message.

        Raises:
            ValueError: Not one of ``body`` and ``message`` is given, or the target can't be one.
            MessageError: The edited message cannot be sent, or is not for this queue.
            LookupError: The letter is not there any more, or out of reach behind ten of its group.
            AwsError: It was not sent, and is still a dead letter.
        """
        if (body is None) == (message is None):
            raise ValueError("give either the edited body or the edited message")
        queue = self._queue(letter.queue)
        to = self._target(queue, target)
        async with self._visit(queue) as visit:
            lease = await visit.find(letter.sqs_message_id)
            found = lease.message
            if body is not None:
                document = body.encode() if isinstance(body, str) else body
                edited = edited_body(document, codec=self._codec, kind=to.kind)
            else:
                edited = edited_message(
                    message,
                    await self._read(found, queue),
                    codec=self._codec,
                    kind=to.kind,
                    source=f"/{self._app}",
                    now=self._clock.now(),
                )
            await self._mover(queue, to, None).send(edited, found)
            await visit.remove([lease])
            await self._records.mark_replayed(record_of(found, queue))
        return edited.id

    async def purge(self, queue: str) -> None:
        """Delete all dead letters of a queue, those that others hold too; records stay.

        Letters of other queues that share the dead letter queue go as well. SQS takes up to a
        minute, in which letters that arrive may be deleted too.

        Raises:
            ValueError: This App does not listen to such a queue.
            AwsThrottledError: It was purged less than a minute ago.
            AwsError: It cannot be purged.
        """
        found = self._queue(queue)
        async with found.lock:
            await self._sqs.purge_queue(found.url)

    async def _read(self, letter: ReceivedMessage, queue: DeadLetterQueue) -> Arrived:
        """Return a letter in clear, or as it came where it never can be."""
        cipher = LetterCipher(self._cipher, queue)
        try:
            return await cipher.open(letter)
        except DecryptionFailedError:
            return cipher.unpack(letter)

    def _mover(self, queue: DeadLetterQueue, to: MoveTarget, rate: float | None) -> Mover:
        return Mover(
            to,
            sqs=self._sqs,
            pacer=Pacer(rate, self._clock),
            clock=self._clock,
            cipher=LetterCipher(self._cipher, queue),
            is_own=to.url == queue.source_url,
        )

    def _visit(self, queue: DeadLetterQueue) -> Visit:
        return Visit(queue, sqs=self._sqs, clock=self._clock)

    def _queue(self, name: str) -> DeadLetterQueue:
        if name not in self._queues:
            known = ", ".join(map(repr, self._queues)) or "none"
            raise ValueError(f"{name!r} is no queue with dead letters that this App has: {known}")
        return self._queues[name]

    def _target(self, queue: DeadLetterQueue, name: str | None) -> MoveTarget:
        name = queue.source if name is None else name
        if name not in self._targets:
            known = ", ".join(map(repr, self._targets))
            raise ValueError(f"{name!r} is no queue of this App: {known}")
        if is_fifo(name) != queue.is_fifo:
            raise ValueError(
                f"letters of {queue.source!r} cannot go to {name!r}: one of them is a FIFO queue, "
                "the other is not"
            )
        return self._targets[name]


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise ValueError(f"limit is at least 1, not {limit}")
