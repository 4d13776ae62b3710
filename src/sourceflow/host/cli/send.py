"""``sourceflow send``: one command, checked by its type."""

from __future__ import annotations

from datetime import timedelta  # noqa: TC003 - typer reads the hints
from typing import TYPE_CHECKING, Annotated

import typer

from sourceflow.host.cli.exits import WrongInputError
from sourceflow.host.cli.output import AsJson, Output, say
from sourceflow.host.cli.parts import message_of, operate, stdin_or
from sourceflow.host.cli.target import Target  # noqa: TC001 - typer reads the hints

if TYPE_CHECKING:
    from sourceflow.host.app import App

__all__ = ("Json", "send")

Json = Annotated[
    str,
    typer.Argument(
        metavar="JSON", help="Its fields; - reads them from standard input.", show_default=False
    ),
]


def _duration(text: str) -> timedelta:
    from sourceflow.host.settings.durations import read_duration

    try:
        return read_duration(text)
    except ValueError:
        raise typer.BadParameter("write a duration such as '30s' or '5 min'") from None


def send(
    target: Target,
    type_name: Annotated[
        str,
        typer.Argument(metavar="TYPE", help="The wire name of the command.", show_default=False),
    ],
    data: Json,
    message_id: Annotated[
        str | None,
        typer.Option(
            help="Its id: one id means one effect; made up where not given.", show_default=False
        ),
    ] = None,
    delay: Annotated[
        timedelta | None,
        typer.Option(
            parser=_duration,
            metavar="DURATION",
            help="How long it waits in the App's stores before it is sent, such as '5 min'.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send a command to its queue; handle nothing here.

    One without a route is left to an instance that runs.
    """
    text = stdin_or(data)

    async def work(app: App) -> tuple[str, str]:
        command = message_of(app, type_name, text, kind="command")
        durable = app._stores.durable  # noqa: SLF001 - part of the host
        routed = app.transport is not None and type(command) in app.transport.routes.commands
        if not durable and (delay is not None or not routed):
            why = "has no route" if delay is None else "would wait"
            raise WrongInputError(
                f"{type_name} {why}, and the App has its stores in memory, where no other process "
                "finds it"
            )
        try:
            sent = await app.send(command, message_id=message_id, delay=delay)
        except ValueError as error:  # of the id, of the delay
            raise WrongInputError(str(error)) from None
        if delay is not None:
            return sent, "the schedule"
        if routed:
            assert app.transport is not None
            return sent, app.transport.routes.commands[type(command)]
        return sent, "the schedule, due now"

    sent, where = operate(target, work)
    if as_json:
        Output(as_json=True).record({"message_id": sent, "type": type_name, "destination": where})
    else:
        say(f"{type_name} {sent} is in {where}", "green")
