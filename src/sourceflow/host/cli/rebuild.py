"""``sourceflow rebuild``: the rows of a view made anew from the event log."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from sourceflow.host.cli.output import AsJson, Output, say
from sourceflow.host.cli.parts import operate, view_of
from sourceflow.host.cli.progress import progress_of
from sourceflow.host.cli.target import Target  # noqa: TC001 - typer reads the hints

if TYPE_CHECKING:
    from sourceflow.bus.rebuild import Progress, Rebuilt
    from sourceflow.host.app import App

__all__ = ("rebuild",)


def rebuild(
    target: Target,
    view: Annotated[
        str, typer.Argument(metavar="VIEW", help="The view's class.", show_default=False)
    ],
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on where an earlier one was interrupted; only right where the view has not "
            "changed since.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Project the event log into fresh rows and swap them in.

    Messages are handled as ever meanwhile.
    """

    async def work(app: App) -> Rebuilt:
        view_type = view_of(app, view)
        with progress_of("event log") as show:

            def on_progress(how_far: Progress) -> None:
                if show is not None:
                    show(how_far.position, how_far.end)

            return await app.rebuild(view_type, resume=resume, on_progress=on_progress)

    done = operate(target, work, needs_database=True)
    if as_json:
        Output(as_json=True).record(dataclasses.asdict(done))
    else:
        say(f"{done.events} event(s) were projected: {view} has {done.rows} row(s)", "green")
