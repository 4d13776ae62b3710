"""Messages that are given up: sent to the dead letter queue as they came, with a note."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

from sourceflow.bus.dead_letter import DeadLetter, describe_failure
from sourceflow.errors import AwsConfigurationError, DependencyError
from sourceflow.transports.aws.client import SendEntry
from sourceflow.transports.aws.dead_letters.note import write_note
from sourceflow.transports.aws.wire import (
    DEAD_LETTER_ATTRIBUTE,
    MAX_ATTRIBUTES,
    TYPE_ATTRIBUTE,
    envelope_id,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sourceflow.bus.observer import Observer
    from sourceflow.bus.outcome import DeadLetterReason
    from sourceflow.bus.ports import DeadLetters
    from sourceflow.clock import Clock
    from sourceflow.transports.aws.client import ReceivedMessage, SqsClient

__all__ = ("DeadLetterSender", "copy_id", "text_attributes")

log = logging.getLogger(__name__)

MAX_NOTED_BODY: Final = 1_000_000
"""Bytes of body and note up to which the note is sent: with ten attributes beside them the message
still fits 1 MiB. A larger message has its note only in the records and the log."""

_DEDUPLICATION_ID: Final = re.compile(r"[!-~]{1,128}")


class DeadLetterSender:
    """Sends messages of one queue to its dead letter queue, and records them.

    Body and attributes stay as they are. The deduplication id is a new one, of the message and
    this copy of it: with the old one SQS would swallow a message that comes here a second time
    within five minutes.
    """

    def __init__(
        self,
        *,
        sqs: SqsClient,
        queue: str,
        dead_letter_url: str | None,
        is_fifo: bool,
        records: DeadLetters,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._sqs = sqs
        self._queue = queue
        self._url = dead_letter_url
        self._is_fifo = is_fifo
        self._records = records
        self._observer = observer
        self._clock = clock

    async def send(
        self,
        message: ReceivedMessage,
        *,
        reason: DeadLetterReason,
        error: BaseException,
        handled: object,
        attempts: int,
        subscribers: tuple[str, ...],
    ) -> None:
        """Give a message up.

        Args:
            message: It, as it was received.
            reason: Why.
            error: What happened.
            handled: The command or event that it held, whose sensitive values people must not read
                in the error's text; None where it could not be read.
            attempts: How often it was handled.
            subscribers: Subscribers that failed.

        Raises:
            AwsError: The dead letter queue did not take it, or there is none; the message must
                not be deleted.
        """
        letter = self._letter(
            message, reason, describe_failure(error, handled), attempts, subscribers
        )
        await self._post(message, letter)
        letter = await self._recorded(letter)
        self._observer.dead_lettered(letter)

    async def _recorded(self, letter: DeadLetter) -> DeadLetter:
        """Keep a record; the message is safe in the dead letter queue also without one."""
        try:
            return await self._records.save(letter)
        except DependencyError as error:
            log.warning("dead letter %s is not recorded: %s", letter.message_id, error)
            return letter

    def _letter(
        self,
        message: ReceivedMessage,
        reason: DeadLetterReason,
        error: str,
        attempts: int,
        subscribers: tuple[str, ...],
    ) -> DeadLetter:
        body = message.body.encode()
        hint = message.attributes.get(TYPE_ATTRIBUTE)
        return DeadLetter(
            source=self._queue,
            message_id=envelope_id(body) or message.message_id,
            type_name="" if hint is None else hint.string_value or "",
            reason=reason,
            error=error,
            subscribers=subscribers,
            body=body,
            attributes=text_attributes(message),
            time=self._clock.now(),
            attempts=attempts,
        )

    async def _post(self, message: ReceivedMessage, letter: DeadLetter) -> None:
        if self._url is None:
            raise AwsConfigurationError(
                f"{self._queue} has no dead letter queue to give a message up to",
                code="NoDeadLetterQueue",
            )
        attributes: dict[str, Any] = dict(message.attributes)
        attributes.pop(DEAD_LETTER_ATTRIBUTE, None)
        note = write_note(letter, message)
        if len(attributes) < MAX_ATTRIBUTES and len(letter.body) + len(note) < MAX_NOTED_BODY:
            attributes[DEAD_LETTER_ATTRIBUTE] = note
        entry = SendEntry(
            id="0",
            body=message.body,
            attributes=attributes,
            group_id=message.system.message_group_id or None,
            deduplication_id=copy_id(letter.message_id, message) if self._is_fifo else None,
        )
        result = await self._sqs.send_message_batch(self._url, [entry])
        for failure in result.failed:
            raise failure.to_error("SendMessageBatch")


def copy_id(message_id: str, message: ReceivedMessage) -> str:
    """Return the deduplication id of this copy of a message, whatever id a stranger gave it.

    Every move has a new one: SQS would swallow a message that moves to the same queue a second time
    within five minutes. It names the copy, so that the move of one copy that is tried twice is one.
    """
    copy = f"{message_id}.{message.message_id}"
    return copy if _DEDUPLICATION_ID.fullmatch(copy) else message.message_id


def text_attributes(message: ReceivedMessage) -> Mapping[str, str]:
    """Return the message attributes of a message that are text."""
    return {
        name: value.string_value
        for name, value in message.attributes.items()
        if value.string_value is not None
    }
