"""Which messages may be received next: one order for standard queues, one a group for FIFO queues."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sourceflow.testing.local_aws.sqs.messages import QueueMessage

__all__ = ("Backlog", "FifoBacklog", "StandardBacklog")


class Backlog(Protocol):
    """Visible messages. No operation may cost more when more messages wait."""

    def put(self, message: QueueMessage) -> None:
        """Add a message that is visible now, new or again."""
        ...

    def take(self) -> QueueMessage | None:
        """Take the next message out, or None where none may be received."""
        ...

    def end_receive(self) -> None:
        """Note that one receive is complete: it may have taken several messages of one group."""
        ...

    def release(self, message: QueueMessage) -> None:
        """Note that a message that was taken is in flight no more."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...


class StandardBacklog:
    """First come, first served; deleted messages are passed over."""

    def __init__(self) -> None:
        self._messages: deque[QueueMessage] = deque()

    def put(self, message: QueueMessage) -> None:
        """Add a message, and drop what was deleted in front: a queue that nobody reads stays small."""
        while self._messages and self._messages[0].gone:
            self._messages.popleft()
        self._messages.append(message)

    def take(self) -> QueueMessage | None:
        """Take the oldest."""
        while self._messages:
            message = self._messages.popleft()
            if not message.gone:
                return message
        return None

    def end_receive(self) -> None:
        """Nothing to note."""

    def release(self, message: QueueMessage) -> None:
        """Nothing to note."""

    def clear(self) -> None:
        """Forget everything."""
        self._messages.clear()


@dataclass(slots=True)
class _Group:
    name: str
    waiting: list[tuple[int, QueueMessage]] = field(default_factory=list)
    in_flight: int = 0
    is_ready: bool = False


class FifoBacklog:
    """Groups in turn, each in its own order; a group with a message in flight waits.

    One receive takes as many messages of a group as it may before it goes to the next (SQS
    developer guide, "FIFO delivery logic").
    """

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._ready: deque[_Group] = deque()
        self._open: _Group | None = None

    def put(self, message: QueueMessage) -> None:
        """Add a message in its place."""
        name = message.group or ""
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = _Group(name)
        while group.waiting and group.waiting[0][1].gone:
            heapq.heappop(group.waiting)
        heapq.heappush(group.waiting, (message.order, message))
        self._make_ready(group)

    def _make_ready(self, group: _Group) -> None:
        if group.waiting and not group.in_flight and not group.is_ready:
            group.is_ready = True
            self._ready.append(group)

    def take(self) -> QueueMessage | None:
        """Take the next of the group at hand, or of the next group that is ready."""
        if self._open is not None:
            message = self._pop(self._open)
            if message is not None:
                return message
            self._open = None
        while self._ready:
            group = self._ready.popleft()
            group.is_ready = False
            message = None if group.in_flight else self._pop(group)
            if message is not None:
                self._open = group
                return message
            self._drop_if_empty(group)
        return None

    def _pop(self, group: _Group) -> QueueMessage | None:
        while group.waiting:
            _, message = heapq.heappop(group.waiting)
            if not message.gone:
                group.in_flight += 1
                return message
        return None

    def end_receive(self) -> None:
        """The group at hand is closed until what was taken of it is settled."""
        self._open = None

    def release(self, message: QueueMessage) -> None:
        """Let the group go on when nothing of it is in flight."""
        group = self._groups[message.group or ""]
        group.in_flight -= 1
        self._make_ready(group)
        self._drop_if_empty(group)

    def _drop_if_empty(self, group: _Group) -> None:
        if not group.waiting and not group.in_flight and not group.is_ready:
            del self._groups[group.name]

    def clear(self) -> None:
        """Forget everything."""
        self._groups.clear()
        self._ready.clear()
        self._open = None
