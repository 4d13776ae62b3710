"""``sourceflow rebuild``: the rows of a view made anew from the event log."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sourceflow.host.cli.output import AsJson, Output, say
from sourceflow.host.cli.parts import operate, view_of
from sourceflow.host.cli.target import Target  # noqa: TC001 - typer reads the hints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sourceflow.bus.rebuild import Progress as HowFar
    from sourceflow.bus.rebuild import Rebuilt
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
    """Project the event log into fresh rows and swap them in, while messages are handled as ever."""

    async def work(app: App) -> Rebuilt:
        view_type = view_of(app, view)
        with _progress() as on_progress:
            return await app.rebuild(view_type, resume=resume, on_progress=on_progress)

    done = operate(target, work, needs_database=True)
    if as_json:
        Output(as_json=True).record(dataclasses.asdict(done))
    else:
        say(f"{done.events} event(s) were projected: {view} has {done.rows} row(s)", "green")


@contextmanager
def _progress() -> Iterator[Callable[[HowFar], None] | None]:
    """Show a bar on a terminal, and nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("event log"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("event log", total=None)
        yield lambda how_far: bar.update(task, completed=how_far.position, total=how_far.end)
