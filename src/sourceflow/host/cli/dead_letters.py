"""``sourceflow dead-letters``: messages that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sourceflow.bus.dead_letter import DeadLetterFilter
from sourceflow.errors import MessageError
from sourceflow.host.cli.exits import WrongInputError, fail
from sourceflow.host.cli.letters import (
    LOCAL,
    local_letters,
    operator_of,
    queues_of,
    shown,
    shown_local,
)
from sourceflow.host.cli.output import AsJson, Output, say
from sourceflow.host.cli.parts import ask, message_of, operate, stdin_or
from sourceflow.host.cli.send import Json  # noqa: TC001 - typer reads the hints
from sourceflow.host.cli.target import Target  # noqa: TC001 - typer reads the hints
from sourceflow.messages import type_info

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sourceflow.host.app import App
    from sourceflow.transports.aws import QueuedLetter
    from sourceflow.transports.aws.dead_letters import DeadLetterOperator

__all__ = ("dead_letters",)

dead_letters = typer.Typer(help="Look at, send again and remove messages that were given up.")

Queue = Annotated[
    str,
    typer.Argument(
        metavar="QUEUE",
        help="The queue whose dead letters they are, as the bus calls it; 'local' for work inside "
        "the App.",
        show_default=False,
    ),
]
OneQueue = Annotated[
    str | None,
    typer.Option(
        help="Only letters of this queue; 'local' for work inside the App.", show_default=False
    ),
]
Limit = Annotated[int, typer.Option(min=1, help="How many of each queue at most.")]
Id = Annotated[
    str, typer.Argument(metavar="ID", help="The letter's id, as list shows it.", show_default=False)
]
To = Annotated[
    str | None,
    typer.Option(help="Another queue of the App, of the same kind.", show_default=False),
]

#: Letters that are looked through for one of them.
FAR = 1_000

_COLUMNS = ("queue", "given_up_at", "type", "reason", "attempts", "id", "error")


@dead_letters.command("list")
def list_(
    target: Target, queue: OneQueue = None, limit: Limit = 20, as_json: AsJson = False
) -> None:
    """Print dead letters; sensitive values are masked.

    Of one FIFO group ten at most are seen.
    """

    async def work(app: App) -> list[dict[str, Any]]:
        rows = []
        for each in queues_of(app, queue):
            rows += await _rows(app, each, limit)
        return rows

    Output(as_json=as_json).table(_COLUMNS, operate(target, work), empty="no dead letters")


async def _rows(app: App, queue: str, limit: int) -> list[dict[str, Any]]:
    if queue == LOCAL:
        where = DeadLetterFilter(replayed=False)
        return [shown_local(app, each) for each in await local_letters(app, where, limit)]
    return [shown(each) for each in await _operator(app).peek(queue, limit)]


def _operator(app: App) -> DeadLetterOperator:
    operator = operator_of(app)
    assert operator is not None  # queues_of has named one of its queues
    return operator


@dead_letters.command()
def show(target: Target, queue: Queue, letter_id: Id, as_json: AsJson = False) -> None:
    """Print all that is known of one letter.

    Sensitive values are masked.
    """

    async def work(app: App) -> dict[str, Any]:
        (name,) = queues_of(app, queue)
        rows = await _rows(app, name, FAR)
        found = [each for each in rows if letter_id in {each["id"], each["message_id"]}]
        if not found:
            raise WrongInputError(_not_there(queue, letter_id))
        return found[0]

    Output(as_json=as_json).record(operate(target, work))


def _not_there(queue: str, letter_id: str) -> str:
    return f"{letter_id} is not among the dead letters of {queue} that can be seen now"


@dead_letters.command()
def redrive(
    target: Target,
    queue: Queue,
    type_name: Annotated[
        str | None, typer.Option("--type", help="Only this type.", show_default=False)
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only with this in their reason.", show_default=False)
    ] = None,
    message_id: Annotated[
        str | None, typer.Option(help="Only the message of this id.", show_default=False)
    ] = None,
    to: To = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="How many at most.", show_default=False)
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="How many a second at most.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters to their queue again.

    It ends with 1 where some were refused.
    """
    where = DeadLetterFilter(type_name=type_name, reason=reason, message_id=message_id)

    async def work(app: App) -> dict[str, Any]:
        (name,) = queues_of(app, queue)
        if name == LOCAL:
            if to is not None or rate is not None:
                raise WrongInputError("letters of work inside the App take neither --to nor --rate")
            return await _redrive_local(app, where, limit)
        chosen = None if where == DeadLetterFilter() else where
        try:
            result = await _operator(app).redrive(
                name, target=to, filter=chosen, limit=limit, rate=rate
            )
        except ValueError as error:  # of the target, of the rate
            raise WrongInputError(str(error)) from None
        why = None if result.error is None else str(result.error)
        return {"moved": result.moved, "failed": result.failed, "left": result.left, "error": why}

    done = operate(target, work)
    if as_json:
        Output(as_json=True).record(done)
    else:
        say(f"{done['moved']} letter(s) were sent again, {done['left']} were left", "green")
    if done["failed"]:
        fail(f"{done['failed']} letter(s) were refused and are still there: {done['error']}")


