"""One queue: what happens to a message between its send and its end."""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from itertools import count
from typing import TYPE_CHECKING, Final

from sourceflow.testing.local_aws.attributes import md5_of_attributes
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.ids import new_id
from sourceflow.testing.local_aws.sqs.attempts import Attempts
from sourceflow.testing.local_aws.sqs.backlog import Backlog, FifoBacklog, StandardBacklog
from sourceflow.testing.local_aws.sqs.deduplication import Deduplication
from sourceflow.testing.local_aws.sqs.hidden import Hidden
from sourceflow.testing.local_aws.sqs.messages import QueueMessage, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sourceflow.testing.local_aws.attributes import MessageAttribute
    from sourceflow.testing.local_aws.sqs.move_tasks import MoveTask
    from sourceflow.testing.local_aws.sqs.settings import QueueSettings

__all__ = ("Queue",)

MAX_IN_FLIGHT: Final = 120_000
"""Messages in flight at most (SQS developer guide, "Quotas related to messages")."""

LONGEST_IN_FLIGHT: Final = 43_200.0
"""Seconds from its receive that a message can be hidden for in all: 12 hours."""

EXPIRED: Final = "Reason: The receipt handle has expired."


class Queue:
    """A queue with its messages. Times are seconds, given by the caller.

    Invariant: a message is in one place: in the backlog (visible), among the hidden ones (delayed
    or in flight), or gone.
    """

    def __init__(self, arn: str, settings: QueueSettings, created: float) -> None:
        self.arn = arn
        self.name = settings.name
        self.settings = settings
        self.created = created
        self.changed = created
        self.purged = float("-inf")
        self.tags: dict[str, str] = {}
        # The newest tasks that took messages out of here, oldest first: AWS tells of ten.
        self.moves: deque[MoveTask] = deque(maxlen=10)
        self.move_to_dead_letters: Callable[[QueueMessage, float], bool] = lambda *_: False
        self.on_visible: Callable[[], None] = lambda: None
        self._id = new_id()[-12:]
        self._backlog: Backlog = FifoBacklog() if settings.is_fifo else StandardBacklog()
        self._hidden = Hidden()
        self._in_flight: dict[str, QueueMessage] = {}
        # Oldest first. A plain dict would look past every deleted message to find the oldest.
        self._messages: OrderedDict[str, QueueMessage] = OrderedDict()
        self._orders = count(1)
        self._deduplication: Deduplication[tuple[str, str]] = Deduplication()
        self._attempts = Attempts()

    def send(
        self,
        body: str,
        attributes: Mapping[str, MessageAttribute],
        *,
        now: float,
        group: str | None = None,
        deduplication_id: str | None = None,
        delay: int | None = None,
        trace: str | None = None,
        source_arn: str | None = None,
        first_sent: float | None = None,
        message_id: str | None = None,
        received: int = 0,
    ) -> Sent:
        """Take a message in; a FIFO queue takes one that it has seen as that one."""
        digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
        attributes_digest = md5_of_attributes(attributes) if attributes else ""
        key = None
        if self.settings.is_fifo:
            if deduplication_id is None:
                deduplication_id = hashlib.sha256(body.encode()).hexdigest()
            key = (group if self.settings.scope_is_group else None, deduplication_id)
            seen = self._deduplication.find(key, now)
            if seen is not None:
                return Sent(*seen, digest, attributes_digest)
        message = QueueMessage(
            queue_id=self._id,
            id=message_id or new_id(),
            body=body,
            body_md5=digest,
            attributes=attributes,
            attributes_md5=attributes_digest,
            sent=now if first_sent is None else first_sent,
            order=next(self._orders),
            group=group,
            deduplication_id=deduplication_id,
            trace=trace,
            source_arn=source_arn,
            received=received,
        )
        number = message.sequence_number
        if key is not None:
            self._deduplication.put(key, (message.id, number), now)
        self._messages[message.id] = message
        wait = self.settings.delay if delay is None else delay
        if wait:
            self._hidden.hide(message, now + wait)
        else:
            self._backlog.put(message)
        self.on_visible()
        return Sent(message.id, number, digest, attributes_digest)

    def advance(self, now: float) -> None:
        """Show what is due, and drop what is too old."""
        for message in self._hidden.take_due(now):
            self._backlog.put(message)
            if self._in_flight.pop(message.id, None) is not None:
                self._backlog.release(message)
            self.on_visible()
        while self._messages:
            oldest = next(iter(self._messages.values()))
            if not self._is_too_old(oldest, now):
                break
            self._remove(oldest)

    def _is_too_old(self, message: QueueMessage, now: float) -> bool:
        return message.sent <= now - self.settings.retention

    def next_change(self) -> float | None:
        """Return when the next hidden message may show, or None."""
        return self._hidden.next_due()

    def receive(
        self, limit: int, *, now: float, visibility: int | None = None, attempt: str | None = None
    ) -> Sequence[QueueMessage]:
        """Hand out messages and hide them.

        Raises:
            AwsFault: Too many are in flight; FIFO queues return none then.
        """
        self.advance(now)
        hide = self.settings.visibility if visibility is None else visibility
        if attempt is None or not self.settings.is_fifo:
            return self._receive(limit, now, hide)
        again = self._attempts.find(attempt, now)
        if not again:
            found = self._receive(limit, now, hide)
            self._attempts.put(attempt, found, now)
            return found
        for message in again:
            self._hidden.hide(message, now + hide)
        self._attempts.note(attempt, now)
        return again

    def _receive(self, limit: int, now: float, hide: int) -> list[QueueMessage]:
        if len(self._in_flight) >= MAX_IN_FLIGHT:
            if self.settings.is_fifo:
                return []
            raise AwsFault(
                "OverLimit",
                "Too many messages are in flight.",
                status=403,
                query_code="OverLimit",
            )
        found: list[QueueMessage] = []
        while len(found) < limit:
            message = self._backlog.take()
            if message is None:
                break
            if not self._give_up(message, now):
                self._hand_out(message, now, hide)
                found.append(message)
        self._backlog.end_receive()
        if hide == 0:
            self.advance(now)
        return found

    def _hand_out(self, message: QueueMessage, now: float, hide: int) -> None:
        message.received += 1
        if message.received == 1 or not message.first_received:
            message.first_received = now
        message.last_received = now
        self._in_flight[message.id] = message
        self._hidden.hide(message, now + hide)

    def _give_up(self, message: QueueMessage, now: float) -> bool:
        """Drop a message that is too old; move one that was received too often to its dead letters."""
        if self._is_too_old(message, now):
            self._drop_taken(message)
            return True
        redrive = self.settings.redrive
        if redrive is None or message.received < redrive.max_receives:
            return False
        if not self.move_to_dead_letters(message, now):
            return False
        self._drop_taken(message)
        return True

    def move_next(self, send: Callable[[QueueMessage], None], now: float) -> bool:
        """Send the next visible message on, and drop it here; it stays if the send raises.

        Returns:
            False if none is visible, or those that are wait behind others of their group.
        """
        self.advance(now)
        message = self._backlog.take()
        while message is not None and self._is_too_old(message, now):
            self._drop_taken(message)
            message = self._backlog.take()
        self._backlog.end_receive()
        if message is None:
            return False
        try:
            send(message)
        except AwsFault:
            self._backlog.put(message)
            self._backlog.release(message)
            raise
        self._drop_taken(message)
        return True

    def _drop_taken(self, message: QueueMessage) -> None:
        """Remove a message that was taken out of the backlog, which counts it as in flight."""
        self._in_flight[message.id] = message
        self._remove(message)

    def _remove(self, message: QueueMessage) -> None:
        message.gone = True
        self._hidden.forget(message)
        self._messages.pop(message.id, None)
        if self._in_flight.pop(message.id, None) is not None:
            self._backlog.release(message)
            self.on_visible()

    def _of_handle(self, handle: str) -> tuple[QueueMessage | None, bool]:
        """Return the message of a receipt handle, and whether it is of the newest receive.

        Raises:
            AwsFault: It is no handle of this queue.
        """
        queue_id, _, rest = handle.partition(".")
        if queue_id != self._id:
            raise AwsFault(
                "ReceiptHandleIsInvalid",
                f'The input receipt handle "{handle}" is not a valid receipt handle.',
                status=404,
                query_code="ReceiptHandleIsInvalid",
            )
        message = self._messages.get(rest.partition(".")[0])
        return message, message is not None and message.receipt_handle == handle

    def delete(self, handle: str, now: float) -> None:
        """Delete a message.

        A standard queue says yes to an old handle and keeps the message; a FIFO queue refuses one
        whose message shows again (SQS API reference, ``DeleteMessage``).

        Raises:
            AwsFault: The handle is none, or has expired.
        """
        self.advance(now)
        message, newest = self._of_handle(handle)
        if message is None:
            return
        if self.settings.is_fifo and (not newest or message.hidden_until is None):
            raise AwsFault(
                "InvalidParameterValue",
                f"Value {handle} for parameter ReceiptHandle is invalid. {EXPIRED}",
            )
        if newest:
            self._remove(message)

    def change_visibility(self, handle: str, seconds: int, now: float) -> None:
        """Set anew how long a message stays hidden.

        Raises:
            AwsFault: The handle is none, the message is not in flight, or the time too long.
        """
        self.advance(now)
        message, newest = self._of_handle(handle)
        if message is None or not newest or message.id not in self._in_flight:
            if message is not None and self.settings.is_fifo:
                raise AwsFault(
                    "InvalidParameterValue",
                    f"Value {handle} for parameter ReceiptHandle is invalid. {EXPIRED}",
                )
            raise AwsFault(
                "MessageNotInflight",
                "The specified message isn't in flight.",
                query_code="AWS.SimpleQueueService.MessageNotInflight",
            )
        if now + seconds - message.last_received > LONGEST_IN_FLIGHT:
            raise AwsFault(
                "InvalidParameterValue",
                f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Total "
                "VisibilityTimeout for the message is beyond the limit [43200 seconds].",
            )
        self._hidden.hide(message, now + seconds)
        if seconds == 0:
            self.advance(now)

    def purge(self) -> None:
        """Drop every message, those in flight too."""
        for message in self._messages.values():
            message.gone = True
        self._messages.clear()
        self._in_flight.clear()
        self._hidden.clear()
        self._backlog.clear()
        self._attempts.clear()

    @property
    def in_flight(self) -> int:
        """How many messages are received and not settled."""
        return len(self._in_flight)

    @property
    def delayed(self) -> int:
        """How many messages do not show yet."""
        return len(self._hidden) - len(self._in_flight)

    @property
    def visible(self) -> int:
        """How many messages may be received, or wait behind others of their group."""
        return len(self._messages) - len(self._hidden)
