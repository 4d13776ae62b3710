"""``sourceflow outbox``: what is on its way out, and what nobody could read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sourceflow.host.cli.exits import WrongInputError, fail
from sourceflow.host.cli.output import AsJson, Output, say
from sourceflow.host.cli.parts import operate
from sourceflow.host.cli.target import Target  # noqa: TC001 - typer reads the hints

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from sourceflow.bus.ports import Outbox, Parked
    from sourceflow.host.app import App

__all__ = ("outbox",)

PAGE = 500

outbox = typer.Typer(help="Look at messages on their way out; retry unreadable ones.")


@outbox.command("list")
def list_(target: Target, as_json: AsJson = False) -> None:
    """Print parked rows; say how many messages wait.

    A row is parked when nobody could read it for a day.
    """

    async def work(app: App) -> tuple[int, datetime | None, list[dict[str, Any]]]:
        box = _outbox_of(app)
        rows = [_row(each) async for each in _parked(box)]
        return await box.depth(), await box.oldest(), rows

    depth, oldest, rows = operate(target, work, needs_database=True)
    since = "" if oldest is None else f", the oldest since {oldest.isoformat(' ', 'seconds')}"
    typer.echo(f"{depth} message(s) wait to be sent{since}", err=True)
    Output(as_json=as_json).table(
        ("position", "created", "type", "message_id", "destination", "reason"),
        rows,
        empty="nothing is parked",
    )


@outbox.command()
def retry(
    target: Target,
    positions: Annotated[
        list[int] | None,
        typer.Argument(metavar="[POSITION]...", help="The rows.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are parked.")] = False,
) -> None:
    """Let parked rows wait for a sender for another day."""

    async def work(app: App) -> tuple[int, int]:
        if bool(positions) == every:
            raise WrongInputError("give the positions of parked rows, or --all")
        box = _outbox_of(app)
        wanted = [each.position async for each in _parked(box)] if every else positions or []
        return await box.unpark(wanted), len(wanted)

    done, wanted = operate(target, work, needs_database=True)
    if done < wanted:
        fail(f"{wanted - done} of {wanted} row(s) are not parked; {done} wait for a sender again")
    say(f"{done} row(s) wait for a sender again", "green")


def _outbox_of(app: App) -> Outbox:
    return app._stores.outbox  # noqa: SLF001 - part of the host


async def _parked(box: Outbox) -> AsyncIterator[Parked]:
    after = 0
    while page := await box.parked(limit=PAGE, after=after):
        for each in page:
            yield each
        after = page[-1].position


def _row(parked: Parked) -> dict[str, Any]:
    return {
        "position": parked.position,
        "created": parked.created,
        "type": parked.type_name,
        "message_id": parked.message_id,
        "destination": str(parked.destination),
        "reason": parked.reason,
    }
