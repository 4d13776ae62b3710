"""``sourceflow schedule``: commands that wait until they are due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sourceflow.host.cli.exits import fail
from sourceflow.host.cli.output import AsJson, Output, say
from sourceflow.host.cli.parts import operate
from sourceflow.host.cli.target import Target  # noqa: TC001 - typer reads the hints

if TYPE_CHECKING:
    from sourceflow.bus.ports import ScheduledCommand
    from sourceflow.host.app import App

__all__ = ("schedule",)

PAGE = 500

schedule = typer.Typer(help="Look at commands that wait until due, and take them back.")


@schedule.command("list")
def list_(
    target: Target,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Print commands that wait, those due first before others."""

    async def work(app: App) -> list[dict[str, Any]]:
        found: list[ScheduledCommand] = []
        while len(found) < limit:
            size = min(PAGE, limit - len(found))
            page = await app.scheduled(limit=size, after=found[-1] if found else None)
            found += page
            if len(page) < size:
                break
        return [_row(each) for each in found]

    rows = operate(target, work, needs_database=True)
    Output(as_json=as_json).table(
        ("due", "type", "key", "message_id"), rows, empty="no command waits"
    )


@schedule.command()
def cancel(
    target: Target,
    message_id: Annotated[
        str, typer.Argument(metavar="MESSAGE_ID", help="Its id.", show_default=False)
    ],
) -> None:
    """Take a command back that still waits.

    It ends with 1 where it does not.
    """

    async def work(app: App) -> bool:
        return await app.cancel(message_id)

    if not operate(target, work, needs_database=True):
        fail(f"no command {message_id!r} waits: it was sent, taken back before, or never scheduled")
    say(f"{message_id} was taken back", "green")


def _row(command: ScheduledCommand) -> dict[str, Any]:
    return {
        "due": command.due,
        "type": command.type_name,
        "key": command.key,
        "message_id": command.message_id,
    }
