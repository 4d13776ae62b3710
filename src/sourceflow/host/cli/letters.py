"""Dead letters as people see them: those of queues, and those of work inside the App."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from sourceflow.errors import MessageError
from sourceflow.host.cli.parts import aws_or_none, choose, wiring_of
from sourceflow.messages import Codec, masked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sourceflow.bus.dead_letter import DeadLetter, DeadLetterFilter
    from sourceflow.host.app import App
    from sourceflow.transports.aws import QueuedLetter
    from sourceflow.transports.aws.dead_letters import DeadLetterOperator

__all__ = ("LOCAL", "local_letters", "operator_of", "queues_of", "shown", "shown_local")

LOCAL: Final = "local"
"""Stands for a queue: letters of work inside the App, which are records in its stores."""

PAGE: Final = 500


def operator_of(app: App) -> DeadLetterOperator | None:
    """Return what operates on dead letters of queues; None where the App has no queues."""
    transport = aws_or_none(app)
    return None if transport is None else transport.dead_letters


def queues_of(app: App, queue: str | None) -> tuple[str, ...]:
    """Return the queues that are meant: the one that was named, or all, the local one included.

    Raises:
        WrongInputError: The App has none of this name.
    """
    operator = operator_of(app)
    known = (*(() if operator is None else operator.queues), LOCAL)
    return known if queue is None else (choose("queue", queue, {each: each for each in known}),)


async def local_letters(app: App, where: DeadLetterFilter, limit: int) -> Sequence[DeadLetter]:
    """Return records of work inside the App that was given up and not tried again, newest first."""
    found: list[DeadLetter] = []
    skip = 0
    while len(found) < limit:
        page = await app.dead_letters.query(where, limit=PAGE, skip=skip)
        found += [each for each in page if each.source.startswith(f"{LOCAL}:")]
        skip += len(page)
        if len(page) < PAGE:
            break
    return found[:limit]


def shown(letter: QueuedLetter) -> dict[str, Any]:
    """Return a letter of a queue as people may see it."""
    return {
        "queue": letter.queue,
        "id": letter.sqs_message_id,
        "type": letter.type_name,
        "reason": letter.reason,
        "error": letter.error,
        "given_up_at": letter.given_up_at,
        "message_id": letter.message_id,
        "source": letter.source,
        "subscribers": letter.subscribers,
        "attempts": letter.attempts,
        "received": letter.received,
        "sent_at": letter.sent_at,
        "group": letter.group,
        "attributes": dict(letter.attributes),
        "message": _masked(letter.message),
        "problem": letter.problem,
    }


def shown_local(app: App, letter: DeadLetter) -> dict[str, Any]:
    """Return a letter of work inside the App as people may see it."""
    message, problem = None, ""
    try:
        codec = Codec(wiring_of(app).registry)
        message = codec.decode(letter.body, type_hint=letter.type_name).message
    except MessageError as error:
        problem = f"{type(error).__name__}: {error}"
    return {
        "queue": LOCAL,
        "id": letter.id,
        "type": letter.type_name,
        "reason": letter.reason,
        "error": letter.error,
        "given_up_at": letter.time,
        "message_id": letter.message_id,
        "source": letter.source,
        "subscribers": letter.subscribers,
        "attempts": letter.attempts,
        "message": _masked(message),
        "problem": problem,
    }


def _masked(message: object | None) -> msgspec.Raw | None:
    return None if message is None else msgspec.Raw(masked(message).encode())
