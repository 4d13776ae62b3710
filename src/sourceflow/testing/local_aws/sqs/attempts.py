"""Receives of FIFO queues that may be repeated (SQS API reference, ``ReceiveRequestAttemptId``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.testing.local_aws.sqs.deduplication import Deduplication

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.testing.local_aws.sqs.messages import QueueMessage

__all__ = ("Attempts",)


class _Attempt:
    """What one receive gave, and in what state."""

    __slots__ = ("_states", "messages")

    def __init__(self, messages: Sequence[QueueMessage]) -> None:
        self.messages = messages
        self.note()

    def note(self) -> None:
        """Note the state that the messages are in now."""
        self._states = [(message.received, message.hiding) for message in self.messages]

    def is_untouched(self) -> bool:
        """Whether nothing has happened to the messages since, and none of them shows again."""
        return all(
            message.hidden_until is not None and (message.received, message.hiding) == state
            for message, state in zip(self.messages, self._states, strict=True)
        )


class Attempts:
    """Remembers receives by the id of their attempt, for five minutes."""

    __slots__ = ("_attempts",)

    def __init__(self) -> None:
        self._attempts: Deduplication[_Attempt] = Deduplication()

    def __len__(self) -> int:
        return len(self._attempts)

    def put(self, attempt_id: str, messages: Sequence[QueueMessage], now: float) -> None:
        """Remember what a receive gave; one that gave nothing is not worth it."""
        if messages:
            self._attempts.put(attempt_id, _Attempt(messages), now)

    def find(self, attempt_id: str, now: float) -> Sequence[QueueMessage]:
        """Return the messages of a receive that is repeated, if nothing happened to them since."""
        attempt = self._attempts.find(attempt_id, now)
        return attempt.messages if attempt is not None and attempt.is_untouched() else ()

    def note(self, attempt_id: str, now: float) -> None:
        """Note that the receive was repeated, which hid its messages anew."""
        attempt = self._attempts.find(attempt_id, now)
        if attempt is not None:
            attempt.note()

    def clear(self) -> None:
        """Forget everything."""
        self._attempts = Deduplication()
