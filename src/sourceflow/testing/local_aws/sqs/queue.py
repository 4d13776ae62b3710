"""One queue: what happens to a message between its send and its end."""

from __future__ import annotations

import hashlib
import heapq
import uuid
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Final

from sourceflow.testing.local_aws.attributes import md5_of_attributes
from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.sqs.backlog import Backlog, FifoBacklog, StandardBacklog
from sourceflow.testing.local_aws.sqs.deduplication import DEDUPLICATION_SECONDS, Deduplication
from sourceflow.testing.local_aws.sqs.messages import QueueMessage, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sourceflow.testing.local_aws.attributes import MessageAttribute
    from sourceflow.testing.local_aws.sqs.settings import QueueSettings

__all__ = ("Queue",)

MAX_IN_FLIGHT: Final = 120_000
"""Messages in flight at most (SQS developer guide, "Quotas related to messages")."""

LONGEST_IN_FLIGHT: Final = 43_200.0
"""Seconds from its receive that a message can be hidden for in all: 12 hours."""

EXPIRED: Final = "Reason: The receipt handle has expired."


class Queue:
    """A queue with its messages. Times are seconds, given by the caller.

    Invariant: a message is in one place: in the backlog (visible), in the heap of hidden ones
    (delayed or in flight), or gone. The heap may hold old entries of a message that was hidden
    anew; ``hiding`` tells them apart.
    """

    def __init__(self, arn: str, settings: QueueSettings, created: float) -> None:
        self.arn = arn
        self.name = settings.name
        self.settings = settings
        self.created = created
        self.changed = created
        self.purged = float("-inf")
        self.tags: dict[str, str] = {}
        self.move_to_dead_letters: Callable[[QueueMessage, float], bool] = lambda *_: False
        self.on_visible: Callable[[], None] = lambda: None
        self._id = uuid.uuid4().hex[:12]
        self._backlog: Backlog = FifoBacklog() if settings.is_fifo else StandardBacklog()
        self._hidden: list[tuple[float, int, int, QueueMessage]] = []
        self._in_flight: dict[str, QueueMessage] = {}
        self._messages: dict[str, QueueMessage] = {}
        self._ages: deque[QueueMessage] = deque()
        self._delayed = 0
        self._orders = count(1)
        self._deduplication: Deduplication[QueueMessage] = Deduplication()
        self._attempts: dict[str, tuple[float, list[tuple[QueueMessage, int, int]]]] = {}

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
                return Sent(seen, digest, attributes_digest)
        message = QueueMessage(
            queue_id=self._id,
            id=message_id or str(uuid.uuid4()),
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
        if key is not None:
            self._deduplication.put(key, message, now)
        self._messages[message.id] = message
        self._ages.append(message)
        wait = self.settings.delay if delay is None else delay
        if wait:
            self._delayed += 1
            self._hide(message, now + wait)
        else:
            self._backlog.put(message)
        self.on_visible()
        return Sent(message, digest, attributes_digest)

    def _hide(self, message: QueueMessage, until: float) -> None:
        message.hidden_until = until
        message.hiding += 1
        heapq.heappush(self._hidden, (until, message.order, message.hiding, message))

    def advance(self, now: float) -> None:
        """Show what is due, and drop what is too old."""
        while self._hidden and self._hidden[0][0] <= now:
            _, _, hiding, message = heapq.heappop(self._hidden)
            if message.gone or message.hidden_until is None or message.hiding != hiding:
                continue
            self._show(message)
        oldest = now - self.settings.retention
        while self._ages and (self._ages[0].gone or self._ages[0].sent <= oldest):
            message = self._ages.popleft()
            if not message.gone:
                self._remove(message)

    def _show(self, message: QueueMessage) -> None:
        message.hidden_until = None
        self._backlog.put(message)
        if self._in_flight.pop(message.id, None) is None:
            self._delayed -= 1
        else:
            self._backlog.release(message)
        self.on_visible()

    def next_change(self) -> float | None:
        """Return when the next hidden message may show, or None."""
        return self._hidden[0][0] if self._hidden else None

    def receive(
        self, limit: int, *, now: float, visibility: int | None = None, attempt: str | None = None
    ) -> list[QueueMessage]:
        """Hand out messages and hide them.

        Raises:
            AwsFault: Too many are in flight; FIFO queues return none then.
        """
        self.advance(now)
        hide = self.settings.visibility if visibility is None else visibility
        if attempt is not None and self.settings.is_fifo:
            again = self._again(attempt, now, hide)
            if again is not None:
                return again
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
            if self._give_up(message, now):
                continue
            self._hand_out(message, now, hide)
            found.append(message)
        self._backlog.end_receive()
        if hide == 0:
            self.advance(now)
        if attempt is not None and self.settings.is_fifo:
            kept = [(message, message.received, message.hiding) for message in found]
            self._attempts[attempt] = (now + DEDUPLICATION_SECONDS, kept)
        return found

    def _again(self, attempt: str, now: float, hide: int) -> list[QueueMessage] | None:
        """Return the messages of a receive that is repeated, if nothing happened to them since."""
        for old in [name for name, (until, _) in self._attempts.items() if until <= now]:
            del self._attempts[old]
        known = self._attempts.get(attempt)
        if known is None:
            return None
        messages = [message for message, _, _ in known[1]]
        if not messages or any(
            message.gone or message.received != received or message.hiding != hiding
            for message, received, hiding in known[1]
        ):
            return None
        for message in messages:
            self._hide(message, now + hide)
        kept = [(message, message.received, message.hiding) for message in messages]
        self._attempts[attempt] = (known[0], kept)
        return messages

    def _hand_out(self, message: QueueMessage, now: float, hide: int) -> None:
        message.received += 1
        if message.received == 1 or not message.first_received:
            message.first_received = now
        message.last_received = now
        self._in_flight[message.id] = message
        self._hide(message, now + hide)

    def _give_up(self, message: QueueMessage, now: float) -> bool:
        """Move a message that was received too often to the dead letter queue."""
        redrive = self.settings.redrive
        if redrive is None or message.received < redrive.max_receives:
            return False
        if not self.move_to_dead_letters(message, now):
            return False
        self._in_flight[message.id] = message
        self._remove(message)
        return True

    def _remove(self, message: QueueMessage) -> None:
        was_hidden = message.hidden_until is not None
        message.gone = True
        message.hidden_until = None
        self._messages.pop(message.id, None)
        if self._in_flight.pop(message.id, None) is not None:
            self._backlog.release(message)
            self.on_visible()
        elif was_hidden:
            self._delayed -= 1

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
        self._hide(message, now + seconds)
        if seconds == 0:
            self.advance(now)

    def purge(self) -> None:
        """Drop every message, those in flight too."""
        for message in self._messages.values():
            message.gone = True
        self._messages.clear()
        self._in_flight.clear()
        self._hidden.clear()
        self._ages.clear()
        self._backlog.clear()
        self._attempts.clear()
        self._delayed = 0

    @property
    def in_flight(self) -> int:
        """How many messages are received and not settled."""
        return len(self._in_flight)

    @property
    def delayed(self) -> int:
        """How many messages do not show yet."""
        return self._delayed

    @property
    def visible(self) -> int:
        """How many messages may be received, or wait behind others of their group."""
        return len(self._messages) - len(self._in_flight) - self._delayed
