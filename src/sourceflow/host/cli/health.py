"""``sourceflow health``: how what an App depends on is, without running the App."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from sourceflow.bus.ports import HealthStatus
from sourceflow.host.cli.codes import CAME_OUT_WRONG
from sourceflow.host.cli.exits import exits
from sourceflow.host.cli.output import AsJson, Output, say
from sourceflow.host.cli.target import Target, load_app

if TYPE_CHECKING:
    from sourceflow.host.health import HealthReport

__all__ = ("health",)

_STYLES = {
    HealthStatus.HEALTHY: "green",
    HealthStatus.DEGRADED: "yellow",
    HealthStatus.UNHEALTHY: "red",
}


def health(
    target: Target,
    as_json: AsJson = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 where something is degraded, too.")
    ] = False,
) -> None:
    """Look at what an App depends on, without running it.

    That are its database, queues, topics and keys. It ends with 1 where something is unhealthy. Nothing is made, and no message is received.
    """
    with exits():
        app = load_app(target)
        report = asyncio.run(app.inspect())
        _print(report, Output(as_json=as_json))
        if not as_json:
            say(f"{app.name} is {report.status}", _STYLES[report.status])
    wrong = {HealthStatus.UNHEALTHY, *([HealthStatus.DEGRADED] if strict else ())}
    if report.status in wrong:
        raise typer.Exit(CAME_OUT_WRONG)


def _print(report: HealthReport, output: Output) -> None:
    if output.as_json:
        output.record(report.as_dict())
        return
    from rich.text import Text

    rows = (
        {
            "name": entry.name,
            "status": Text(entry.status.value, style=_STYLES[entry.status]),
            "detail": entry.detail,
        }
        for entry in report.entries
    )
    output.table(("name", "status", "detail"), rows, empty="")