async def _redrive_local(app: App, where: DeadLetterFilter, limit: int | None) -> dict[str, Any]:
    if not app._stores.durable:  # noqa: SLF001 - part of the host
        raise WrongInputError(
            f"the App {app.name!r} has its stores in memory: nothing is kept there"
        )
    moved, problems = 0, []
    unsent = DeadLetterFilter(
        type_name=where.type_name,
        reason=where.reason,
        message_id=where.message_id,
        replayed=False,
    )
    for letter in await local_letters(app, unsent, limit or FAR):
        try:
            await app.redrive(letter.id)
        except MessageError as error:
            problems.append(str(error))
        else:
            moved += 1
    why = problems[0] if problems else None
    return {"moved": moved, "failed": len(problems), "left": 0, "error": why}


@dead_letters.command()
def resend(
    target: Target,
    queue: Queue,
    letter_id: Id,
    data: Json,
    type_name: Annotated[
        str | None,
        typer.Option(
            "--type", help="Its type; that of the letter where not given.", show_default=False
        ),
    ] = None,
    to: To = None,
) -> None:
    """Send an edited message in the place of a dead letter.

    It has a new id.
    """
    text = stdin_or(data)

    async def work(app: App) -> str:
        (name,) = queues_of(app, queue)
        if name == LOCAL:
            raise WrongInputError("letters of work inside the App can only be redriven")
        letter = await _find(app, name, letter_id)
        wanted = type_name or letter.type_name
        known = letter.message is not None
        kind = type_info(type(letter.message)).kind if known else _kind_of(app, name)
        message = message_of(app, wanted, text, kind=kind)
        try:
            return await _operator(app).resend(letter, message=message, target=to)
        except (LookupError, ValueError) as error:
            raise WrongInputError(str(error)) from None

    say(f"{operate(target, work)} was sent in its place", "green")


async def _find(app: App, queue: str, letter_id: str) -> QueuedLetter:
    for each in await _operator(app).peek(queue, FAR):
        if letter_id in {each.sqs_message_id, each.message_id}:
            return each
    raise WrongInputError(_not_there(queue, letter_id))


def _kind_of(app: App, queue: str) -> str:
    """Return what a queue takes: all that are listened to are command queues but the event queue."""
    assert app.transport is not None
    return "command" if queue in app.transport.routes.listens else "event"


@dead_letters.command()
def purge(
    target: Target,
    queue: Queue,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete all dead letters of a queue.

    Those of other queues that share its dead letter queue go, too.
    """
    if not yes:
        count = operate(target, _counting(queue))
        ask(f"Delete about {count} dead letter(s) of {queue}?", otherwise="nothing was deleted")

    async def work(app: App) -> None:
        (name,) = queues_of(app, queue)
        if name != LOCAL:
            await _operator(app).purge(name)
            return
        while letters := await local_letters(app, DeadLetterFilter(), FAR):
            for each in letters:
                await app.dead_letters.delete(each.id)

    operate(target, work)
    say(f"the dead letters of {queue} were deleted", "green")


def _counting(queue: str) -> Callable[[App], Awaitable[int]]:
    async def work(app: App) -> int:
        (name,) = queues_of(app, queue)
        if name == LOCAL:
            return len(await local_letters(app, DeadLetterFilter(), FAR))
        return await _operator(app).depth(name)

    return work
